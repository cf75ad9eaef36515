"""The load: turns over keep-alive connections, encoded beforehand as far as can be, so that the client costs little."""

import asyncio
import itertools
import time
from typing import Any, Final

import msgspec

from scripts.benchmarks.site import Site
from scripts.benchmarks.taken import Taken

ANSWER: Final = b"The quick brown fox jumps over the lazy dog, and then over the next one."


class Connection(asyncio.Protocol):
    """One request at a time; `ask` gives the body of the reply."""

    def __init__(self) -> None:
        self._transport: Any = None  # uvloop's are no asyncio.Transport
        self._waiting: asyncio.Future[bytes] | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        self._data = b""
        assert self._waiting is not None
        if head[9:12] == b"200":
            self._waiting.set_result(body)
        else:
            self._waiting.set_exception(RuntimeError((head + b"\n" + body).decode()))

    async def ask(self, request: bytes) -> bytes:
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Talk:
    """One run: `begin`, then as many turns as wanted."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._body = b""
        self._key = self._length = b""
        self.run_id = ""
        self.turn = 0

    async def begin(self, connection: Connection) -> None:
        body = b'{"run_input": {"dynamic_variables": {"topic": "the harvest of this year"}}}'
        reply = await connection.ask(self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.run_id = msgspec.json.decode(reply)["run_id"]
        run_id = self.run_id.encode()
        self._key = b"Idempotency-Key: " + run_id
        self._body = b'\r\n\r\n{"run_id": "' + run_id + b'", "run_input": {"message": "' + ANSWER + b'"}}'
        self._length = b"\r\nContent-Length: %d" % (len(self._body) - 4)
        self.turn = 1

    async def next(self, connection: Connection) -> float:
        """The next turn, with a key of its own; seconds until its reply was there."""
        self.turn += 1
        request = self._head + self._key + b"-%d" % self.turn + self._length + self._body
        began = time.perf_counter()
        await connection.ask(request)
        return time.perf_counter() - began


class Client:
    """Connections to one site, and what they cost this process."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._head = (
            f"POST /v1/workflows/{site.workflow_id}/execute HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
            f"Authorization: Bearer {site.key}\r\nContent-Type: application/json\r\n"
        ).encode()
        self._idle: list[Connection] = []
        self.cpu_seconds, self.requests = 0.0, 0  # what the client itself has cost

    async def connections(self, count: int) -> list[Connection]:
        """So many; the server closes those that have been idle for some seconds."""
        loop = asyncio.get_running_loop()
        self._idle = [connection for connection in self._idle if connection.is_open]
        while len(self._idle) < count:
            _, connection = await loop.create_connection(Connection, "127.0.0.1", self._site.port)
            self._idle.append(connection)
        return self._idle[:count]

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

    async def talks(self, count: int, turns: int = 2, in_flight: int = 16) -> list[Talk]:
        """Runs that have made so many turns."""
        talks = [Talk(self._head) for _ in range(count)]
        waiting = iter(talks)

        async def prepare(connection: Connection) -> None:
            for talk in waiting:
                await talk.begin(connection)
                while talk.turn < turns:
                    await talk.next(connection)

        await asyncio.gather(*(prepare(connection) for connection in await self.connections(in_flight)))
        return talks

    async def turns(self, talks: list[Talk], in_flight: int, seconds: float) -> Taken:
        """Takes turns for a while; each worker goes round its own share of the runs."""
        found: list[float] = []
        connections = await self.connections(in_flight)
        began, cpu = time.perf_counter(), time.process_time()

        async def work(connection: Connection, share: list[Talk]) -> None:
            for talk in itertools.cycle(share):
                if time.perf_counter() >= began + seconds:
                    return
                found.append(await talk.next(connection))

        await asyncio.gather(*(work(one, talks[at::in_flight]) for at, one in enumerate(connections)))
        self.cpu_seconds += time.process_time() - cpu
        self.requests += len(found)
        return Taken(found, time.perf_counter() - began)

    async def nothing(self, seconds: float) -> Taken:
        """The same for a request that does nothing: what HTTP and the client cost."""
        request = f"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:{self._site.port}\r\n\r\n".encode()
        (connection,) = await self.connections(1)
        found: list[float] = []
        began = at = time.perf_counter()
        while at < began + seconds:
            await connection.ask(request)
            found.append(time.perf_counter() - at)
            at = time.perf_counter()
        return Taken(found, at - began)
