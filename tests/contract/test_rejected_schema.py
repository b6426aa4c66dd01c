"""Dead letters of before and of now can be read by readers of before and of now (FULL compatibility)."""

import io

import fastavro

from foryou.contract.schemas import schema

NEW = schema("rejected")
ADDED = {"sealed_by", "way", "body_bytes", "kept_bytes", "contract"}
OLD = {**NEW, "fields": [field for field in NEW["fields"] if field["name"] not in ADDED]}
LETTER = {
    "rejected_at": 1,
    "app_id": "demo",
    "event_id": None,
    "door": "/v1/events",
    "reason": "r",
    "field": None,
    "detail": "d",
    "body": b"x",
}


def across(written, read, record):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(written), record)
    data = io.BytesIO(out.getvalue())
    return fastavro.schemaless_reader(data, fastavro.parse_schema(written), fastavro.parse_schema(read))


def test_a_reader_of_now_reads_a_letter_of_before():
    assert across(OLD, NEW, LETTER) == {**LETTER, **dict.fromkeys(ADDED)}


def test_a_reader_of_before_reads_a_letter_of_now():
    letter = {**LETTER, "sealed_by": "k", "way": b"w", "body_bytes": 1, "kept_bytes": 1, "contract": "c"}
    assert across(NEW, OLD, letter) == LETTER


def test_every_added_field_has_a_default():
    assert all("default" in field for field in NEW["fields"] if field["name"] in ADDED)
