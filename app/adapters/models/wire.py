"""The only way from a model library to a provider: our own guarded client, our own address, key and headers.

The library decides the JSON that is sent and reads the JSON that comes. Everything between, and everything that goes wrong
on the way, is decided here: which place is asked, what is too large, which reply is none.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

import httpx

from app.adapters import http_body, http_request
from app.adapters.http_client import GuardedHttp, told
from app.adapters.models.refusal import ERROR_READ, refusal, unreadable
from app.engine.values import storable_text
from app.ports import Clock, EffectError, Endpoint, HttpRequest

REPLY_BYTES: Final = 8 * 1024 * 1024
PATH: Final = "/chat/completions"
COUNTS: Final = ("prompt_tokens", "completion_tokens")
LEFT_OUT: Final[dict[str, Any]] = {"id": "", "object": "chat.completion", "created": 0, "model": ""}
NO_STREAM: Final = ("application/json", "text/html")


class Wire:
    """Of one request. `asked`: it came to sending it; `failure`: what went wrong on the way, however the library words it.
    Raises EffectError invalid_value: the endpoint has no valid address."""

    def __init__(
        self, http: GuardedHttp, clock: Clock, endpoint: Endpoint, idempotency_key: str, open_until: AsyncExitStack
    ) -> None:
        self._http = http
        self._clock = clock
        self._endpoint = endpoint
        self._url = address(endpoint.base_url)
        self._key = idempotency_key
        self._open_until = open_until
        self.failure: EffectError | None = None
        self.asked = False

    @property
    def host(self) -> str:
        return self._url.host

    async def post(self, body: bytes, *, streams: bool) -> AsyncIterator[bytes]:
        """The pieces of a reply that may be read on: JSON with an answer in it, or a stream. Raises EffectError."""
        self.asked = True
        try:
            with told():
                return await self._posted(body, streams)
        except EffectError as error:
            self.failure = error
            raise

    async def _posted(self, body: bytes, streams: bool) -> AsyncIterator[bytes]:
        request = http_request.first(self._request(body, streams))
        exchange = self._http.exchange(request, self._endpoint.allowed)
        response = await self._open_until.enter_async_context(exchange)
        if response.status_code != 200:
            raise await refusal(response, "the provider", self._clock.now(), REPLY_BYTES)
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if streams and media not in NO_STREAM:
            return self._pieces(response)
        whole = readable(await http_body.read(response, REPLY_BYTES))
        if streams:
            raise unreadable("it is no stream of events")
        return _one(whole)

    def _request(self, body: bytes, streams: bool) -> HttpRequest:
        return HttpRequest(
            method="POST",
            url=str(self._url),
            headers=(
                ("Authorization", f"Bearer {self._endpoint.api_key}"),
                ("Content-Type", "application/json"),
                ("Accept", "text/event-stream" if streams else "application/json"),
                ("Idempotency-Key", self._key),
            )[0 if self._endpoint.api_key else 1 :],
            content=body,
            follow_redirects=False,
        )

    async def _pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            with told():
                async with aclosing(http_body.pieces(response, REPLY_BYTES)) as found:
                    async for piece in found:
                        yield piece
        except EffectError as error:
            self.failure = error
            raise


async def _one(whole: bytes) -> AsyncIterator[bytes]:
    yield whole


def address(base_url: str) -> httpx.URL:
    """Where answers are asked for: a query stays behind the path. Raises EffectError invalid_value."""
    try:
        url = httpx.URL(base_url.strip())
        path, _, query = url.raw_path.decode().partition("?")
        return url.copy_with(raw_path=f"{path.rstrip('/')}{PATH}{'?' if query else ''}{query}".encode())
    except (httpx.InvalidURL, ValueError) as error:
        raise EffectError("invalid_value", "the provider's base_url is not valid") from error


def readable(whole: bytes) -> bytes:
    """The same answer, without what a strict reader stumbles over but nobody needs: halves of characters, usage of another
    form, fields left out. The rest is the library's to judge. Raises EffectError provider_error: it is no answer at all."""
    try:
        found: Any = json.loads(whole)
    except (ValueError, RecursionError) as error:
        raise unreadable("it is no JSON") from error
    if not isinstance(found, dict):
        raise unreadable("it is no object")
    if found.get("error") and not found.get("choices"):
        raise told_error(found["error"])
    if not isinstance(found.get("choices"), list) or not found["choices"]:
        raise unreadable("it has no choice")
    first = found["choices"][0]
    sound = LEFT_OUT | found | {"choices": [first | {"index": 0} if isinstance(first, dict) else first]}
    sound["usage"] = _counted(found.get("usage"))
    return json.dumps(sound, ensure_ascii=False).encode(errors="replace")


def _counted(usage: Any) -> dict[str, int] | None:
    asked, answered = (usage.get(name) if isinstance(usage, dict) else None for name in COUNTS)
    if type(asked) is not int or type(answered) is not int:
        return None
    return {COUNTS[0]: asked, COUNTS[1]: answered, "total_tokens": asked + answered}


def told_error(error: Any) -> EffectError:
    """The provider says in the middle of a good reply that it failed."""
    body = error if isinstance(error, str) else json.dumps(error)
    return EffectError(
        "provider_error",
        "the provider reports an error",
        retryable=True,
        details={"status_code": 200, "body": storable_text(body[:ERROR_READ])},
    )
