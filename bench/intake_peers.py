"""What the collector is measured against: an endpoint that drops what it gets, and the collector that one writes first.

    python -m bench.intake_peers drop|fastapi <port> <bootstrap>

`drop` is our own HTTP server that reads the body and answers 202. `fastapi` is FastAPI under uvicorn with a model of
the event and a confluent-kafka producer, which answers when Kafka has the event (acks=all).
"""

import asyncio
import sys
import threading
from typing import Annotated, Any

import uvicorn
from confluent_kafka import Producer
from fastapi import Body, FastAPI, HTTPException
from pydantic import BaseModel

from foryou.service.metrics import Metrics
from foryou.service.serving import serve
from foryou.service.web import Request, Response, Router


class Event(BaseModel):
    """The fields that the load sends."""

    event_id: str
    event_type: str
    user_id: str
    device_id: str | None = None
    session_id: str | None = None
    seq: int | None = None
    video_id: str
    event_time: int
    watch_ms: int | None = None
    duration_ms: int | None = None
    position: int | None = None
    context: dict[str, str] | None = None


def fastapi_collector(bootstrap: str) -> FastAPI:
    """One route, one producer, one thread that polls."""
    app = FastAPI()
    producer = Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 1, "log_level": 0}
    )

    def poll() -> None:
        while True:
            producer.poll(0.1)

    threading.Thread(target=poll, daemon=True).start()

    @app.post("/v1/events", status_code=202)
    async def post(sent: Annotated[Event | list[Event], Body()]) -> dict[str, int]:
        events = sent if isinstance(sent, list) else [sent]
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        left = len(events)

        def delivered(error: Any, _: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                loop.call_soon_threadsafe(done.set_result, None)

        try:
            for event in events:
                producer.produce(
                    "events.context.v1", event.model_dump_json().encode(), event.user_id.encode(), on_delivery=delivered
                )
        except BufferError as error:
            raise HTTPException(503) from error
        await done
        return {"accepted": len(events)}

    return app


def main() -> None:
    """The process."""
    kind, port, bootstrap = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if kind == "fastapi":
        uvicorn.run(fastapi_collector(bootstrap), host="127.0.0.1", port=port, log_level="error", access_log=False)
        return
    router = Router(Metrics())

    async def drop(_: Request) -> Response:
        return Response(202, b"{}")

    router.add("POST", "/v1/events", drop, max_body=1 << 20)
    serve(router, "127.0.0.1", port)


if __name__ == "__main__":
    main()
