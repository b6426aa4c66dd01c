"""Avro in the Confluent wire format: a zero byte, the schema's id (4 bytes, big-endian), the Avro body."""

import io
import json
from collections.abc import Callable
from typing import Any

import fastavro
import httpx

from foryou.contract.schemas import AvroSchema

Record = dict[str, Any]


class NotAvro(ValueError):
    """Bytes that are not in the wire format, or of a schema that the registry does not know."""


class Encoder:
    """Writes records of one schema under one registry id."""

    def __init__(self, schema: AvroSchema, schema_id: int) -> None:
        self._schema = fastavro.parse_schema(schema)
        self._head = b"\x00" + schema_id.to_bytes(4, "big", signed=True)  # below zero: no registry's, see lake.history

    def __call__(self, record: Record) -> bytes:
        """The record's bytes. Raises what fastavro raises when the record does not fit the schema."""
        out = io.BytesIO()
        out.write(self._head)
        fastavro.schemaless_writer(out, self._schema, record)
        return out.getvalue()


class Decoder:
    """Reads records by the schema they were written with; `fetch` gives the schema of an id, once per id.

    `reader` is a schema with fewer fields, for who needs no more: what it does not name is skipped, not built.
    """

    def __init__(self, fetch: Callable[[int], AvroSchema], reader: AvroSchema | None = None) -> None:
        self._fetch = fetch
        self._reader = fastavro.parse_schema(reader) if reader is not None else None
        self._schemas: dict[int, Any] = {}

    def __call__(self, data: bytes) -> Record:
        """The record in `data`. Raises NotAvro, and what `fetch` raises (of a Registry: httpx.HTTPError)."""
        if len(data) < 6 or data[0] != 0:
            raise NotAvro("not in the Confluent wire format: the first byte must be 0, then 4 bytes of schema id")
        schema_id = int.from_bytes(data[1:5], "big", signed=True)
        schema = self._schemas.get(schema_id)
        if schema is None:
            schema = self._schemas[schema_id] = fastavro.parse_schema(self._fetch(schema_id))
        try:
            record: Record = fastavro.schemaless_reader(io.BytesIO(memoryview(data)[5:]), schema, self._reader)
        except (EOFError, ValueError, IndexError, TypeError) as error:
            raise NotAvro(f"body does not fit schema {schema_id}: {error}") from error
        return record


class Registry:
    """A client for the little of the Confluent registry API that we use; `url` ends before `/subjects`."""

    def __init__(self, url: str, timeout_s: float = 5.0, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(timeout=timeout_s, headers={"Accept": "application/json"}, transport=transport)
        self._url = url.rstrip("/")

    def register(self, subject: str, schema: AvroSchema) -> int:
        """Registers a schema (or finds it) and returns its id. Raises httpx.HTTPError, with 409 when incompatible."""
        answer = self._http.post(f"{self._url}/subjects/{subject}/versions", json={"schema": json.dumps(schema)})
        answer.raise_for_status()
        return int(answer.json()["id"])

    def schema(self, schema_id: int) -> AvroSchema:
        """The schema of an id. Raises NotAvro when there is none, httpx.HTTPError when the registry does not say."""
        if schema_id < 0:
            raise NotAvro(f"schema {schema_id} is an import's: no registry knows it, the lake has it")
        answer = self._http.get(f"{self._url}/schemas/ids/{schema_id}")
        if answer.status_code == 404:
            raise NotAvro(f"the registry knows no schema {schema_id}")
        answer.raise_for_status()
        loaded: AvroSchema = json.loads(answer.json()["schema"])
        return loaded

    def encoder(self, subject: str, schema: AvroSchema) -> Encoder:
        """Registers the schema and returns its encoder. Raises httpx.HTTPError, as `register` does."""
        return Encoder(schema, self.register(subject, schema))

    def decoder(self, reader: AvroSchema | None = None) -> Decoder:
        """A decoder that asks this registry."""
        return Decoder(self.schema, reader)
