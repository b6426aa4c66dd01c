"""Feast's online store over `Rows`: tile views are merged at the moment of reading, plain views are rows as Feast
knows them.

Named in `feature_store.yaml` as `foryou.store.online.TileOnlineStore`; Feast finds the config class beside it by its
name.

Two ways to open (`mode`): `secondary` reads the files of a store process (the ranker, a notebook), `primary` is the
store process itself, which hands its open rows over with `attach`. Everyone else asks the store process over HTTP
(Feast's `remote` store).

Guards. A plain row is replaced only by one whose event time is newer or equal, within a batch and against what is
stored: the stream's push and the nightly materialisation may collide in any order. A tile view is never written
through Feast: its tiles carry their own version (foryou.features.merge), event time could not order them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from feast import Entity, FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.EntityKey_pb2 import EntityKey as EntityKeyProto
from feast.protos.feast.types.Value_pb2 import Value as ValueProto
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from foryou.features import cutoff, merge
from foryou.features.definitions import VIEWS
from foryou.features.spec import Dtype, View
from foryou.store import plain
from foryou.store.rocks import SecondaryRows, StoreUnavailableError
from foryou.store.rows import (
    PLAIN,
    Batch,
    Rows,
    cutoff_key,
    offset_prefix,
    plain_key,
    plain_prefix,
    tile_key,
    tile_prefix,
    topic_id_key,
    views_with,
    withdrawn_key,
)

WriteRow = tuple[EntityKeyProto, dict[str, ValueProto], datetime, datetime | None]
ReadRow = tuple[datetime | None, dict[str, ValueProto] | None]
NOT_FOUND: ReadRow = (None, None)
AHEAD_MS = 24 * 60 * 60 * 1000  # how far a row's event time may be ahead of our clock


def now_ms() -> int:
    """The wall clock in UTC ms."""
    return time.time_ns() // 1_000_000


class TileOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """`online_store:` in feature_store.yaml. `path` is the RocksDB folder of the store process."""

    type: Literal["foryou.store.online.TileOnlineStore"] = "foryou.store.online.TileOnlineStore"
    mode: Literal["primary", "secondary"] = "secondary"
    path: str = ""


class TileOnlineStore(OnlineStore):  # type: ignore[misc]
    """See the module's text. Feast constructs it without arguments and hands the config to every call."""

    def __init__(self) -> None:
        self._rows: Rows | None = None
        self._clock: Callable[[], int] = now_ms
        self._opening = threading.Lock()

    def attach(self, rows: Rows, clock: Callable[[], int] = now_ms) -> None:
        """Use these open rows (the primary's, or a test's) and this clock (UTC ms)."""
        self._rows, self._clock = rows, clock

    def _open(self, config: RepoConfig) -> Rows:
        rows = self._rows
        if rows is None:
            with self._opening:
                if self._rows is None:
                    settings = config.online_store
                    if settings.mode == "primary":
                        raise StoreUnavailableError("mode primary is for the store process, which attaches its rows")
                    self._rows = SecondaryRows(Path(config.repo_path or ".") / settings.path)
                rows = self._rows
        rows.catch_up()
        return rows

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        return SupportedAsyncMethods(read=True, write=True)

    # reading

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKeyProto],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """One (event time, feature → value) per entity key, or (None, None) for an entity that is not known."""
        rows = self._open(config)
        view = VIEWS.get(table.name)
        if view is not None:
            return _read_tiles(rows, view, entity_keys, requested_features, self._clock())
        return _read_plain(rows, config, table, entity_keys, requested_features, self._clock())

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKeyProto],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """The same: a read takes microseconds, less than handing it to a thread."""
        return self.online_read(config, table, entity_keys, requested_features)

    # writing

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[WriteRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Writes plain rows that are not older than what is there; on disk when this returns. Raises ValueError for a
        tile view: its values come from the stream alone."""
        if table.name in VIEWS:
            topic = VIEWS[table.name].topic
            raise ValueError(f"{table.name} is a tile view: its tiles come from topic {topic}; push to a plain view")
        latest = self._clock() + AHEAD_MS
        if any(_ms(event_time) > latest for _, _, event_time, _ in data):
            # It would win over every later row until that time has come.
            raise ValueError("event_timestamp lies more than a day in the future")
        rows = self._open(config)
        offered: dict[bytes, plain.PlainRow] = {}
        for entity_key, values, event_time, created in data:
            key = plain_key(table.name, _serialised(config, entity_key))
            row = plain.PlainRow(_ms(event_time), _ms(created) if created else None, values)
            offered[key] = plain.newer(offered.get(key), row)
        with rows.exclusive:
            keys = list(offered)
            stored = rows.get_many(keys)
            puts: dict[bytes, bytes | None] = {
                key: plain.encode(offered[key])
                for key, old in zip(keys, stored, strict=True)
                if old is None or plain.newer(plain.decode(old), offered[key]) is offered[key]
            }
            if puts:
                rows.write(Batch(puts), durable=True)
        if progress:
            progress(len(data))

    async def online_write_batch_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[WriteRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        self.online_write_batch(config, table, data, progress)

    # what `feast apply` changes

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Purges the rows of removed views. A removed tile view is withdrawn too: it is not consumed until it is
        applied again, and then from the beginning of its topic. A secondary changes nothing: the store process follows
        the registry."""
        if config.online_store.mode == "primary":
            reconcile(
                self._open(config), [table.name for table in tables_to_delete], [table.name for table in tables_to_keep]
            )

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Purges the rows of these views."""
        self.update(config, tables, [], entities, [], partial=False)

    async def close(self) -> None:
        """Lets go of a secondary; the primary's rows belong to the store process."""
        if isinstance(self._rows, SecondaryRows):
            self._rows.close()
            self._rows = None


def reconcile(rows: Rows, removed: Sequence[str], kept: Sequence[str]) -> None:
    """Purge what was removed; let a tile view that came back be consumed again."""
    purges: list[bytes] = []
    puts: dict[bytes, bytes | None] = {}
    for name in removed:
        if name in VIEWS:
            # Rows and offsets go together: whoever reads the topic again must read all of it.
            purges += [tile_prefix(name), offset_prefix(VIEWS[name].topic)]
            puts[cutoff_key(name)] = None
            puts[topic_id_key(VIEWS[name].topic)] = None
            puts[withdrawn_key(name)] = b""
        else:
            purges.append(plain_prefix(name))
    puts |= {withdrawn_key(name): None for name in kept if name in VIEWS and rows.get(withdrawn_key(name)) is not None}
    if puts or purges:
        rows.write(Batch(puts, purges), durable=True)


def follow_registry(rows: Rows, registered: Sequence[str]) -> None:
    """Bring the store in line with the registry's views. `feast apply` in a shell changes the registry alone: Feast's
    remote online store passes on reads and writes, but no `update`."""
    plain_views = views_with(rows, PLAIN)
    gone = [name for name in [*plain_views, *VIEWS] if name not in registered]
    gone = [name for name in gone if name in plain_views or rows.get(withdrawn_key(name)) is None]
    reconcile(rows, gone, registered)


def _read_tiles(
    rows: Rows, view: View, entity_keys: list[EntityKeyProto], requested: list[str] | None, now: int
) -> list[ReadRow]:
    keys = [_tile_key_of(view, entity_key) for entity_key in entity_keys]
    known = rows.get_many([cutoff_key(view.full_name), *(key for key in keys if key is not None)])
    until, packed = cutoff.decode(known[0]).ms, iter(known[1:])
    dtypes = {
        feature.name: feature.dtype for feature in view.features if requested is None or feature.name in requested
    }
    answer: list[ReadRow] = []
    for key in keys:
        stored = next(packed) if key is not None else None
        answer.append(NOT_FOUND if stored is None else _merged(view, stored, dtypes, now, until))
    return answer


def _merged(view: View, stored: bytes, dtypes: dict[str, Dtype], now: int, until: int) -> ReadRow:
    row = merge.decode(view, stored)
    newest = max([state.last_ms or 0 for state in row.values()], default=0)
    if newest <= now - view.keep:  # a reading leaves out what has expired; this one would be of nothing
        return NOT_FOUND
    values = merge.read(view, row, now, until)
    return (
        datetime.fromtimestamp(newest / 1000, UTC),
        {name: plain.value_of(dtype, values[name]) for name, dtype in dtypes.items()},
    )


def _tile_key_of(view: View, entity_key: EntityKeyProto) -> bytes | None:
    named = {name: value.string_val for name, value in zip(entity_key.join_keys, entity_key.entity_values, strict=True)}
    app_id, entity = named.get("app_id"), named.get(view.entity)
    return tile_key(view.full_name, app_id, entity) if app_id and entity else None


def _read_plain(
    rows: Rows,
    config: RepoConfig,
    table: FeatureView,
    entity_keys: list[EntityKeyProto],
    requested: list[str] | None,
    now: int,
) -> list[ReadRow]:
    stored = rows.get_many([plain_key(table.name, _serialised(config, entity_key)) for entity_key in entity_keys])
    oldest = now - table.ttl // timedelta(milliseconds=1) if table.ttl else None
    answer: list[ReadRow] = []
    for value in stored:
        row = plain.decode(value) if value is not None else None
        if row is None or (oldest is not None and row.event_ms < oldest):
            answer.append(NOT_FOUND)
        else:
            kept = {name: v for name, v in row.values.items() if requested is None or name in requested}
            answer.append((datetime.fromtimestamp(row.event_ms / 1000, UTC), kept))
    return answer


def _serialised(config: RepoConfig, entity_key: EntityKeyProto) -> bytes:
    key: bytes = serialize_entity_key(entity_key, config.entity_key_serialization_version)
    return key


def _ms(moment: datetime) -> int:
    """Feast's times without a zone are UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
