"""Feast beside the writer: its configuration, the objects of `feature_repo/`, and the registry that shells change."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from feast import FeatureStore, RepoConfig
from feast.repo_operations import parse_repo

from foryou.service.settings import REPO, Settings
from foryou.store.checks import Known
from foryou.store.online import TileOnlineStore, follow_registry
from foryou.store.rows import Rows

log = logging.getLogger(__name__)

FEATURE_REPO = REPO / "feature_repo"
FOLLOW_EVERY_S = 1.0


def rocks_path(settings: Settings) -> Path:
    """The RocksDB folder; the store process writes it, secondaries read it."""
    return settings.home / "store" / "rocks"


def registry_path(settings: Settings) -> Path:
    return settings.home / "store" / "registry.db"


def config(settings: Settings, online_store: dict[str, str]) -> dict[str, Any]:
    """What stands in a feature_store.yaml for this stack, with absolute paths."""
    return {
        "project": "foryou",
        "provider": "local",
        "registry": {
            "path": str(registry_path(settings)),
            "registry_store_type": "foryou.store.registry.AtomicFileRegistryStore",
            "cache_ttl_seconds": 5,
        },
        "online_store": online_store,
        "offline_store": {"type": "foryou.store.offline.TileOfflineStore", "lake": str(settings.home / "lake")},
        "entity_key_serialization_version": 3,
    }


def write_configs(settings: Settings) -> None:
    """`store/feature_store.yaml` for shells beside this stack, `store/reader.yaml` for a process that reads the files
    itself."""
    folder = settings.home / "store"
    folder.mkdir(parents=True, exist_ok=True)
    stores = {
        "feature_store.yaml": {"type": "remote", "path": settings.url("store")},
        "reader.yaml": {
            "type": "foryou.store.online.TileOnlineStore",
            "mode": "secondary",
            "path": str(rocks_path(settings)),
        },
    }
    for name, online_store in stores.items():
        draft = folder / f".{name}"
        # JSON is YAML.
        draft.write_text(json.dumps(config(settings, online_store), indent=2), "utf-8")
        draft.replace(folder / name)


def open_store(settings: Settings, rows: Rows, clock: Callable[[], int]) -> FeatureStore:
    """Feast over the rows that this process writes, with the repository's objects applied: a fresh stack serves at
    once."""
    primary = {"type": "foryou.store.online.TileOnlineStore", "mode": "primary", "path": str(rocks_path(settings))}
    settled = config(settings, primary)
    settled["registry"]["cache_ttl_seconds"] = 0  # no refresh in the middle of a request: RegistryFollower does it
    store = FeatureStore(config=RepoConfig(**settled, repo_path=FEATURE_REPO))
    online = store._get_provider().online_store
    assert isinstance(online, TileOnlineStore)
    online.attach(rows, clock)
    store.apply(_objects(FEATURE_REPO))
    return store


def _objects(repo: Path) -> list[Any]:
    with _inside(repo):
        found = parse_repo(repo)
    return [*found.data_sources, *found.entities, *found.feature_views, *found.feature_services]


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Feast names a repository's modules by their path from the working directory."""
    before, writes = Path.cwd(), sys.dont_write_bytecode
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = writes


class RegistryFollower(threading.Thread):
    """Takes over what `feast apply` in a shell has written, and purges the rows of the views that it removed."""

    def __init__(self, store: FeatureStore, path: Path, rows: Rows) -> None:
        super().__init__(name="registry-follower", daemon=True)
        self._store, self._path, self._rows = store, path, rows
        self._stopping = threading.Event()
        self._seen: tuple[int, int] | None = None
        self.known = Known.of(store)

    def run(self) -> None:
        while not self._stopping.wait(FOLLOW_EVERY_S):
            try:
                self.look()
            except Exception:  # the thread's own boundary: a registry that cannot be read must not end it
                log.exception("the registry could not be taken over; serving what was known")

    def look(self) -> None:
        """One look. A registry that is missing (`feast teardown`) purges nothing: nobody said which views are gone."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            if self._seen is not None:
                log.warning("the registry is gone; serving what was known, `feast apply` brings it back")
            self._seen = None
            return
        seen = (stat.st_mtime_ns, stat.st_ino)
        if seen == self._seen:
            return
        self._store.refresh_registry()
        self.known = Known.of(self._store)
        follow_registry(self._rows, list(self.known.views))
        if self._seen is not None:
            log.info("took over the registry", extra={"views": sorted(self.known.views)})
        self._seen = seen

    def stop(self) -> None:
        self._stopping.set()
