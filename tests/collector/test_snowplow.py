"""The Snowplow tracker protocol: payloads become our events, the media vocabulary becomes our signals."""

import base64
import json
from urllib.parse import urlencode

import pytest

from foryou.collector.protocols import snowplow

from .conftest import KEY, NOW

ACTION, CONTEXT = "events.action.v1", "events.context.v1"
TP2 = "/com.snowplowanalytics.snowplow/tp2"
UUID = "0190f7a2-7c3b-4d1e-9a5f-1a2b3c4d5e6f"
NO_HEADER = {"authorization": ""}
MEDIA = "iglu:com.snowplowanalytics.snowplow.media"


def payload(kind, **changes) -> dict:
    said = {"e": kind, "eid": UUID, "dtm": str(NOW - 500), "stm": str(NOW), "uid": "u1", "duid": "d1", "aid": KEY}
    return said | changes


def described(schema, data, *entities, packed=True, **more) -> dict:
    outer = {"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"}
    texts = {
        "ue": json.dumps({**outer, "data": {"schema": f"{schema}/jsonschema/1-0-0", "data": data}}),
        "c": json.dumps(
            {"schema": "iglu:contexts", "data": [{"schema": f"{s}/jsonschema/1-0-0", "data": d} for s, d in entities]}
        ),
    }
    if not packed:
        return payload("ue", ue_pr=texts["ue"], co=texts["c"], **more)
    coded = {name: base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") for name, text in texts.items()}
    return payload("ue", ue_px=coded["ue"], cx=coded["c"], **more)


def media(event, packed=True, **more) -> dict:
    player = (f"{MEDIA}/media_player", {"currentTime": 9.5, "duration": 30, "label": "v1"})
    session = (f"{MEDIA}/session", {"mediaSessionId": "m1", "timePlayed": 12.25, "timeBuffering": 0.5})
    return described(f"{MEDIA}/{event}_event", {}, player, session, packed=packed, **more)


def send(collector, *payloads):
    body = {"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": payloads}
    return collector.ask("POST", TP2, json.dumps(body).encode(), NO_HEADER)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("event", "kind"),
    [("ping", "play_progress"), ("percent_progress", "play_progress"), ("pause", "play_progress"), ("end", "view_end")],
)
def test_the_media_vocabulary_is_ours(collector, event, kind, packed):
    answer = send(collector, media(event, packed))

    assert (answer.status, answer.body) == (200, b"ok")
    (record,) = collector.records(ACTION)
    taken = ("event_type", "video_id", "impression_id", "watch_ms", "duration_ms", "rebuffer_ms", "event_id", "sent_at")
    assert [record[name] for name in taken] == [kind, "v1", "m1", 12_250, 30_000, 500, UUID, NOW]
    assert record["device_key"] == collector.identity.device_key("demo", "d1")


def test_playing_on_after_a_pause_is_no_second_start(collector):
    send(collector, media("play"), media("play", eid="0190f7a2-7c3b-4d1e-9a5f-000000000000"))

    ids = [record["event_id"] for record in collector.records(ACTION)]
    assert len(ids) == 2 and len(set(ids)) == 1


def test_an_apps_own_schema_named_as_a_type_of_ours_is_that_event(collector):
    send(collector, described("iglu:com.acme/like", {"videoId": "v7", "color": "red"}))

    (record,) = collector.records(ACTION)
    assert (record["event_type"], record["video_id"], record["properties"]) == ("like", "v7", {"color": "red"})


def test_a_structured_event_says_the_type_by_its_action_and_what_about_by_its_label(collector):
    send(
        collector,
        payload("se", se_ca="feed", se_ac="follow", se_la="u2"),
        payload("se", se_ca="feed", se_ac="view_end", se_la="v1", se_va="1500.0"),
    )
    follow, end = collector.records(ACTION)
    assert follow["target_user_key"] == collector.identity.user_key("demo", "u2")
    assert (end["video_id"], end["watch_ms"], end["properties"]["se_category"]) == ("v1", 1500, "feed")


def test_a_page_view_is_an_opened_screen(collector):
    send(collector, payload("pv", url="https://example.org/", page="Home", lang="de-DE"))

    (record,) = collector.records(CONTEXT)
    assert (record["event_type"], record["properties"], record["locale"]) == ("app_open", {"screen": "Home"}, "de-DE")


def test_the_pixel_takes_an_event_and_answers_a_gif(collector):
    query = urlencode(payload("se", se_ac="like", se_la="v é"))
    answer = collector.ask("GET", f"/i?{query}", headers=NO_HEADER)

    assert (answer.status, answer.headers["content-type"], answer.body[:6]) == (200, "image/gif", b"GIF89a")
    assert "no-store" in answer.headers["cache-control"]
    assert collector.records(ACTION)[0]["video_id"] == "v é"


@pytest.mark.parametrize(
    "bad",
    [payload("tr"), payload("se", se_ac="order"), payload("ue", ue_px="!!!"), payload("ue"), {"aid": KEY}, payload(5)],
)
def test_what_has_no_counterpart_is_a_dead_letter_and_its_batch_goes_on(collector, bad):
    assert send(collector, payload("pv", page="x"), bad).status == 200

    (letter,) = collector.rejected()
    assert (letter["reason"], json.loads(letter["body"])) == ("no_mapping", bad)
    assert collector.counted("accepted") == 1
    assert not isinstance(snowplow.again(letter["body"], NOW), bytes)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x", 400),
        (b"", 400),
        (b"{}", 401),
        (b'{"data":[]}', 400),
        (b'{"data":5}', 400),
        (b'{"data":[{"aid":"x"}]}', 401),
    ],
)
def test_a_bad_body_names_the_field_and_the_remedy(collector, body, status):
    answer = collector.ask("POST", TP2, body, NO_HEADER)
    assert answer.status == status and answer.json()["field"] and answer.json()["remedy"]
    assert collector.log.records == []


def test_a_query_of_a_thousand_parameters_is_a_400(collector):
    query = "&".join(f"a{i}=1" for i in range(1000))
    answer = collector.ask("GET", f"/i?{query}&aid={KEY}", headers=NO_HEADER)
    assert (answer.status, answer.json()["field"]) == (400, "query")


def test_the_key_may_be_in_the_query_for_who_cannot_set_a_header(collector):
    body = json.dumps(payload("pv", page="x", aid="my-app")).encode()
    assert collector.ask("POST", f"{TP2}?write_key={KEY}", body, NO_HEADER).status == 200
