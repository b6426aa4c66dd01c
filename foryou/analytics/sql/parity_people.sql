-- Whom the rows speak of, if it is a person.
SELECT DISTINCT app_id, entity FROM {table:Identifier}
