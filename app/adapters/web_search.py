"""Searches the web by a server that speaks SearXNG's words, through the guarded client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from app.engine.values import Value
from app.ports import Clock, EffectError, HttpClient, HttpRequest, HttpResponse, retry_after
from app.ports.web import WebPage

REPLY_BYTES: Final = 1024 * 1024
MOST_URL: Final = 2048
MOST_TITLE: Final = 512  # characters, as of snippets
MOST_SNIPPET: Final = 4 * 1024
RETRYABLE: Final = frozenset({408, 425, 429, *range(500, 600)})

_no_url: Final = re.compile(r"[\x00-\x20\x7f\\]")


class SearxSearch:
    """Implements ports.web.WebSearch. `allowed`: what may be reached besides public addresses."""

    def __init__(self, http: HttpClient, clock: Clock, base_url: str, allowed: Sequence[str]) -> None:
        self._http = http
        self._clock = clock
        self._url = f"{base_url.rstrip('/')}/search"
        self._allowed = allowed

    async def search(self, query: str, limit: int) -> list[WebPage]:
        request = HttpRequest(
            method="GET",
            url=self._url,
            params=(("q", query), ("format", "json")),
            headers=(("Accept", "application/json"),),
            max_bytes=REPLY_BYTES,
            cut_errors_at=1,
        )
        try:
            response = await self._http.send(request, self._allowed)
        except EffectError as error:
            if error.error_type not in ("http_connection", "blocked_address"):
                raise
            message = "the search of the web cannot be reached"  # where it is, is the operator's own matter
            raise EffectError(error.error_type, message, retryable=error.retryable) from None
        if response.status_code != 200:
            raise self._refusal(response)
        return list(_pages(response.body))[:limit]

    def _refusal(self, response: HttpResponse) -> EffectError:
        """Without what it says: that is for the operator."""
        status = response.status_code
        return EffectError(
            "rate_limited" if status == 429 else "provider_error",
            f"the search of the web answered {status}",
            retryable=status in RETRYABLE,
            retry_after_seconds=retry_after.seconds(response.headers.get("retry-after"), self._clock.now()),
            details={"status_code": status},
        )


def _pages(body: bytes) -> Iterator[WebPage]:
    """What cannot be a page is left out. Raises EffectError provider_error when the whole is no answer."""
    try:
        found: Value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _unreadable("it is no JSON") from error
    listed = found.get("results") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise _unreadable("it has no results")
    for one in listed:
        if isinstance(one, dict) and _is_page(one.get("url")):
            title, snippet = _words(one.get("title"), MOST_TITLE), _words(one.get("content"), MOST_SNIPPET)
            yield WebPage(title=title, url=one["url"], snippet=snippet)


def _is_page(url: Value) -> bool:
    if not isinstance(url, str) or len(url) > MOST_URL or _no_url.search(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _words(text: Value, most: int) -> str:
    return text[:most] if isinstance(text, str) else ""


def _unreadable(why: str) -> EffectError:
    return EffectError("provider_error", f"the reply of the search cannot be read: {why}", retryable=True)
