-- Partial sums and sets of the rows of `source` (planned, or the day that the night has), into `target`.
INSERT INTO {target:Identifier}
(
    app_id, day, event_type, category, region, origin, events, watch_ms, finishes, skips, flagged, people, as_of
)
SELECT
    app_id, day, event_type,
    ifNull(e.category, '') AS category,
    coalesce(e.region, e.user_region, '') AS region,
    origin,
    count() AS events,
    sumIf(ifNull(e.watch_ms, 0), event_type = 'view_end') AS watch_ms,
    countIf(event_type = 'view_end' AND e.watch_ms * 100 >= coalesce(duration_ms, video_duration_ms) * 95) AS finishes,
    countIf(event_type = 'view_end' AND coalesce(e.watch_ms, 2000) < 2000
        AND coalesce(duration_ms, video_duration_ms, 2001) > 2000) AS skips,
    countIf(e.flagged) AS flagged,
    uniqExactStateIf(user_key, user_key != '') AS people,
    max(e.as_of) AS as_of
FROM {source:Identifier} AS e
GROUP BY app_id, day, event_type, category, region, origin
