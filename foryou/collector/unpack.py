"""Content-Encoding: a packed body into its bytes, with a bound on what comes out. Nothing is unpacked beyond it."""

import zlib
from collections.abc import Callable
from typing import Protocol

from backports import zstd

from foryou.collector.split import Unsplittable
from foryou.service.problem import Problem

MAX_UNPACKED_BYTES = 4 << 20  # four times what a body may have that came as it is
MAX_MEMBERS = 64  # gzip and zstd may be glued together; ten thousand empty members are an attack, not a body
ZSTD_WINDOW_LOG = 23  # 8 MiB: what RFC 9659 lets a sender use
GZIP_MAGIC = b"\x1f\x8b\x08"
_REMEDY = "send Content-Encoding gzip, zstd or deflate, or the body as it is"


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _zstd() -> _Unpacker:
    unpacker: _Unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG})
    return unpacker


_UNPACKERS: dict[str, Callable[[], _Unpacker]] = {
    "gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    "x-gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    "deflate": lambda: zlib.decompressobj(),
    "zstd": _zstd,
}
_BARE_DEFLATE: Callable[[], _Unpacker] = lambda: zlib.decompressobj(-zlib.MAX_WBITS)  # noqa: E731 - beside the table


def unpack(body: bytes, encoding: str | None) -> bytes:
    """The body's bytes. Raises Unsplittable.

    No JSON begins like gzip does, so a gzipped body is known by its first bytes whatever the header says: there are
    client libraries that pack and do not say so. A body that says gzip twice (`gzip, gzip`) is not taken.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity" and not body.startswith(GZIP_MAGIC):
        return body
    if name != "identity" and name not in _UNPACKERS:
        told = f"bodies in {name[:40]!r} are not taken"
        raise Unsplittable(
            Problem(415, "Unsupported encoding", told, "content-encoding", _REMEDY, reason="bad_encoding")
        )
    make = _UNPACKERS["gzip" if body.startswith(GZIP_MAGIC) else name]
    if name == "deflate" and not _is_zlib(body):
        make = _BARE_DEFLATE  # what the name says to half of the world
    return _unpacked(body, make, name)


def _unpacked(body: bytes, make: Callable[[], _Unpacker], name: str) -> bytes:
    pieces: list[bytes] = []
    room = MAX_UNPACKED_BYTES
    for _ in range(MAX_MEMBERS):
        unpacker = make()
        try:
            piece = unpacker.decompress(body, room + 1)
        except (zlib.error, zstd.ZstdError) as error:
            raise _broken(f"the body is no {name}: {str(error)[:120]}") from None
        room -= len(piece)
        if room < 0:
            raise _too_much()
        pieces.append(piece)
        if not unpacker.eof:
            raise _broken(f"the {name} body has no end")
        body = unpacker.unused_data
        if not body:
            return b"".join(pieces)
    raise _broken(f"the {name} body has more than {MAX_MEMBERS} members")


def _is_zlib(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _broken(detail: str) -> Unsplittable:
    return Unsplittable(Problem(400, "Broken encoding", detail, "content-encoding", _REMEDY, reason="broken_encoding"))


def _too_much() -> Unsplittable:
    told = f"the body unpacks to more than {MAX_UNPACKED_BYTES:,} bytes"
    return Unsplittable(Problem(413, "Body too large", told, "body", "send it in smaller pieces", reason="too_large"))
