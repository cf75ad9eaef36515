"""The web: one question to whoever searches it."""

from __future__ import annotations

from typing import Protocol

import msgspec


class WebPage(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `url`: http or https, at most 2,048 characters."""

    title: str
    url: str
    snippet: str


class WebSearch(Protocol):
    """The way to a search of the web. Never retries; the caller bounds the time and cancels, which closes the connection."""

    async def search(self, query: str, limit: int) -> list[WebPage]:
        """At most `limit`, the best first. Raises EffectError: invalid_value, http_connection, blocked_address, too_large,
        rate_limited, provider_error."""
