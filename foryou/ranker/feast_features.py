"""Viewers' features through Feast, in this process: the store's files, merged at the moment of reading.

Which online store answers is said by the configuration file alone (`reader.yaml` beside the store's files), so that
Redis or a remote store is a change of that file.
"""

import asyncio
import contextlib
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import foryou.service.feast_unread  # noqa: F401
from foryou.ranker.user_features import FeaturesUnavailable, FeatureValue, UserFeatures
from foryou.service import garbage

log = logging.getLogger(__name__)

SERVICE = "ranking_v1"
BUDGET_S = 0.040  # a read takes a millisecond; a page without the viewer's features costs more than a late one
MOST_WAITING = 64  # reads behind a store that hangs; more would wait in vain
RETRY_S = 1.0
KEEP_WARM_S = 0.1  # a store that reads its writer's log catches up when it is read: little at a time, not for a viewer
LOOK_EVERY_S = 2.0  # at what `feast apply` may have changed
_KEYS = frozenset({"app_id", "user_key"})


class FeastFeatures:
    """A FeatureReader over a Feast repository file. Opens it in the background, again and again until it is there."""

    def __init__(self, yaml: Path, budget_s: float = BUDGET_S) -> None:
        self._yaml, self._budget_s = yaml, budget_s
        self._pool = ThreadPoolExecutor(1, "features")
        self._opened: tuple[Any, Any] | None = None  # Feast's store and the service
        self._waiting = 0
        self._stopping = threading.Event()
        self._registry_seen = 0
        self.lacks: str | None = "the feature store is not open yet"

    def start(self) -> None:
        """Begins to open the store."""
        threading.Thread(target=self._keep_open, name="open features", daemon=True).start()

    def stop(self) -> None:
        """Ends the worker."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def read(self, app_id: str, user_key: str, now_ms: int) -> UserFeatures:
        """The viewer's values within the budget. Raises FeaturesUnavailable."""
        if self._opened is None:
            raise FeaturesUnavailable(self.lacks or "the feature store is not open yet")
        if self._waiting >= MOST_WAITING:
            raise FeaturesUnavailable("the feature store hangs")
        self._waiting += 1
        reading = self._pool.submit(self._read, app_id, user_key)
        loop = asyncio.get_running_loop()

        def done(_: Future[dict[str, FeatureValue]]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone: the process stops
                loop.call_soon_threadsafe(self._done)

        reading.add_done_callback(done)
        try:
            values = await asyncio.wait_for(asyncio.wrap_future(reading), self._budget_s)
        except TimeoutError:
            raise FeaturesUnavailable(f"the feature store took more than {self._budget_s * 1000:.0f} ms") from None
        except Exception as error:  # whatever the online store raises: to a feed all of it means the same
            self._note(f"{type(error).__name__}: {error}")
            raise FeaturesUnavailable(str(self.lacks)) from error
        self._note(None)
        return UserFeatures(now_ms, values)

    def _done(self) -> None:
        self._waiting -= 1

    def _read(self, app_id: str, user_key: str) -> dict[str, FeatureValue]:
        assert self._opened is not None
        store, service = self._opened
        answer = store.get_online_features(service, [{"app_id": app_id, "user_key": user_key}]).to_dict()
        return {name: values[0] for name, values in answer.items() if name not in _KEYS and values[0] is not None}

    def _keep_open(self) -> None:
        self._open_store()
        looked = time.monotonic()
        while not self._stopping.wait(KEEP_WARM_S):
            try:
                if not self._waiting:
                    self._pool.submit(self._read, "", "").result()
                if time.monotonic() - looked > LOOK_EVERY_S:
                    looked = time.monotonic()
                    self._follow_registry()
            except Exception as error:  # noqa: BLE001 - the thread's own boundary: the next round tries again
                self._note(f"{type(error).__name__}: {error}")

    def _follow_registry(self) -> None:
        assert self._opened is not None
        store, _ = self._opened
        changed = Path(store.config.registry.path).stat().st_mtime_ns
        if changed != self._registry_seen:
            self._registry_seen = changed
            store.refresh_registry()
            self._opened = (store, store.get_feature_service(SERVICE))

    def _note(self, lacks: str | None) -> None:
        if lacks != self.lacks and lacks is not None:
            log.warning("features are not available", extra={"why": lacks})
        self.lacks = lacks

    def _open_store(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                if not self._yaml.exists():
                    raise FileNotFoundError(f"{self._yaml.name} is not there yet: the store process writes it")
                from feast import FeatureStore  # takes a second: not before the door is open
                from feast.repo_config import load_repo_config

                config = load_repo_config(self._yaml.parent, self._yaml)
                config.registry.cache_ttl_seconds = 0  # no refresh in the middle of a request
                store = FeatureStore(config=config)
                self._opened = (store, store.get_feature_service(SERVICE))
                self._read("", "")  # opens the files, so that the first viewer does not wait for it
                self._note(None)
                garbage.quieten()
                log.info("features are open", extra={"seconds": round(time.monotonic() - started, 2)})
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the feed answers from trends meanwhile
                self._opened = None
                self._note(f"the feature store cannot be opened: {type(error).__name__}: {error}")
                self._stopping.wait(RETRY_S)
