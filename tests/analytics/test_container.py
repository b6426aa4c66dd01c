"""Records of Kafka as Avro container files."""

import io

import fastavro
import pytest

from foryou.analytics.loader.container import pack, readable
from foryou.analytics.loader.source import Fetched
from foryou.contract.codec import Decoder, Encoder, NotAvro

SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}, {"name": "s", "type": "string"}]}


def schema(schema_id):
    if schema_id > 2:
        raise NotAvro("unknown")
    return SCHEMA


def records(*values):
    return [Fetched(0, offset, value) for offset, value in enumerate(values)]


@pytest.mark.parametrize("count", [1, 70, 9_000])
def test_a_file_holds_every_record_of_a_schema_in_order(count):
    rows = [{"a": number, "s": "ü" * (number % 200)} for number in range(count)]
    packed = pack(records(*map(Encoder(SCHEMA, 1), rows)), schema)
    assert packed.unreadable == 0
    assert [list(fastavro.reader(io.BytesIO(file))) for file in packed.files] == [rows]


def test_every_schema_has_its_file_and_what_cannot_be_read_is_counted():
    row = {"a": 1, "s": "x"}
    one, two, unknown = (Encoder(SCHEMA, number)(row) for number in (1, 2, 3))
    packed = pack(records(one, two, one, unknown, b"", b"\x00\x00", b"json"), schema)
    assert (len(packed.files), packed.unreadable) == (2, 4)


def test_a_body_that_does_not_fit_is_found_one_by_one():
    good = Encoder(SCHEMA, 1)({"a": 1, "s": "x"})
    listed = records(good, good[:-1], good)
    assert list(readable(listed, Decoder(schema))) == [listed[0], listed[2]]
