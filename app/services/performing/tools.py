"""Performs `mcp_list` and `mcp_call`: puts secrets in, asks a server of tools once, and keeps them out of what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from app.engine.seal import Sealed
from app.engine.values import UnstorableValueError, Value, measure, to_text
from app.ports import Clock, EffectContext, EffectError
from app.ports.tools import ToolServer, ToolServers
from app.services.performing.failing import masked
from app.services.performing.filling import filled, prepared
from app.services.performing.masking import Mask
from app.services.secrets import Secrets
from app.services.workspaces import Workspaces

RESULT_BYTES: Final = 1024 * 1024


class ListCall(msgspec.Struct, frozen=True, kw_only=True):
    """The request of an `mcp_list` effect. `fields`: url and headers, with places for secrets."""

    fields: Sealed


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """The request of an `mcp_call` effect. `fields` as in `ListCall`; `name`: as the server has it."""

    fields: Sealed
    name: str
    arguments: dict[str, Value] = {}


class _Asking:
    def __init__(self, servers: ToolServers, secrets: Secrets, workspaces: Workspaces, clock: Clock) -> None:
        self._servers = servers
        self._secrets = secrets
        self._workspaces = workspaces
        self._clock = clock

    async def _asked(self, workspace: str, sealed: Sealed, ask: Callable[[ToolServer], Awaitable[Value]]) -> Value:
        """What came, without secrets. Raises EffectError."""
        secrets, allowed = await prepared(self._secrets, self._workspaces, self._clock, workspace, sealed)
        fields, mask = filled(sealed, secrets), Mask(secrets.values())
        headers = {name: to_text(value) for name, value in (fields.get("headers") or {}).items()}
        try:
            found = await ask(ToolServer(url=to_text(fields["url"]), headers=headers, allowed=allowed))
        except EffectError as error:
            raise masked(error, mask) from None  # what it came of may hold secrets
        _check(found)
        return mask.value(found)


class ToolListPerformer(_Asking):
    """Implements ports.Performer."""

    async def perform(self, context: EffectContext) -> Value:
        """`{tools: [{name, description, parameters}]}`."""
        call = msgspec.convert(context.request, ListCall)

        async def ask(server: ToolServer) -> Value:
            return [msgspec.to_builtins(tool) for tool in await self._servers.list(server)]

        return {"tools": await self._asked(context.workspace, call.fields, ask)}


class ToolCallPerformer(_Asking):
    """Implements ports.Performer."""

    async def perform(self, context: EffectContext) -> Value:
        """`{result}`: any value."""
        call = msgspec.convert(context.request, ToolCall)

        async def ask(server: ToolServer) -> Value:
            return await self._servers.call(server, call.name, call.arguments, context.idempotency_key)

        return {"result": await self._asked(context.workspace, call.fields, ask)}


def _check(found: Value) -> None:
    try:
        size = measure(found)
    except UnstorableValueError as error:
        raise EffectError("invalid_value", f"the reply holds what cannot be kept: {error}") from error
    if size > RESULT_BYTES:
        raise EffectError("too_large", f"the reply is larger than {RESULT_BYTES} bytes")
