"""Implements ports.ToolServers with the MCP library, over our own way out: streamable HTTP only."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, TypeVar, cast

from app.adapters import http_request
from app.adapters.http_client import GuardedHttp
from app.adapters.models.mcp_wire import ToolWire
from app.engine.talk import Tool
from app.engine.values import Value, measure
from app.ports import Clock, EffectError, HttpRequest
from app.ports.tools import ToolServer

# They log messages, and at errors whole replies; "client" is what the library's session calls itself.
QUIET: Final = ("mcp", "client", "httpx2", "httpcore2")
Found = TypeVar("Found")


class _Library(Protocol):
    """What the module with the library in it offers."""

    async def listed(self, wire: ToolWire) -> list[Tool]: ...

    async def called(self, wire: ToolWire, name: str, arguments: dict[str, Value], idempotency_key: str) -> Value: ...

    def meant(self, error: BaseException) -> EffectError: ...


class McpToolServers:
    """Implements ports.ToolServers."""

    def __init__(self, http: GuardedHttp, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._library: _Library | None = None

    async def list(self, server: ToolServer) -> list[Tool]:
        library = await self._loaded(server)
        return await self._asked(library, server, None, library.listed)

    async def call(self, server: ToolServer, name: str, arguments: dict[str, Value], idempotency_key: str) -> Value:
        _check(name, arguments)
        library = await self._loaded(server)
        return await self._asked(
            library, server, idempotency_key, lambda wire: library.called(wire, name, arguments, idempotency_key)
        )

    async def _loaded(self, server: ToolServer) -> _Library:
        """Takes about a second: in a thread, so that others go on. Raises EffectError: the server is no valid one."""
        http_request.first(HttpRequest(method="POST", url=server.url.strip(), headers=tuple(server.headers.items())))
        if self._library is None:
            module = await asyncio.to_thread(importlib.import_module, "app.adapters.models.mcp_library")
            for name in QUIET:
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
            self._library = cast(_Library, module)
        return self._library

    async def _asked(
        self,
        library: _Library,
        server: ToolServer,
        idempotency_key: str | None,
        ask: Callable[[ToolWire], Awaitable[Found]],
    ) -> Found:
        async with AsyncExitStack() as open_until:
            wire = ToolWire(self._http, self._clock, server, idempotency_key, open_until)
            asking = asyncio.ensure_future(ask(wire))
            try:
                either: set[asyncio.Future[Any]] = {asking, wire.failed}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    return asking.result()
            except Exception as error:
                raise wire.failure or library.meant(error) from None  # the library's errors quote replies
            finally:
                wire.give_up()
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        assert wire.failure is not None
        raise wire.failure


def _check(name: str, arguments: dict[str, Value]) -> None:
    """Before a session is opened: the library would find it out in the middle."""
    try:
        measure({name: arguments})
        json.dumps(arguments, allow_nan=False)
    except ValueError as error:
        raise EffectError("invalid_value", f"the arguments cannot be sent: {error}") from None
