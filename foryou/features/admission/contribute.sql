-- What an admitted event adds to tiles: itself at its own time, and minus one at the time of the 'on' that it withdraws.

-- view: contributions
SELECT *, 1 AS sign, `time` AS tile_time FROM admitted
UNION ALL
SELECT *, -1 AS sign, cancels_time AS tile_time FROM admitted WHERE cancels_time IS NOT NULL;
