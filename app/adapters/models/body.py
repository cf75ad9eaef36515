"""A reply's body as the libraries want it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2


class Body(httpx2.AsyncByteStream):
    """Hands pieces up. `close`: what else ends with it."""

    def __init__(self, pieces: AsyncIterator[bytes], close: Callable[[], Awaitable[None]] | None = None) -> None:
        self._pieces = pieces
        self._close = close

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()
        if self._close is not None:
            await self._close()
