"""The Avro encoders of the collector's topics, once the registry has given their schemas an id."""

import logging
import threading
from collections.abc import Iterable, Mapping

import httpx

from foryou.contract.codec import Encoder, Registry
from foryou.contract.schemas import schema
from foryou.contract.topics import TOPICS

log = logging.getLogger(__name__)

RETRY_S = 0.5


class Encoders:
    """Registers the schemas of `topics` in a thread of its own, as often as it takes."""

    def __init__(self, registry_url: str, topics: Iterable[str]) -> None:
        self._registry = Registry(registry_url)
        self._topics = tuple(topics)
        self._encoders: dict[str, Encoder] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Asks no more."""
        self._stopped.set()

    def current(self) -> Mapping[str, Encoder] | None:
        """Encoder by topic; None while the registry has not answered."""
        return self._encoders

    def _run(self) -> None:
        said: str | None = None
        while not self._stopped.is_set():
            try:
                self._encoders = {
                    name: self._registry.encoder(TOPICS[name].subject, schema(TOPICS[name].schema))
                    for name in self._topics
                }
            except (httpx.HTTPError, ValueError, KeyError) as error:  # away, starting, or not speaking JSON yet
                if str(error) != said:
                    said = str(error)
                    log.warning("waiting for the registry", extra={"error": said})
                self._stopped.wait(RETRY_S)
            else:
                log.info("schemas are registered", extra={"topics": list(self._topics)})
                return
