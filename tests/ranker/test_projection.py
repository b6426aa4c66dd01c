"""What the ranker does not need of a served feed is skipped in reading."""

from foryou.contract.codec import Decoder, Encoder
from foryou.contract.schemas import projection, schema
from foryou.ranker.pipeline import rank
from foryou.ranker.side_effects.served_record import served_record
from foryou.ranker.testing import APP, published, query_of, small_world


def test_a_served_feed_is_read_back_as_who_saw_which_videos():
    query = query_of(small_world([published("v1"), published("v2")]), user_key="uk_me")
    record = served_record(query, rank(query), None)
    encode = Encoder(schema("served"), 7)
    decode = Decoder(
        lambda _: schema("served"), projection(schema("served"), {"app_id", "user_key", "items", "video_id"})
    )
    seen = [{"video_id": item["video_id"]} for item in record["items"]]
    assert decode(encode(record)) == {"app_id": APP, "user_key": "uk_me", "items": seen}
