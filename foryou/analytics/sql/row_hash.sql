-- How many rows a day has and a hash of them that no order changes, without the moment of writing.
SELECT count(), sum(sipHash64(toString(tuple(*))))
FROM (SELECT * EXCEPT (as_of) FROM {table:Identifier} WHERE day = {day:Date})
