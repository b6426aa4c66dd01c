-- The night found a day to be empty.
ALTER TABLE events DROP PARTITION {day:String};
ALTER TABLE minutes DROP PARTITION {day:String};
ALTER TABLE hours DROP PARTITION {day:String};
ALTER TABLE days DROP PARTITION {day:String};
ALTER TABLE served DROP PARTITION {day:String};
ALTER TABLE trends DROP PARTITION {day:String};
ALTER TABLE parity DROP PARTITION {day:String};
