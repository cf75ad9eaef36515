"""What is sent at each hop: checked before it leaves, and on another origin without anything that vouches for us."""

from __future__ import annotations

import base64
import re
from typing import Final

import httpx

from app.ports import EffectError, HttpRequest

PORTS: Final = {"http": 80, "https": 443}
OURS: Final = {"User-Agent": "Antiphon", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
# They say where a request begins and ends, and for whom it is: one that disagrees with the URL would smuggle another.
FRAMING: Final = frozenset(
    "host content-length transfer-encoding connection keep-alive proxy-connection upgrade te trailer expect".split()
)
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_credential: Final = re.compile(r"auth|cookie|token|secret|password|credential|session|signature|api-?key", re.I)
_name: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_value: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")


def first(wanted: HttpRequest) -> httpx.Request:
    """The request as it was asked for. Raises EffectError invalid_value."""
    url = _parsed(wanted.url)
    try:
        url = url.copy_merge_params(list(wanted.params)) if wanted.params else url
    except (httpx.InvalidURL, ValueError) as error:
        raise EffectError("invalid_value", "the parameters cannot be part of a URL") from error
    headers = httpx.Headers(OURS)
    if url.username or url.password:
        pair = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    for name, value in wanted.headers:
        _check(name, value)
        headers[name] = value
    return httpx.Request(wanted.method, url, headers=headers, content=wanted.content)


def _check(name: str, value: str) -> None:
    if not _name.fullmatch(name):
        raise EffectError("invalid_value", f"{name[:64]!r} is no name of a header")
    if name.lower() in FRAMING:
        raise EffectError("invalid_value", f"the header {name[:64]} cannot be set")
    if not _value.fullmatch(value):
        raise EffectError(
            "invalid_value", f"the header {name[:64]} has characters that cannot be sent, or space at an end"
        )


def _parsed(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError) as error:
        raise EffectError("invalid_value", "the URL is not valid") from error
    if url.scheme not in PORTS or not host:
        raise EffectError("invalid_value", "the URL must begin with http:// or https:// and name a host")
    if not 0 < port_of(url) < 65_536:
        raise EffectError("invalid_value", "the URL's port must be 1 to 65535")
    return url


def port_of(url: httpx.URL) -> int:
    return PORTS[url.scheme] if url.port is None else url.port


def onward(wanted: HttpRequest, before: httpx.Request, status: int, location: str) -> httpx.Request:
    """The redirected request. Raises EffectError."""
    url = _target(before.url, location)
    method = _method(before.method, status)
    content = before.content if method == before.method else None
    headers = before.headers.copy()
    for name in ("host", "content-length", "transfer-encoding"):
        headers.pop(name, None)
    if not content:
        headers.pop("content-type", None)
    if method not in UNSAFE:
        headers.pop("idempotency-key", None)
    if origin(url) != origin(before.url):
        if content and wanted.has_secret_content:
            raise EffectError("blocked_address", "a redirect leads to another origin, and the body holds a secret")
        for name in [name for name in headers if name in wanted.credentials or _is_credential(name)]:
            del headers[name]
    return httpx.Request(method, url, headers=headers, content=content)


def _target(before: httpx.URL, location: str) -> httpx.URL:
    try:
        url = before.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise EffectError("http_connection", "a redirect leads to no valid URL", retryable=True) from error
    if url.scheme not in PORTS or not url.raw_host or not 0 < port_of(url) < 65_536:
        raise EffectError("blocked_address", "a redirect leads away from http and https")
    return url.copy_with(userinfo=b"")


def _is_credential(name: str) -> bool:
    return name != "idempotency-key" and _credential.search(name) is not None


def origin(url: httpx.URL) -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host, port_of(url)


def _method(method: str, status: int) -> str:
    """As browsers do."""
    changes = (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST")
    return "GET" if changes else method


def shown(url: httpx.URL) -> httpx.URL:
    """Without the user and password in it."""
    return url.copy_with(userinfo=b"")
