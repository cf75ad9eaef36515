"""A small HTTP/1.1 server that records what it is sent and answers as told: properly, or as badly as servers do."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """A request as it came. Names of headers are in lower case, in their order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        found = [value for one, value in self.headers if one == name]
        assert len(found) < 2, f"{name} came twice"
        return found[0] if found else None

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.headers}


@dataclass
class Reply:
    """What it answers. `raw`: these bytes, whatever they are; `drip_seconds`: between single bytes of the body; `cut`: so
    many bytes of the body and then the connection is closed; `hang`: nothing ever comes after the body."""

    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    raw: bytes | None = None
    drip_seconds: float = 0
    cut: int | None = None
    hang: bool = False

    def head(self) -> bytes:
        named = {name.lower() for name, _ in self.headers}
        length = [] if "content-length" in named or self.hang else [("Content-Length", str(len(self.body)))]
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in [*self.headers, *length])]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    named = [("Content-Type", "application/json"), *((name.replace("_", "-"), text) for name, text in headers.items())]
    return Reply(status, json.dumps(value).encode(), named)


def redirect(location: str, status: int = 302) -> Reply:
    return Reply(status, b"elsewhere", [("Location", location)])


def packed(body: bytes, coding: str = "gzip", times: int = 1) -> Reply:
    for _ in range(times):
        body = gzip.compress(body)
    return Reply(200, body, [("Content-Encoding", coding), ("Content-Type", "text/plain")])


class Stub:
    """`replies` are given one after the other, the last one for ever; or `answer` decides by the request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: list[Reply] = [Reply()]
        self.answer: Callable[[Asked], Reply] | None = None
        self.port = 0
        self.closed = asyncio.Event()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await read_asked(reader)
            self.asked.append(asked)
            reply = self.answer(asked) if self.answer else self.replies[min(len(self.asked), len(self.replies)) - 1]
            await _write(writer, reply, asked.method == "HEAD")
            if reply.hang:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed.set()
            writer.close()


async def read_asked(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = tuple((line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in head[1:] if line)
    length = int(dict(headers).get("content-length", 0))
    return Asked(method, target, headers, await reader.readexactly(length))


async def _write(writer: asyncio.StreamWriter, reply: Reply, is_head: bool) -> None:
    body = b"" if is_head else reply.body[: reply.cut]
    writer.write(reply.raw if reply.raw is not None else reply.head())
    if reply.drip_seconds:
        for byte in body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(reply.drip_seconds)
    elif reply.raw is None:
        writer.write(body)
    await writer.drain()


@asynccontextmanager
async def stub() -> AsyncIterator[Stub]:
    """On a free port of 127.0.0.1."""
    made = Stub()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=1 << 20)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
