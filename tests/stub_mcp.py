"""A server of tools (MCP over streamable HTTP) that answers as told: properly, or as badly as servers do.

Its tools: `echo {text}`, and `stub` whose arguments are a Do that says how to answer. `plan` has Dos for the next messages of
their methods. As a process of its own: `python -m tests.stub_mcp PORT`; there `GET /stub/seen` tells what came,
`POST /stub/plan` (a list of Dos) sets the plan and `POST /stub/ways` (Ways) how the server is.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.stub_http import Asked, read_asked
from tests.stub_mcp_voice import (
    LEGACY,
    MODERN,
    OBJECT,
    Do,
    Seen,
    Ways,
    event_of,
    head_of_events,
    large,
    last_event,
    seen_in,
    send,
    whole,
)

__all__ = ["LEGACY", "MODERN", "OBJECT", "Do", "Seen", "StubMcp", "Ways", "stub_mcp"]


class StubMcp:
    def __init__(self) -> None:
        self.ways = Ways()
        self.plan: list[Do] = []
        self.seen: list[Seen] = []
        self.sessions: set[str] = set()
        self.opened = 0
        self.port = 0
        self.open = 0
        self.arrived = asyncio.Event()
        self.client_closed = asyncio.Event()
        self.later: dict[str, bytes] = {}

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}/mcp"

    @property
    def calls(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "tools/call"]

    @property
    def methods(self) -> list[str]:
        return [seen.method for seen in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            asked = await read_asked(reader)
            if asked.target.startswith("/stub/"):
                await send(writer, whole(200, self._told(asked)))
                return
            seen = seen_in(asked)
            self.seen.append(seen)
            await self._until_left(seen, self._answer(asked, seen, writer), reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def _told(self, asked: Asked) -> bytes:
        if asked.method == "POST" and asked.target == "/stub/plan":
            self.plan = msgspec.json.decode(asked.body, type=list[Do])
        elif asked.method == "POST":
            self.ways = msgspec.json.decode(asked.body, type=Ways)
        by_key, by_tool = (Counter(getattr(seen, of) for seen in self.calls) for of in ("key", "tool"))
        told = {"seen": self.seen, "by_key": by_key, "by_tool": by_tool, "planned": len(self.plan)}
        return msgspec.json.encode(told)

    async def _until_left(self, seen: Seen, answer: Any, reader: asyncio.StreamReader) -> None:
        answering = asyncio.ensure_future(answer)
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
            else:
                seen.closed = True
                self.client_closed.set()
        except ConnectionError:
            seen.closed = True
            self.client_closed.set()
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _answer(self, asked: Asked, seen: Seen, writer: asyncio.StreamWriter) -> None:
        if self.ways.slash and not asked.target.endswith("/"):
            return await send(writer, whole(307, b"", "text/plain", {"Location": asked.target + "/"}))
        do = self._do(seen)
        if seen.method == "tools/call":
            self.arrived.set()
        await asyncio.sleep(do.before_seconds)
        if asked.method == "DELETE":
            await asyncio.sleep(self.ways.leaving_seconds)
            self.sessions.discard(asked.header("mcp-session-id") or "")
            return await send(writer, whole(200, b""))
        if asked.method == "GET":
            return await send(writer, self._rest(do, asked.header("last-event-id") or ""))
        await self._speak(do, asked, seen, writer)

    def _rest(self, do: Do, last_id: str) -> bytes:
        """What comes after the event."""
        if do.ends is not None:
            return head_of_events() + last_event(do.ends, do.retry_seconds)
        later = self.later.pop(last_id, None)
        return whole(405, b"") if later is None or do.status != 200 else head_of_events() + later

    def _do(self, seen: Seen) -> Do:
        for at, planned in enumerate(self.plan):
            if planned.on == seen.method:
                return self.plan.pop(at)
        if seen.tool == "stub":
            return msgspec.convert(seen.params.get("arguments", {}), Do)
        return Do()

    async def _speak(self, do: Do, asked: Asked, seen: Seen, writer: asyncio.StreamWriter) -> None:
        message = json.loads(asked.body)
        if do.fault == "drop":
            return
        if do.fault == "hang":
            await asyncio.Event().wait()
        if do.fault in ("huge", "bomb"):
            coded = {"Content-Encoding": "gzip"} if do.fault == "bomb" else {}
            return await send(writer, whole(200, large(do.fault), more=coded))
        if do.body is not None:
            return await send(writer, whole(do.status, do.body.encode(), more=do.headers))
        session = asked.header("mcp-session-id")
        if self.ways.sessions and seen.method != "initialize" and session not in self.sessions:
            return await send(writer, whole(400 if session is None else 404, b"no such session", "text/plain"))
        if "id" not in message:
            return await send(writer, whole(202, b""))
        answer = {"jsonrpc": "2.0", "id": message["id"], **self._body(do, seen)}
        await self._write(do, answer, self._headers(do, seen), writer)

    def _headers(self, do: Do, seen: Seen) -> dict[str, str]:
        if not self.ways.sessions or seen.method != "initialize":
            return do.headers
        self.opened += 1
        self.sessions.add(f"session-{self.opened}")
        return {**do.headers, "Mcp-Session-Id": f"session-{self.opened}"}

    def _body(self, do: Do, seen: Seen) -> dict[str, Any]:
        if do.error is not None:
            return {"error": do.error}
        if do.result is not None:
            return {"result": do.result}
        more = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if self.ways.modern else {}
        info, able = {"name": "stub", "version": "1"}, {"tools": {}}
        match seen.method:
            case "server/discover" if self.ways.modern:
                return {"result": {"supportedVersions": [MODERN], "capabilities": able, **more}}
            case "initialize" if not self.ways.modern:
                return {"result": {"protocolVersion": LEGACY, "capabilities": able, "serverInfo": info}}
            case "tools/list":
                return {"result": {**self._page(int(seen.params.get("cursor") or 0)), **more}}
            case "tools/call":
                said = seen.params.get("arguments", {}).get("text", "")
                done = {"resultType": "complete"} if self.ways.modern else {}
                return {"result": {"content": [{"type": "text", "text": f"said: {said}"}], **done}}
        return {"error": {"code": -32601, "message": "Method not found"}}

    def _page(self, start: int) -> dict[str, Any]:
        tools = self.ways.tools
        if tools is None:
            tools = [{"name": name, "description": f"It is {name}", "inputSchema": OBJECT} for name in ("echo", "stub")]
        end = start + self.ways.page_size
        return {"tools": tools[start:end], **({"nextCursor": str(end)} if end < len(tools) else {})}

    async def _write(self, do: Do, answer: Any, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if not self.ways.streams and not do.events and do.ends is None and do.fault != "endless":
            body = json.dumps(answer).encode()
            reply = whole(do.status, body, more=headers)
            cut = do.fault in ("drop_midway", "end_early", "hang_midway")
            await send(writer, reply[: len(reply) - len(body) // 2] if cut else reply)
        else:
            await self._stream(do, answer, headers, writer)
        if do.fault == "hang_midway":
            await asyncio.Event().wait()

    async def _stream(self, do: Do, answer: Any, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        more = {**headers, **({"Content-Length": "99999"} if do.fault == "drop_midway" else {})}  # its end is missed
        await send(writer, head_of_events(more))
        news = event_of({"jsonrpc": "2.0", "method": "notifications/x", "params": {"x": "y" * 99_999}})
        while do.fault == "endless":
            await send(writer, news)
        for event in do.events:
            await send(writer, b"data: " + event.encode() + b"\n\n" if isinstance(event, str) else event_of(event))
        if do.ends is not None:
            self.later[do.ends] = event_of(answer)
            await send(writer, last_event(do.ends, do.retry_seconds))
        elif do.fault is None:
            await send(writer, event_of(answer))


@asynccontextmanager
async def stub_mcp(port: int = 0) -> AsyncIterator[StubMcp]:
    """On a free port of 127.0.0.1, unless a port is given."""
    made = StubMcp()
    server = await asyncio.start_server(made.serve, "127.0.0.1", port, limit=1 << 24)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def _run(port: int) -> None:
    async with stub_mcp(port) as made:
        print(made.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
