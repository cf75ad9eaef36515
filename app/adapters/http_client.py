"""Outgoing HTTP: every hop is resolved, checked and pinned; size and redirects are bounded. Never retries.

Time is the caller's to bound: it cancels. Redirects and decompression are our own: libraries follow and unpack first and
look afterwards.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import httpx

from app.adapters import http_body, http_request
from app.adapters.addresses import AddressGuard
from app.ports import EffectError, HttpRequest, HttpResponse

MOST_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_nobody: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for requests without TLS: trusts no certificate
# They log URLs and headers, and those may hold secrets.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class GuardedHttp:
    """Implements ports.HttpClient. No proxy, cookie jar or netrc: nothing of the server's own surroundings is used."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._tls: ssl.SSLContext | None = None

    async def send(self, request: HttpRequest, allowed: Sequence[str] = ()) -> HttpResponse:
        with told():
            return await self._follow(request, allowed)

    async def _follow(self, wanted: HttpRequest, allowed: Sequence[str]) -> HttpResponse:
        request = http_request.first(wanted)
        for _ in range(MOST_REDIRECTS + 1):
            async with self.exchange(request, allowed) as response:
                location = response.headers.get("location")
                if not wanted.follow_redirects or response.status_code not in REDIRECTS or location is None:
                    return await _received(wanted, request, response)
            request = http_request.onward(wanted, request, response.status_code, location)
        raise EffectError("http_connection", f"there were more than {MOST_REDIRECTS} redirects")

    @asynccontextmanager
    async def exchange(self, request: httpx.Request, allowed: Sequence[str]) -> AsyncIterator[httpx.Response]:
        """One request as it is, its reply's body unread. Over a connection of its own, closed at the end: one kept open could
        be handed to another host that resolves to the same address. Raises EffectError, httpx.HTTPError (see `told`)."""
        host = request.url.raw_host.decode()
        addresses = await self._guard.pin(host, http_request.port_of(request.url), allowed)
        tls = self._trusting() if request.url.scheme == "https" else _nobody
        async with httpx.AsyncHTTPTransport(verify=tls, trust_env=False, retries=0) as transport:
            response = await _from_any(transport, request, host, addresses)
            try:
                yield response
            finally:
                await response.aclose()

    def _trusting(self) -> ssl.SSLContext:
        """Made once, when it is needed: reading all authorities takes a while."""
        if self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
        return self._tls


@contextmanager
def told() -> Iterator[None]:
    """Says what the library's errors mean. Raises EffectError: http_connection, invalid_value."""
    try:
        yield
    except (httpx.DecodingError, httpx.RemoteProtocolError) as error:
        raise EffectError("http_connection", "the reply cannot be read", retryable=True) from error
    except httpx.LocalProtocolError as error:
        raise EffectError("invalid_value", "the request cannot be sent as it is") from error
    except httpx.HTTPError as error:
        name = type(error).__name__
        raise EffectError("http_connection", f"the request failed: {name}", retryable=True) from error


async def _from_any(
    transport: httpx.AsyncHTTPTransport, request: httpx.Request, host: str, addresses: Sequence[str]
) -> httpx.Response:
    """From the first address that takes the connection. Host and the certificate's name stay those of the URL."""
    for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
        pinned = httpx.Request(
            method=request.method,
            url=request.url.copy_with(host=address, userinfo=b""),
            headers=request.headers,
            stream=request.stream,
            extensions={"sni_hostname": host},
        )
        try:
            return await transport.handle_async_request(pinned)
        except httpx.ConnectError:
            if not left:
                raise
    raise AssertionError("a guard gives one address at least")


async def _received(wanted: HttpRequest, request: httpx.Request, response: httpx.Response) -> HttpResponse:
    cut = wanted.cut_errors_at if response.status_code >= 400 else None
    has_body = wanted.method != "HEAD" and response.status_code not in (204, 304)
    body = await http_body.read(response, wanted.max_bytes, cut) if has_body else b""
    return HttpResponse(response.status_code, _headers(response), body, str(http_request.shown(request.url)))


def _headers(response: httpx.Response) -> dict[str, str]:
    """Lines of one name are joined by commas; cookies, which have commas in them, by line ends."""
    found = {name.lower(): value for name, value in response.headers.items()}
    cookies = response.headers.get_list("set-cookie")
    return {**found, "set-cookie": "\n".join(cookies)} if cookies else found
