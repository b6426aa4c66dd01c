"""Trends once more, by loops: what `foryou.lake.trends` is compared with."""

import math
from collections import defaultdict
from datetime import timedelta

DAY_MS = 86_400_000


def added(row, weights):
    length = row["duration_ms"] or row["video_duration_ms"]
    said = {
        "plays": row["event_type"] == "play_start",
        "finishes": row["event_type"] == "view_end" and row["watch_ms"] * 100 >= length * 95,
        "likes": row["event_type"] == "like" and row["relation_on"] == 1,
        "shares": row["event_type"] == "share" and row["relation_on"] == 1,
        "comments": row["event_type"] == "comment",
    }
    return sum(weights[name] for name, true in said.items() if true)


def newest(rows, field):
    words = [(row["time"], row["event_id"], row[field]) for row in rows if row[field] is not None]
    return max(words)[2] if words else None


def trends(clean, content, day, rules):
    first = day - timedelta(days=13)
    rows = [r for r in clean if first <= r["day"] <= day and not r["flagged"] and r["video_id"]]
    rows = [r for r in rows if added(r, rules.weights) > 0]
    by_video = defaultdict(list)
    for row in rows:
        by_video[row["app_id"], row["video_id"]].append(row)
    stamped = defaultdict(list)
    for row in content:
        time = min(row["event_time"], row["received_at"])
        stamped[row["app_id"], row["video_id"]].append({**row, "time": time})
    what = {
        video: {
            "category": newest(events, "category"),
            "creator": newest(events, "creator_key"),
            "hashtags": sorted(set(newest(stamped[video], "hashtags") or [])),
        }
        for video, events in by_video.items()
    }
    found = []
    for period, days in (("day", 1), ("week", 7)):
        found += _of_period(rows, what, period, days, day, rules)
    return sorted(found, key=lambda row: [row[c] for c in ("app_id", "period", "dimension", "key", "kind", "rank")])


def _places(row, about):
    video = row["video_id"]
    region = row["user_region"] or row["region"]
    yield "video", "", video
    for dimension, value in (("region", region), ("category", about["category"]), ("creator", about["creator"])):
        if value is not None:
            yield dimension, "", value
            yield dimension, value, video
    for tag in about["hashtags"]:
        yield "hashtag", "", tag
        yield "hashtag", tag, video


def _of_period(rows, what, period, days, day, rules):
    end = ((day - day.fromtimestamp(0)).days + 1) * DAY_MS
    start, earliest = end - days * DAY_MS, end - 2 * days * DAY_MS
    score, events = defaultdict(int), defaultdict(int)
    people, before = defaultdict(set), defaultdict(set)
    for row in rows:
        if not earliest <= row["time"] < end:
            continue
        for place in _places(row, what[row["app_id"], row["video_id"]]):
            at = (row["app_id"], *place)
            if row["time"] < start:
                before[at].add(row["user_key"])
                continue
            people[at].add(row["user_key"])
            events[at] += 1
            age = (end - row["time"]) / (rules.half_life_hours[period] * 3_600_000)
            score[at] += math.floor(added(row, rules.weights) * 0.5**age * 1_000_000 + 0.5)
    lists = defaultdict(list)
    for at, who in people.items():
        if len(who) < rules.least.people:
            continue
        app, dimension, key, subject = at
        videos = [other for other in {*people, *before} if other[:2] == (app, "video")]
        now, then = (sum(len(counted[v]) for v in videos if v in counted) for counted in (people, before))
        share, n, m = now / (now + then), len(who), len(before.get(at, ()))
        sure, growth = _judged(n, m, share, rules.rising.z)
        row = {
            "app_id": app, "period": period, "dimension": dimension, "key": key, "subject": subject,
            "events": events[at], "people": n, "before": m, "confidence": sure, "day": day,
        }  # fmt: skip
        lists[app, dimension, key, "popular"].append({**row, "kind": "popular", "score": score[at] / 1_000_000})
        if sure >= rules.rising.confidence:
            lists[app, dimension, key, "rising"].append({**row, "kind": "rising", "score": growth})
    for (_, dimension, _, _), listed in lists.items():
        listed.sort(key=lambda row: (-row["score"], -row["people"], row["subject"]))
        for rank, row in enumerate(listed[: rules.most[dimension]], start=1):
            yield {**row, "rank": rank}


def _judged(n, m, share, z):
    if share >= 1:
        return 0.0, 0.0
    both = n + m
    deviate = max(-8.0, min(8.0, (n - both * share - 0.5) / math.sqrt(both * share * (1 - share))))
    sure = 1 / (1 + math.exp(-(1.5976 * deviate + 0.07056 * deviate**3)))
    rate = n / both
    middle = rate + z * z / (2 * both)
    spread = z * math.sqrt(rate * (1 - rate) / both + z * z / (4 * both * both))
    least = max(0.0, (middle - spread) / (1 + z * z / both))
    return round(sure, 9), round(least * (1 - share) / ((1 - least) * share), 9)
