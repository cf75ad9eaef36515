"""Asking the stub of a server of tools through the adapter in tests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.models.mcp_client import McpToolServers
from app.engine.talk import Tool
from app.ports import EffectError
from app.ports.tools import ToolServer
from tests.conformance.samples import NOW, SetClock
from tests.stub_mcp import StubMcp

KEY = "run:agent#1.1"
TOKEN = "t0p-s3cret"
LOCAL = ("127.0.0.1",)


def servers(guard: AddressGuard | None = None) -> McpToolServers:
    return McpToolServers(GuardedHttp(guard or AddressGuard()), SetClock(NOW))


def server_of(mcp: StubMcp, /, **given: Any) -> ToolServer:
    fields = {"url": mcp.url, "headers": {"Authorization": f"Bearer {TOKEN}"}, "allowed": LOCAL}
    return ToolServer(**(fields | given))


async def tools(mcp: StubMcp, /, *, guard: AddressGuard | None = None, **given: Any) -> list[Tool]:
    async with asyncio.timeout(20):
        return await servers(guard).list(server_of(mcp, **given))


async def echo(mcp: StubMcp, text: Any = "hello", /, *, guard: AddressGuard | None = None, **given: Any) -> Any:
    async with asyncio.timeout(20):
        return await servers(guard).call(server_of(mcp, **given), "echo", {"text": text}, KEY)


async def stub_does(mcp: StubMcp, /, **do: Any) -> Any:
    """The tool `stub`, which does so."""
    async with asyncio.timeout(20):
        return await servers().call(server_of(mcp), "stub", do, KEY)


async def failure(asked: Any) -> EffectError:
    with pytest.raises(EffectError) as caught:
        await asked
    error = caught.value
    assert error.error_type == "invalid_value" or (error.__cause__ is None and error.__suppress_context__)
    assert TOKEN not in f"{error} {error.details} {error.message}"
    return error
