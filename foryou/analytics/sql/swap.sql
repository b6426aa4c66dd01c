-- The day takes its place in a table, in one step. (A source table cannot be a parameter here: one line a table.)
ALTER TABLE events REPLACE PARTITION {day:String} FROM events_nightly;
ALTER TABLE minutes REPLACE PARTITION {day:String} FROM minutes_nightly;
ALTER TABLE hours REPLACE PARTITION {day:String} FROM hours_nightly;
ALTER TABLE days REPLACE PARTITION {day:String} FROM days_nightly;
ALTER TABLE served REPLACE PARTITION {day:String} FROM served_nightly;
ALTER TABLE trends REPLACE PARTITION {day:String} FROM trends_nightly;
ALTER TABLE parity REPLACE PARTITION {day:String} FROM parity_nightly;
