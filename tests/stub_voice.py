"""How the stub of a provider speaks: what can be asked of it, and every way to say it well or badly."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from typing import Any, Literal

import msgspec

from app.services.performing.smallest import smallest

Fault = Literal[
    "drop",  # closes without a reply
    "drop_midway",  # closes in the middle of the reply
    "end_early",  # a stream that ends properly, but before the answer does
    "reset",
    "reset_midway",
    "hang",  # never says anything
    "hang_midway",
    "hang_at_end",  # says everything, and stays open
    "endless",  # never stops talking
    "garbled_json",
    "garbled_sse",
    "html",
    "huge",
    "bomb",
]


USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


class Say(msgspec.Struct, kw_only=True):
    """An answer. `pieces`: how a stream is cut, else by words; `calls`: {id?, name, arguments} with arguments as text;
    `body`: these bytes instead of an answer, with `status` and `headers`; `events`: of a stream, instead of its own;
    `extra`: more fields of the message; seconds: before the answer, and between the pieces of a stream."""

    text: str | None = None
    pieces: list[str] | None = None
    calls: list[dict[str, Any]] = []
    finish: str | None = "stop"
    usage: dict[str, Any] | None = msgspec.field(default_factory=lambda: dict(USAGE))
    model: str = "stub-1"
    extra: dict[str, Any] = {}
    before_seconds: float = 0
    delay_seconds: float = 0
    status: int = 200
    headers: dict[str, str] = {}
    body: str | None = None
    events: list[Any] | None = None
    packed: bool = False
    fault: Fault | None = None


class Seen(msgspec.Struct, kw_only=True):
    """A request. `closed`: the client has closed the connection before the reply was complete."""

    key: str | None
    prompt: str
    body: dict[str, Any]
    headers: list[tuple[str, str]]
    target: str = ""
    closed: bool = False


def reply_of(status: int, media: str, body: bytes, more: dict[str, str] | None = None, packed: bool = False) -> bytes:
    body = gzip.compress(body) if packed else body
    headers = {"Content-Type": media, "Content-Length": str(len(body)), **(more or {})}
    headers |= {"Content-Encoding": "gzip"} if packed else {}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Mouth:
    """Says one thing to one client."""

    def __init__(self, seen: Seen, say: Say, writer: asyncio.StreamWriter) -> None:
        self._seen = seen
        self._say = say
        self._writer = writer
        self._text = say.text if say.text is not None or say.calls or say.extra else _default_text(seen)

    async def speak(self) -> None:
        say = self._say
        await asyncio.sleep(say.before_seconds)
        match say.fault:
            case "drop":
                return
            case "reset":
                return self._reset()
            case "hang":
                await asyncio.Event().wait()
            case "html":
                return await self._send(reply_of(200, "text/html", b"<html><h1>Welcome to the gateway</h1></html>"))
            case "huge":
                return await self._send(reply_of(200, "application/json", b'{"x":"' + b"a" * (9 << 20) + b'"}'))
            case "bomb":
                return await self._send(reply_of(200, "application/json", b" " * (64 << 20), packed=True))
        if say.body is not None:
            media = say.headers.get("Content-Type", "application/json")
            await self._send(reply_of(say.status, media, say.body.encode("utf-8", "surrogatepass"), say.headers))
        elif self._seen.body.get("stream"):
            await self._stream()
        else:
            await self._whole()

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def _reset(self) -> None:
        """Closes with a RST: nothing that was sent before needs to arrive."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _whole(self) -> None:
        say = self._say
        message = {"role": "assistant", "content": self._text, **say.extra}
        if say.calls:
            message["tool_calls"] = [_call(call, at) for at, call in enumerate(say.calls)]
        answer = {
            **self._head("chat.completion"),
            "choices": [{"index": 0, "message": message, "finish_reason": self._finish()}],
        }
        body = json.dumps(answer | ({"usage": say.usage} if say.usage is not None else {})).encode()
        if say.fault == "garbled_json":
            body = body[:-9] + b"}]"
        reply = reply_of(say.status, "application/json", body, say.headers, say.packed)
        cut = say.fault in ("drop_midway", "end_early", "hang_midway")
        await self._send(reply[: len(reply) - len(body) // 2] if cut else reply)
        if say.fault in ("hang_midway", "hang_at_end"):
            await asyncio.Event().wait()

    async def _stream(self) -> None:
        say = self._say
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        await self._send(head.encode())
        events = say.events if say.events is not None else self._events()
        for at, event in enumerate(events):
            if at == len(events) // 2 and say.fault in (
                "drop_midway",
                "hang_midway",
                "end_early",
                "endless",
                "reset_midway",
            ):
                return await self._stop_midway(event)
            data = event if isinstance(event, str) else json.dumps(event)
            await self._chunk(f"data: {data[:-3] if say.fault == 'garbled_sse' and at else data}\n\n")
            await asyncio.sleep(say.delay_seconds)
        await self._chunk("data: [DONE]\n\n")
        if say.fault == "hang_at_end":
            await asyncio.Event().wait()
        await self._send(b"0\r\n\r\n")

    async def _stop_midway(self, event: Any) -> None:
        match self._say.fault:
            case "hang_midway":
                await asyncio.Event().wait()
            case "reset_midway":
                self._reset()
            case "end_early":
                await self._send(b"0\r\n\r\n")
            case "endless":
                while True:
                    await self._chunk(f"data: {json.dumps(event)}\n\n")
                    await asyncio.sleep(self._say.delay_seconds)

    async def _chunk(self, text: str) -> None:
        data = text.encode()
        await self._send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _events(self) -> list[Any]:
        say = self._say
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{name: value} for name, value in say.extra.items()]
        deltas += [{"content": piece} for piece in self._pieces()]
        for at, call in enumerate(say.calls):
            made = _call(call, at)
            text = made["function"].pop("arguments")
            deltas.append({"tool_calls": [made | {"index": at, "function": {**made["function"], "arguments": ""}}]})
            deltas += [
                {"tool_calls": [{"index": at, "function": {"arguments": part}}]}
                for part in (text[: len(text) // 2], text[len(text) // 2 :])
            ]
        head = self._head("chat.completion.chunk")
        events = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        events.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": self._finish()}]})
        wants_usage = self._seen.body.get("stream_options", {}).get("include_usage")
        if say.usage is not None and wants_usage:
            events.append(head | {"choices": [], "usage": say.usage})
        return events

    def _pieces(self) -> list[str]:
        if self._say.pieces is not None:
            return self._say.pieces
        words = (self._text or "").split(" ")
        return [word if at == 0 else f" {word}" for at, word in enumerate(words)] if self._text else []

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": self._say.model}

    def _finish(self) -> str | None:
        return "tool_calls" if self._say.calls and self._say.finish == "stop" else self._say.finish


def _default_text(seen: Seen) -> str:
    wanted = seen.body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return json.dumps(smallest(wanted["json_schema"]["schema"]))
    return f"said: {seen.prompt}"


def _call(call: dict[str, Any], at: int) -> dict[str, Any]:
    named = {name: value for name, value in call.items() if name not in ("name", "arguments", "id")}
    function = {"name": call["name"], "arguments": call.get("arguments", "{}")}
    return {"id": call.get("id", f"call_{at + 1}"), "type": "function", "function": function, **named}
