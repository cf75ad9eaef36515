"""Outgoing HTTP: every hop is resolved, checked and pinned; size, redirects and time are bounded. Never retries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import httpx

from app.adapters.addresses import AddressGuard
from app.ports import EffectError, HttpRequest, HttpResponse

MOST_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "idempotency-key"})
OURS: Final = {"User-Agent": "Antiphon", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}


class PinnedTransport(httpx.AsyncBaseTransport):
    """Connects to the address that the guard has checked; Host and the certificate's name stay those of the URL.

    A connection is used once: one kept open could be handed to another host that resolves to the same address.
    """

    def __init__(self, guard: AddressGuard, allowed: Sequence[str]) -> None:
        self._guard = guard
        self._allowed = allowed
        self._inner = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_keepalive_connections=0), retries=0, trust_env=False
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        address = await self._guard.pin(url.host, port, self._allowed)
        pinned = httpx.Request(
            method=request.method,
            url=url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},
        )
        return await self._inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        await self._inner.aclose()


class GuardedHttp:
    """Implements ports.HttpClient."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard

    async def send(self, request: HttpRequest, allowed: Sequence[str] = ()) -> HttpResponse:
        transport = PinnedTransport(self._guard, allowed)
        async with httpx.AsyncClient(transport=transport, timeout=None, trust_env=False) as client:
            try:
                return await self._follow(client, request)
            except httpx.InvalidURL as error:
                raise EffectError("invalid_value", "the URL is not valid") from error
            except (httpx.DecodingError, httpx.RemoteProtocolError) as error:
                raise EffectError("http_connection", "the reply cannot be read", retryable=True) from error
            except httpx.HTTPError as error:
                name = type(error).__name__
                raise EffectError("http_connection", f"the request failed: {name}", retryable=True) from error

    async def _follow(self, client: httpx.AsyncClient, wanted: HttpRequest) -> HttpResponse:
        request = _first(client, wanted)
        for _ in range(MOST_REDIRECTS + 1):
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                following = response.next_request if wanted.follow_redirects else None
                if following is None:
                    body = await _body(response, wanted.max_bytes)
                    return HttpResponse(response.status_code, _headers(response), body, str(request.url))
            finally:
                await response.aclose()
            request = _onward(request, following, wanted.credentials)
        raise EffectError("http_connection", f"there were more than {MOST_REDIRECTS} redirects")


def _first(client: httpx.AsyncClient, wanted: HttpRequest) -> httpx.Request:
    url = httpx.URL(wanted.url)
    if url.scheme not in ("http", "https") or not url.host:
        raise EffectError("invalid_value", "the URL must begin with http:// or https:// and name a host")
    if wanted.params:
        url = url.copy_merge_params(list(wanted.params))
    try:
        headers = httpx.Headers([*OURS.items()])
        headers.update(dict(wanted.headers))
        return client.build_request(wanted.method, url, headers=headers, content=wanted.content)
    except (UnicodeError, ValueError) as error:
        raise EffectError("invalid_value", "a header has characters that cannot be sent") from error


def _onward(before: httpx.Request, following: httpx.Request, credentials: frozenset[str]) -> httpx.Request:
    """The redirected request; on another origin without anything that vouches for us."""
    if following.url.scheme not in ("http", "https"):
        raise EffectError("invalid_value", "a redirect leads away from http and https")
    old, new = before.url, following.url
    if (old.scheme, old.host, old.port) != (new.scheme, new.host, new.port):
        for name in CREDENTIALS | credentials:
            following.headers.pop(name, None)
    return following


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _body(response: httpx.Response, max_bytes: int) -> bytes:
    """After decompression. Raises EffectError too_large as soon as it is."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > max_bytes:
            raise EffectError("too_large", f"the reply is larger than {max_bytes} bytes")
        parts.append(part)
    return b"".join(parts)
