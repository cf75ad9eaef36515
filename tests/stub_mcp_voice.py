"""What the stub of a server of tools can be told to do, and what it puts on the wire."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any, Literal

import msgspec

from tests.stub_http import Asked

Fault = Literal["drop", "drop_midway", "end_early", "hang", "hang_midway", "endless", "huge", "bomb"]
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
OBJECT = {"type": "object", "properties": {"text": {"type": "string"}}}


class Do(msgspec.Struct, kw_only=True):
    """One answer. `on`: to which method (of a plan); `result` or `error` {code, message} instead of its own; `body`: this
    text instead of a message, with `status` and `headers`; `events`: before the answer, of a stream; `ends`: a stream
    ends before its answer, which comes to whoever reads on from the event with this id, `retry_seconds` later."""

    on: str = "tools/call"
    result: Any = None
    error: dict[str, Any] | None = None
    status: int = 200
    headers: dict[str, str] = {}
    body: str | None = None
    events: list[Any] = []
    ends: str | None = None
    retry_seconds: float = 0.01
    before_seconds: float = 0
    fault: Fault | None = None


class Ways(msgspec.Struct, kw_only=True):
    """How the server is. `streams`: it answers in events; `sessions`: it wants its session's id; `modern`: it knows the
    newest protocol only; `tools`: else `echo` and `stub`; `slash`: it redirects to the path with one."""

    streams: bool = False
    sessions: bool = False
    modern: bool = False
    tools: list[dict[str, Any]] | None = None
    page_size: int = 1_000
    slash: bool = False
    leaving_seconds: float = 0


class Seen(msgspec.Struct, kw_only=True):
    """A message. `closed`: the client has closed the connection before the reply was complete."""

    method: str
    tool: str | None
    key: str | None
    meta_key: str | None
    params: dict[str, Any]
    headers: list[tuple[str, str]]
    closed: bool = False


def seen_in(asked: Asked) -> Seen:
    message = json.loads(asked.body) if asked.body else {}
    params = message.get("params") or {}
    method = message.get("method") or asked.method
    return Seen(
        method=method,
        tool=params.get("name") if method == "tools/call" else None,
        key=asked.header("idempotency-key"),
        meta_key=(params.get("_meta") or {}).get("idempotencyKey"),
        params=params,
        headers=list(asked.headers),
    )


def large(fault: str) -> bytes:
    return gzip.compress(b" " * (64 << 20)) if fault == "bomb" else b'{"x":"' + b"a" * (9 << 20) + b'"}'


def whole(status: int, body: bytes, media: str = "application/json", more: dict[str, str] | None = None) -> bytes:
    headers = {"Content-Type": media, "Content-Length": str(len(body)), "Connection": "close", **(more or {})}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def head_of_events(more: dict[str, str] | None = None) -> bytes:
    headers = {"Content-Type": "text/event-stream", "Connection": "close", **(more or {})}
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def event_of(message: Any) -> bytes:
    return b"event: message\ndata: " + json.dumps(message).encode() + b"\n\n"


def last_event(event_id: str, retry_seconds: float) -> bytes:
    """A stream may end after it, and be read on later."""
    return f"id: {event_id}\nretry: {int(retry_seconds * 1000)}\ndata: \n\n".encode()


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
