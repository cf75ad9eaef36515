"""The only way from the MCP library to a server of tools: our own guarded client, our own address and headers.

The library decides the messages. Where they go, what comes along, how much may come back, and which reply is none, is
decided here, for all the exchanges of one session.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final, NamedTuple

import httpx

from app.adapters import http_body, http_request
from app.adapters.http_client import MOST_REDIRECTS, GuardedHttp, told
from app.adapters.models.refusal import ERROR_READ, refused, unreadable
from app.ports import Clock, EffectError, HttpRequest
from app.ports.tools import ToolServer

REPLY_BYTES: Final = 8 * 1024 * 1024  # of all replies together
MOST_EXCHANGES: Final = 150  # a page of a list is one; so is each question that the server asks back
LEAVING_SECONDS: Final = 1.0
NOTICE_SECONDS: Final = 10.0
THEIRS: Final = frozenset({"accept", "content-type", "last-event-id"})
SAME_METHOD: Final = frozenset({307, 308})
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
CUT_OFF: Final = "the reply ended before the answer did"
# The newest protocol is tried first. Servers that do not know it say so by any of these, and are then asked in the older one.
PROBE: Final = "server/discover"
UNKNOWN: Final = frozenset({400, 404, 405, 406, 409, 415, 422, 500, 501})
# Whatever a reply with one of these says, its status counts.
FINAL: Final = frozenset({401, 403, 408, 425, 429, *range(500, 600)})


class Reply(NamedTuple):
    """What the library is given. `close` is to be called when `pieces` are read or not wanted."""

    status: int
    headers: dict[str, str]
    pieces: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


class _Sent(NamedTuple):
    """What a message is. `id` None: nothing answers it."""

    method: str
    id: Any


class ToolWire:
    """Of one session. `failure`: what went wrong on the way, however the library words it; `failed` is done as soon as that
    is known, because the library would wait or try again."""

    def __init__(
        self,
        http: GuardedHttp,
        clock: Clock,
        server: ToolServer,
        idempotency_key: str | None,
        open_until: AsyncExitStack,
    ) -> None:
        self._http = http
        self._clock = clock
        self._server = server
        self._key = idempotency_key
        self._open_until = open_until
        self._left = REPLY_BYTES
        self._exchanges = 0
        self._notices: set[asyncio.Timeout] = set()
        self._over = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failure: EffectError | None = None

    async def send(self, method: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One exchange. Raises EffectError."""
        if method == "DELETE":
            await self._leave(headers)
            return _short(200)
        if method == "GET" and "last-event-id" not in headers:
            return _short(405)  # news that nobody asked for: a session ends with its answer
        try:
            with told():
                return await self._exchanged(method, headers, body)
        except EffectError as error:
            raise self._failed(error) from None

    def give_up(self) -> None:
        """Nobody wants the answer any more. Whoever cancels would have to wait, because the library takes its time to say
        that it goes, after what it says before."""
        self._over = True
        for limit in self._notices:
            limit.reschedule(0)

    def _failed(self, error: EffectError) -> EffectError:
        if self.failure is None:
            self.failure = error
            if not self.failed.done():
                self.failed.set_result(None)
        return self.failure

    async def _leave(self, headers: Mapping[str, str]) -> None:
        """Closes the server's session. Whatever comes of it, the answer is there."""
        try:
            with told():
                async with asyncio.timeout(LEAVING_SECONDS):
                    request = http_request.first(self._request("DELETE", headers, None, {}))
                    async with self._http.exchange(request, self._server.allowed):
                        return
        except (EffectError, TimeoutError):
            return

    async def _exchanged(self, method: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if self._over:
            raise EffectError("http_connection", "nobody waits for it any more")
        self._exchanges += 1
        if self._exchanges > MOST_EXCHANGES:
            raise EffectError("provider_error", f"the server wants more than {MOST_EXCHANGES} exchanges")
        sent = _sent(body)
        key = {"Idempotency-Key": self._key} if self._key and sent.method == "tools/call" else {}
        request = self._request(method, headers, body or None, key)
        if sent.id is None:
            return await self._noticed(request)
        stack = await self._open_until.enter_async_context(AsyncExitStack())
        response = await self._reached(request, stack)
        reply = await self._judged(response, sent, "mcp-session-id" in headers)
        if reply is None:
            return Reply(200, _passed(response, EVENTS), self._pieces(response), stack.aclose)
        await stack.aclose()
        return reply

    async def _noticed(self, request: HttpRequest) -> Reply:
        """What nothing answers: whatever comes back, and if it takes long nobody waits for it."""
        limit = asyncio.timeout(NOTICE_SECONDS)
        self._notices.add(limit)
        try:
            async with limit, AsyncExitStack() as stack:
                await self._reached(request, stack)
        except TimeoutError:
            pass
        finally:
            self._notices.discard(limit)
        return _short(202)

    def _request(
        self, method: str, headers: Mapping[str, str], body: bytes | None, more: Mapping[str, str]
    ) -> HttpRequest:
        theirs = {name: value for name, value in headers.items() if name in THEIRS or name.startswith("mcp-")}
        return HttpRequest(
            method=method,
            url=self._server.url.strip(),
            headers=(*self._server.headers.items(), *theirs.items(), *more.items()),
            content=body,
            follow_redirects=False,
        )

    async def _reached(self, wanted: HttpRequest, stack: AsyncExitStack) -> httpx.Response:
        """Through redirects that stay with the same origin and ask for the same again, as from a path to one with a slash."""
        request = http_request.first(wanted)
        for _ in range(MOST_REDIRECTS):
            response = await stack.enter_async_context(self._http.exchange(request, self._server.allowed))
            location = response.headers.get("location")
            if response.status_code not in SAME_METHOD or location is None:
                return response
            onward = http_request.onward(wanted, request, response.status_code, location)
            if http_request.origin(onward.url) != http_request.origin(request.url):
                return response
            await stack.aclose()
            request = onward
        raise EffectError("http_connection", f"there were more than {MOST_REDIRECTS} redirects")

    async def _judged(self, response: httpx.Response, sent: _Sent, in_session: bool) -> Reply | None:
        """None: a stream to read on."""
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code != 200:
            return await self._refused(response, sent, in_session)
        if media == EVENTS:
            return None
        if media != JSON:
            raise unreadable("it is neither JSON nor a stream of events")
        whole = b"".join([piece async for piece in self._pieces(response)])
        return _short(200, _answer(whole, sent), _passed(response, JSON))

    async def _refused(self, response: httpx.Response, sent: _Sent, in_session: bool) -> Reply:
        status = response.status_code
        if not sent.method:  # a stream that ended too early cannot be read on
            raise EffectError("http_connection", CUT_OFF, retryable=True)
        if 200 < status < 300:
            raise unreadable("there is no answer in it")
        body = await http_body.read(response, REPLY_BYTES, ERROR_READ)
        if sent.method == PROBE and status in UNKNOWN:
            return _short(status, body, {"content-type": JSON if _is_error(body) else "text/plain"})
        if 400 <= status and status not in FINAL and _is_error(body):
            return _short(status, body, {"content-type": JSON})
        error = refused(response, body, "the server", self._clock.now())
        error.retryable = error.retryable or (status == 404 and in_session)  # the session is gone: the next one is new
        raise error

    async def _pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            with told():
                async with aclosing(http_body.pieces(response, max(0, self._left))) as found:
                    async for piece in found:
                        self._left -= len(piece)
                        yield piece
        except EffectError as error:
            if error.error_type == "too_large":
                error = EffectError("too_large", f"the replies are larger than {REPLY_BYTES} bytes together")
            raise self._failed(error) from None


def _sent(body: bytes) -> _Sent:
    """By the message that the library wrote; there is none where it only reads on."""
    message: dict[str, Any] = json.loads(body) if body else {"id": 0}
    return _Sent(message.get("method", ""), message.get("id") if "method" in message or not body else None)


def _passed(response: httpx.Response, media: str) -> dict[str, str]:
    """The headers that the library needs. Raises EffectError: it could not send the session's id back."""
    session = response.headers.get("mcp-session-id")
    if session is None:
        return {"content-type": media}
    if not session.isascii() or not session.isprintable() or session != session.strip():
        raise unreadable("its session cannot be named")
    return {"content-type": media, "mcp-session-id": session}


def _answer(whole: bytes, sent: _Sent) -> bytes:
    """The same. Raises EffectError: it does not answer what was sent, so that one would wait for ever."""
    found = _object(whole)
    if found is None:
        raise unreadable("it is no JSON object")
    if "error" not in found and ("result" not in found or not _is_same(found.get("id"), sent.id)):
        raise unreadable("it answers something else")
    if "error" in found and not _is_error(whole):
        raise unreadable("its error has a wrong form")
    return whole if "error" not in found else json.dumps(found | {"id": sent.id}).encode()


def _is_same(one: Any, other: Any) -> bool:
    return not isinstance(one, bool) and str(one) == str(other)


def _is_error(body: bytes) -> bool:
    error = (_object(body) or {}).get("error")
    return isinstance(error, dict) and isinstance(error.get("message"), str) and type(error.get("code")) is int


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _short(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, headers or {}, _one(body), _nothing)


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _nothing() -> None:
    """There is nothing to close."""
