"""Reading a reply's body: decompressed piece by piece, so that a few bytes never become more than is asked for."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import httpx

from app.ports import EffectError

PACKED_OVERHEAD: Final = 64 * 1024  # bytes that a packed body may be larger than what is in it
CODINGS: Final = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


async def read(response: httpx.Response, max_bytes: int, cut: int | None = None) -> bytes:
    """The whole body, or with `cut` its first so many bytes. Raises as `pieces`."""
    async with aclosing(pieces(response, max_bytes, cut)) as found:
        return b"".join([piece async for piece in found])


async def pieces(response: httpx.Response, max_bytes: int, cut: int | None = None) -> AsyncGenerator[bytes]:
    """As they come, at most `max_bytes` after decompression; with `cut` the first so many, the rest is not waited for.
    Raises EffectError too_large as soon as it is, httpx.DecodingError."""
    unpacking = _unpacking(response)
    size = packed_size = 0
    async for part in response.aiter_raw():
        packed_size += len(part)
        piece = unpacking.feed(part, (max_bytes + 1 if cut is None else cut) - size)
        size += len(piece)
        if cut is not None and size >= cut:
            yield piece
            return
        if size > max_bytes or packed_size > max_bytes + PACKED_OVERHEAD:
            raise EffectError("too_large", f"the reply is larger than {max_bytes} bytes")
        yield piece
    unpacking.end()


def _unpacking(response: httpx.Response) -> _Plain:
    named = [coding.strip().lower() for coding in response.headers.get("content-encoding", "").split(",")]
    codings = [coding for coding in named if coding not in ("", "identity")]
    if not codings:
        return _Plain()
    if len(codings) > 1 or codings[0] not in CODINGS:
        raise httpx.DecodingError("a coding that was not asked for")
    return _Packed(CODINGS[codings[0]])


class _Plain:
    def feed(self, part: bytes, most: int) -> bytes:
        return part[:most]

    def end(self) -> None:
        """Nothing more comes. Raises httpx.DecodingError when something is missing."""


class _Packed(_Plain):
    def __init__(self, window: int) -> None:
        self._window = window
        self._inflate = zlib.decompressobj(window)
        self._begun = False

    def feed(self, part: bytes, most: int) -> bytes:
        try:
            return self._fed(part, most)
        except zlib.error as error:
            if self._begun or self._window != zlib.MAX_WBITS:
                raise httpx.DecodingError(str(error)) from error
            self._inflate, self._begun = zlib.decompressobj(-zlib.MAX_WBITS), True  # deflate as some servers have it
        return self.feed(part, most)

    def _fed(self, part: bytes, most: int) -> bytes:
        found = b"" if self._inflate.eof else self._inflate.decompress(part, max(1, most))
        self._begun = True
        return found

    def end(self) -> None:
        if self._begun and not self._inflate.eof:
            raise httpx.DecodingError("the packed body is cut off")
