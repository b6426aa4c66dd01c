-- What an admitted event adds to tiles: itself at its own time, and minus one at the time of the 'on' that it withdraws
-- (of a play: minus the smaller watch time, withdrawn_ms).
-- A withdrawal goes to the very tile and salt of what it withdraws. Were it salted by its own id, a restored job that meets
-- the two in the other order (and withdraws nothing) would never touch that salt again, and a −1 would stay there.

-- view: contributions
SELECT *, 1 AS sign, `time` AS tile_time, event_id AS salted_by, CAST(NULL AS BIGINT) AS withdrawn_ms
FROM admitted
UNION ALL
SELECT *, -1 AS sign, cancels_time AS tile_time, cancels_event_id AS salted_by, cancels_watch_ms AS withdrawn_ms
FROM admitted
WHERE cancels_time IS NOT NULL;
