"""Tools of others: servers that speak the Model Context Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from app.engine.talk import Tool
from app.engine.values import Value


class ToolServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where tools are and what is sent along. `allowed`: what may be reached besides public addresses."""

    url: str
    headers: dict[str, str] = {}
    allowed: Sequence[str] = ()

    def __repr__(self) -> str:
        """Without what may be secret."""
        return "ToolServer()"


class ToolServers(Protocol):
    """The way to such servers, a session for each question. Never retries; the caller bounds the time and cancels, which
    closes the connections. Raises EffectError: invalid_value, http_connection, blocked_address, too_large, rate_limited,
    provider_error. A refusal's `details` have status_code and body, and a message may quote the server, both up to 64 KiB
    as they came: mask them, then cut them."""

    async def list(self, server: ToolServer) -> list[Tool]:
        """At most 1,000, each name once; descriptions are cut at 4 KiB, tools whose parameters are over 64 KiB left out."""

    async def call(self, server: ToolServer, name: str, arguments: dict[str, Value], idempotency_key: str) -> Value:
        """What the tool made: its structured content if there is any, else its text, else a list of its texts and of
        objects {type, mime_type, …} that say what else there was. A tool that says it failed: provider_error."""
