import io
import json
import logging

import pytest

from foryou.service.logs import configure


@pytest.fixture
def lines():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("collector", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = handlers, level


def test_a_log_line_is_json_with_time_level_process_and_extras(lines):
    logging.getLogger("x").info("took %d", 3, extra={"event_id": "e-1"})

    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "process": "collector", "logger": "x", "message": "took 3", "event_id": "e-1"}


def test_an_exception_and_an_odd_extra_stay_on_one_line(lines):
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        logging.getLogger("x").exception("broke", extra={"what": object})

    (line,) = lines()
    assert "one\ntwo" in line["exception"] and line["what"] == repr(object)


def test_librdkafkas_repeated_news_pass_once(lines):
    for number in range(5):
        logging.getLogger("librdkafka").error("FAIL [collector#producer-1] connect %d", number)

    assert [line["message"] for line in lines()] == ["FAIL [collector#producer-1] connect 0"]


def test_news_pass_however_many_others_there_were(lines):
    for number in range(1_500):
        logging.getLogger("librdkafka").error("%016d connect", number)

    assert len(lines()) == 1_500
