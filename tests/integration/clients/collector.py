"""A collector on a socket whose log is in memory: `python collector.py <port>`. GET /taken tells what it took."""

import sys
import time

from foryou.contract.topics import REJECTED
from foryou.service.serving import serve
from foryou.service.web import json_response
from tests.collector.conftest import TOPICS_WRITTEN, Collector


def main(port: int) -> None:
    collector = Collector(clock_ms=lambda: time.time_ns() // 1_000_000)

    async def taken(_):
        letters = [{**letter, "body": letter["body"].decode("utf-8", "replace")} for letter in collector.rejected()]
        events = [record for topic in TOPICS_WRITTEN if topic != REJECTED for record in collector.records(topic)]
        return json_response(200, {"events": events, "letters": letters})

    collector.router.add("GET", "/taken", taken, max_body=0)
    serve(collector.router, "127.0.0.1", port)


if __name__ == "__main__":
    main(int(sys.argv[1]))
