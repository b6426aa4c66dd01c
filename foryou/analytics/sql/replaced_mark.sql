-- Batch is complete for this day up to the cut-off.
INSERT INTO replaced (table, day, cut_off, as_of)
SELECT {table:String}, {day:Date}, fromUnixTimestamp64Milli({cut_off:Int64}, 'UTC'), now64(3, 'UTC')
