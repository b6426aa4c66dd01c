"""A ranker on a socket without Kafka: `python ranker.py <port>`."""

import sys

from foryou.service.serving import serve
from tests.ranker.test_feed_door import Stack

if __name__ == "__main__":
    serve(Stack().router, "127.0.0.1", int(sys.argv[1]))
