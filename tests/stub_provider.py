"""An OpenAI-compatible provider that answers as told: properly, or as badly as providers do.

What it says is decided by, in this order: `answer`, `plan` (one `Say` after the other), a last user message
`stub {json of a Say}`, the asked JSON Schema, else `said: <last user text>`. As a process of its own:
`python -m tests.stub_provider PORT`; there `GET /stub/seen` tells what came and `POST /stub/plan` (a list of Says) sets the
plan.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from tests.stub_http import Asked, read_asked
from tests.stub_voice import Mouth, Say, Seen, reply_of

__all__ = ["Say", "Seen", "StubProvider", "stub_provider"]


class StubProvider:
    def __init__(self) -> None:
        self.answer: Callable[[Seen], Say] | None = None
        self.plan: list[Say] = []
        self.seen: list[Seen] = []
        self.port = 0
        self.arrived = asyncio.Event()
        self.client_closed = asyncio.Event()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"http://{self.place}/v1"

    @property
    def by_key(self) -> Counter[str | None]:
        return Counter(seen.key for seen in self.seen)

    @property
    def by_prompt(self) -> Counter[str]:
        return Counter(seen.prompt for seen in self.seen)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await read_asked(reader)
            if asked.target.startswith("/stub/"):
                writer.write(reply_of(200, "application/json", self._told(asked)))
                await writer.drain()
                return
            seen = _seen(asked)
            self.seen.append(seen)
            self.arrived.set()
            await self._answer(seen, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _told(self, asked: Asked) -> bytes:
        if asked.method == "POST":
            self.plan = msgspec.json.decode(asked.body, type=list[Say])
        return msgspec.json.encode(
            {
                "seen": self.seen,
                "by_key": dict(self.by_key),
                "by_prompt": dict(self.by_prompt),
                "planned": len(self.plan),
            }
        )

    async def _answer(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until all is said, or the client goes."""
        saying = asyncio.ensure_future(Mouth(seen, self._say(seen), writer).speak())
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({saying, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if saying.done():
                saying.result()
            else:
                seen.closed = True
                self.client_closed.set()
        except ConnectionError:
            seen.closed = True
            self.client_closed.set()
        finally:
            for task in (saying, leaving):
                task.cancel()
            await asyncio.gather(saying, leaving, return_exceptions=True)

    def _say(self, seen: Seen) -> Say:
        if self.answer is not None:
            return self.answer(seen)
        if self.plan:
            return self.plan.pop(0)
        if seen.prompt.startswith("stub {"):
            return msgspec.json.decode(seen.prompt[5:], type=Say)
        return Say()


def _seen(asked: Asked) -> Seen:
    body = json.loads(asked.body)
    said = [message.get("content") or "" for message in body["messages"] if message["role"] == "user"]
    prompt = said[-1] if said else ""
    return Seen(
        key=asked.header("idempotency-key"), prompt=prompt, body=body, headers=list(asked.headers), target=asked.target
    )


@asynccontextmanager
async def stub_provider(port: int = 0) -> AsyncIterator[StubProvider]:
    """On a free port of 127.0.0.1, unless a port is given."""
    made = StubProvider()
    server = await asyncio.start_server(made.serve, "127.0.0.1", port, limit=1 << 24)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def _run(port: int) -> None:
    async with stub_provider(port) as made:
        print(made.base_url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
