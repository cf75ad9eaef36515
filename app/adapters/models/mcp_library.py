"""One session through the MCP library. Imported at the first question only, because it takes a while to load.

It gets no address, no header of the workflow's and no socket: those stay with the wire below. Of what it offers only the
bare session is used: its own calls would list all tools after a tool has worked, and fail if its result does not please.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from mcp import Client, types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter

from app.adapters.models.body import Body
from app.adapters.models.mcp_wire import CUT_OFF, ToolWire
from app.adapters.models.refusal import ERROR_READ, unreadable
from app.engine.talk import Tool
from app.engine.values import UnstorableValueError, Value, measure, storable_text, to_json
from app.ports import EffectError

NOWHERE: Final = "http://server.invalid/"
OURS: Final = types.Implementation(name="antiphon", version="1")
MOST_TOOLS: Final = 1_000
MOST_PAGES: Final = 100
DESCRIPTION_BYTES: Final = 4 * 1024
PARAMETERS_BYTES: Final = 64 * 1024
NO_ANSWER: Final = ("SSE stream", "Connection closed")  # how the library begins when an answer never came
GARBLED: Final = "Failed to parse"

_made: Final[TypeAdapter[types.CallToolResult | types.InputRequiredResult]] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, wire: ToolWire) -> None:
        self._wire = wire

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = await self._wire.send(request.method, headers, await request.aread())
        return httpx2.Response(reply.status, headers=reply.headers, stream=Body(reply.pieces, reply.close))


@asynccontextmanager
async def _session(wire: ToolWire) -> AsyncIterator[ClientSession]:
    """In the newest protocol that both know. The size of events is bounded by the wire."""
    async with httpx2.AsyncClient(transport=_Transport(wire), trust_env=False, timeout=None) as http:
        way = streamable_http_client(NOWHERE, http_client=http, max_sse_event_size=None)
        async with Client(way, mode="auto", cache=None, client_info=OURS) as client:
            yield client.session


async def listed(wire: ToolWire) -> list[Tool]:
    """Raises EffectError, and whatever the library raises (see `meant`)."""
    async with _session(wire) as session:
        return await _tools(session)


async def _tools(session: ClientSession, until: str | None = None) -> list[Tool]:
    """With `until`, no page after the one that has it."""
    found: dict[str, Tool] = {}
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
        for tool in map(_tool, page.tools):
            if tool is not None and len(found) < MOST_TOOLS:
                found.setdefault(tool.name, tool)
        cursor = page.next_cursor
        if not cursor or len(found) == MOST_TOOLS or any(tool.name == until for tool in page.tools):
            break
    return list(found.values())


def _tool(given: types.Tool) -> Tool | None:
    try:
        measure(given.input_schema)
        if len(to_json(given.input_schema)) > PARAMETERS_BYTES:
            return None
    except UnstorableValueError:
        return None
    return Tool(
        name=given.name,
        description=(given.description or "").encode()[:DESCRIPTION_BYTES].decode(errors="ignore"),
        parameters=given.input_schema,
    )


async def called(wire: ToolWire, name: str, arguments: dict[str, Value], idempotency_key: str) -> Value:
    """Raises as `listed`."""
    meta: Any = {"idempotencyKey": idempotency_key}
    params = types.CallToolRequestParams(name=name, arguments=arguments, _meta=meta)
    request = types.CallToolRequest(params=params)
    async with _session(wire) as session:
        try:
            made = await session.send_request(request, _made)
        except MCPError as error:
            if error.code != types.HEADER_MISMATCH:
                raise
            # Not called yet: some arguments must be repeated in headers, and the list says which.
            await _tools(session, until=name)
            made = await session.send_request(request, _made)
    if isinstance(made, types.InputRequiredResult):
        raise EffectError("provider_error", "the tool asks for more before it answers, which is not supported")
    return _value(made)


def _value(made: types.CallToolResult) -> Value:
    if made.is_error:
        said = _joined(part for part in made.content if isinstance(part, types.TextContent))
        raise EffectError("provider_error", said[:ERROR_READ] or "the tool failed and does not say why")
    if made.structured_content is not None:
        structured: Value = made.structured_content
        return structured
    if all(isinstance(part, types.TextContent) for part in made.content):
        return _joined(part for part in made.content if isinstance(part, types.TextContent))
    return [part.text if isinstance(part, types.TextContent) else _shown(part) for part in made.content]


def _joined(parts: Iterable[types.TextContent]) -> str:
    return "\n".join(part.text for part in parts)


def _shown(part: types.ContentBlock) -> Value:
    """What it is, without what only a machine reads: that is counted in base64's characters."""
    match part:
        case types.ImageContent() | types.AudioContent():
            return {"type": part.type, "mime_type": part.mime_type, "base64_length": len(part.data)}
        case types.ResourceLink():
            return {"type": part.type, "mime_type": part.mime_type, "uri": str(part.uri), "name": part.name}
        case types.EmbeddedResource(resource=types.TextResourceContents() as held):
            return {"type": part.type, "mime_type": held.mime_type, "uri": str(held.uri), "text": held.text}
        case types.EmbeddedResource(resource=types.BlobResourceContents() as held):
            length = len(held.blob)
            return {"type": part.type, "mime_type": held.mime_type, "uri": str(held.uri), "base64_length": length}
        case _:
            return {"type": part.type, "mime_type": None}


def meant(error: BaseException) -> EffectError:
    """Of what did not go wrong on the way. The library's own errors quote replies: only what a server says in an error of
    its own is passed on."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, EffectError):
        return error
    if not isinstance(error, MCPError):
        return unreadable("it has a wrong form")
    if error.message.startswith(NO_ANSWER):
        return EffectError("http_connection", CUT_OFF, retryable=True)
    if error.message.startswith(GARBLED):
        return unreadable("it has a wrong form")
    return EffectError("provider_error", "the server reports an error: " + storable_text(error.message[:ERROR_READ]))
