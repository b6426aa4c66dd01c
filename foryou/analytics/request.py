"""A request of ClickHouse's HTTP interface, read: who asks, the statement, its parameters, its settings, its data."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import pyarrow as pa

from foryou.analytics.engine import DATABASE
from foryou.analytics.errors import QueryError
from foryou.analytics.statement import Statement, read
from foryou.service.web import Headers

MAX_INFLATED = 512 << 20  # bytes of a body once it is unpacked
HEAD_BYTES = 1 << 20  # an INSERT's head, before its data, is not longer
PARAMETER = "param_"
# What the HTTP interface takes for itself; everything else in the query string is a setting of the engine.
_TRANSPORT = """
    query database default_format user password query_id quota_key session_id session_timeout session_check role
    compress decompress buffer_size wait_end_of_query stacktrace client_protocol_version enable_http_compression
    http_zlib_compression_level send_progress_in_http_headers http_headers_progress_interval_ms add_http_cors_header
    cancel_http_readonly_queries_on_client_close http_write_exception_in_output_format access_token
"""
TRANSPORT = frozenset(_TRANSPORT.split())
_CODECS = {"gzip": "gzip", "x-gzip": "gzip", "br": "brotli", "zstd": "zstd", "lz4": "lz4"}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `sql` is the statement without an INSERT's data; `data` is None where there is none to be."""

    user: str
    password: str = field(repr=False)
    sql: str
    statement: Statement
    data: bytes | None
    params: Mapping[str, str]
    settings: Mapping[str, str]
    database: str
    default_format: str
    query_id: str | None
    compress: bool

    @property
    def format(self) -> str:
        """The format of the answer."""
        return (None if self.data is not None else self.statement.format) or self.default_format


def parse(query_string: str, headers: Headers, body: bytes) -> Ask:
    """Reads a request. Raises QueryError for what cannot be read."""
    asked = dict(parse_qsl(query_string, keep_blank_values=True, max_num_fields=2_000))
    user, password = _who(asked, headers)
    whole = _whole(asked.get("query", ""), inflate(body, headers.get("content-encoding")))
    head = whole[:HEAD_BYTES].decode("utf-8", "surrogateescape")
    statement = read(head if head.lstrip()[:6].upper() == "INSERT" else whole.decode("utf-8", "surrogateescape"))
    sql, data = whole, None
    if statement.data_at is not None:
        data = whole[len(head[: statement.data_at].encode("utf-8", "surrogateescape")) :]
        sql = (statement.head or "").encode("utf-8", "surrogateescape")
    return Ask(
        user=user,
        password=password,
        sql=sql.decode("utf-8", "replace"),
        statement=statement,
        data=data,
        params={name[len(PARAMETER) :]: value for name, value in asked.items() if name.startswith(PARAMETER)},
        settings={k: v for k, v in asked.items() if k not in TRANSPORT and not k.startswith(PARAMETER)},
        database=asked.get("database") or headers.get("x-clickhouse-database") or DATABASE,
        default_format=asked.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated",
        query_id=asked.get("query_id") or None,
        compress=asked.get("enable_http_compression", "0") not in ("0", "false", ""),
    )


def inflate(body: bytes, encoding: str | None) -> bytes:
    """The body unpacked. Raises QueryError for an encoding that is not known, not kept, or too large unpacked."""
    name = (encoding or "identity").strip().lower()
    if name in ("identity", "") or not body:
        return body
    if name not in _CODECS:
        raise QueryError(415, "UNSUPPORTED_MEDIA_TYPE", f"Unknown HTTP content encoding: {name}")
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), _CODECS[name]) as stream:
            data: bytes = stream.read(MAX_INFLATED + 1)
    except (OSError, pa.ArrowException) as error:
        raise QueryError(117, "INCORRECT_DATA", f"The body is not {name}: {error}") from error
    if len(data) > MAX_INFLATED:
        raise QueryError(299, "QUERY_IS_TOO_LARGE", f"A body has at most {MAX_INFLATED:,} bytes unpacked")
    return data


def deflate(data: bytes, accepted: str | None) -> tuple[bytes, str | None]:
    """The answer packed in the first of gzip, zstd, lz4 that the client accepts, and that encoding's name."""
    offered = {name.split(";")[0].strip().lower() for name in (accepted or "").split(",")}
    for name in ("lz4", "zstd", "gzip"):
        if name in offered:
            sink = pa.BufferOutputStream()
            with pa.CompressedOutputStream(sink, name) as stream:
                stream.write(data)
            return sink.getvalue().to_pybytes(), name
    return data, None


def _who(asked: Mapping[str, str], headers: Headers) -> tuple[str, str]:
    user = headers.get("x-clickhouse-user")
    if user is not None:
        return user, headers.get("x-clickhouse-key") or ""
    authorization = headers.get("authorization") or ""
    if authorization:
        scheme, _, token = authorization.partition(" ")
        try:
            name, _, password = base64.b64decode(token.strip(), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            scheme = "?"
        if scheme.lower() != "basic":
            raise QueryError(516, "AUTHENTICATION_FAILED", "Authentication failed: only Basic is known here")
        return name, password
    return asked.get("user", ""), asked.get("password", "")


def _whole(query: str, body: bytes) -> bytes:
    return query.encode("utf-8") + (b"\n" if query and body else b"") + body
