-- How many rows a day has.
SELECT count() FROM {table:Identifier} WHERE day = {day:Date}
