"""Feast's file registry, written so that a reader, or a crash, never meets half a file.

Feast truncates the file and writes it again: the store process would read an empty registry in between and serve
nothing, and a kill at that moment would leave it so.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto


class AtomicFileRegistryStore(FileRegistryStore):  # type: ignore[misc]
    """Named in feature_store.yaml as `registry_store_type`."""

    def _write_registry(self, registry_proto: RegistryProto) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.FromDatetime(datetime.now(UTC))
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        draft = self._filepath.with_name(f".{self._filepath.name}.{os.getpid()}")
        with draft.open("wb") as file:
            file.write(registry_proto.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._filepath)
