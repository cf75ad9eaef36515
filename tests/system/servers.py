"""Real server processes against one database: started, killed, frozen, restarted, and ended by pid when the test is over.

`async with Cluster(folder) as cluster` gives one server with the embedded database it starts itself; with more processes,
or `own_database=False`, the cluster keeps the database and every server uses it through MONGODB_URI.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import psutil
from motor.motor_asyncio import AsyncIOMotorClient

from app.adapters.embedded import EmbeddedMongo
from tests.hidden import stored
from tests.system.caller import Json
from tests.system.probe import flag, trace, traced
from tests.system.process import ADMIN_KEY, ROOT, Server, ServerError

__all__ = ["ADMIN_KEY", "ROOT", "RUNNING", "Cluster", "Server", "ServerError"]
SERVE: Final = ("-m", "app")
PROBING: Final = ("tests/system/probe_server.py",)
RUNNING: list[Cluster] = []  # whose logs a failed test shows


class Cluster:
    """Servers against one database. `probing`: with the probe kinds of `probe.py`; they write to `probe_dir`."""

    def __init__(
        self,
        folder: Path,
        processes: int = 1,
        *,
        own_database: bool | None = None,
        probing: bool = True,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.probe_dir = folder / "probe"
        self.own_database = processes == 1 if own_database is None else own_database
        self.database_dir = folder / ("server-0" if self.own_database else "database")
        self.servers: list[Server] = []
        self._program = PROBING if probing else SERVE
        self._given = environment or {}
        self._processes = processes
        self._mongo = EmbeddedMongo(self.database_dir)
        self._watch: asyncio.Task[None] | None = None
        self._uri: str | None = None

    async def __aenter__(self) -> Self:
        self.probe_dir.mkdir(parents=True, exist_ok=True)
        RUNNING.append(self)
        try:
            if not self.own_database:
                await self.start_database()
            for _ in range(self._processes):
                self.add_server()
            for server in self.servers[:1]:
                await server.start()  # alone: it makes the first workspace
            for server in self.servers[1:]:
                server.launch()
            await asyncio.gather(*(server.ready() for server in self.servers[1:]))
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._end()
        if isinstance(error, Exception):
            for server in self.servers:
                error.add_note(f"the end of the log of {server.log_path}:\n{server.log()[-3_000:]}")

    def add_server(self, **environment: str) -> Server:
        """One more server on the same database, not started yet."""
        name = f"server-{len(self.servers)}"
        uri = {} if self._uri is None else {"MONGODB_URI": self._uri}
        given = {"ANTIPHON_PROBE_DIR": str(self.probe_dir), **uri, **self._given, **environment}
        server = Server(name, self.folder / name, self._program, given)
        self.servers.append(server)
        return server

    async def command(self, *words: str, server: int = 0) -> str:
        """What `python -m app …` prints, with the environment of a server. Raises ServerError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "app", *words),
            cwd=ROOT,
            env=self.servers[server].environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complained = await process.communicate()
        if process.returncode:
            raise ServerError(f"{words} ended with {process.returncode}: {complained.decode()}")
        return printed.decode()

    @property
    def uri(self) -> str:
        """Of the database."""
        running = self._uri or self._mongo.running_uri()
        assert running is not None, "the database does not run"
        return running

    # ---- probes

    def hold(self) -> Path:
        """A new flag: effects with `sleep_while` of its name go on once it is unlinked."""
        return flag(self.probe_dir, f"hold-{secrets.token_hex(4)}")

    def trace(self, *what: str, run: str = "") -> list[Json]:
        """What the probes did so far."""
        return trace(self.probe_dir, *what, run=run)

    async def traced(self, *what: str, count: int = 1, run: str = "", seconds: float = 10.0) -> list[Json]:
        """What they did, once they did it so often. Raises TimeoutError."""
        return await traced(self.probe_dir, *what, count=count, run=run, seconds=seconds)

    # ---- the database

    @property
    def mongo_pid(self) -> int:
        """Of the present process of the embedded database."""
        return int(msgspec.json.decode((self.database_dir / "mongo.json").read_bytes())["pid"])

    def running_databases(self) -> list[int]:
        """The pids of every embedded database on a folder of this cluster."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if any("secantusd" in word for word in words[:3]) and any(str(self.folder) in word for word in words):
                found.append(process.pid)
        return found

    async def start_database(self) -> None:
        """Starts the cluster's own database and restarts it whenever it dies."""
        self._uri = await self._mongo.start()
        self._watch = asyncio.create_task(self._mongo.watch())

    def kill_database(self) -> int:
        """kill -9; whoever watches it restarts it. Its pid as it was."""
        pid = self.mongo_pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid

    async def stop_watching(self) -> None:
        """From now on a killed database of the cluster stays dead until `start_database`."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def database_is_back(self, killed: int, seconds: float = 30.0) -> None:
        """Waits until another process than `killed` has been started. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.mongo_pid == killed:  # noqa: ASYNC110  (it waits for another process)
                await asyncio.sleep(0.02)

    async def _end(self) -> None:
        RUNNING.remove(self)
        for server in self.servers:
            server.thaw()
            await server.kill()
            await server.close()
        await self.stop_watching()
        # Also one that a killed server has left: adopting it first makes this object able to stop it.
        found = b""
        if self._mongo.running_uri() is not None:
            uri = await self._mongo.start()
            if any(not server.hidden.is_empty for server in self.servers):
                found = await _stored(uri)
        await self._mongo.stop(grace_seconds=0.0)
        for server in self.servers:
            server.hidden.look("the database", found)
            for other in self.servers:
                server.hidden.look(f"the log of {other.name}", other.log().encode())


async def _stored(uri: str) -> bytes:
    client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(uri)
    try:
        return await stored(client["antiphon"])
    finally:
        client.close()
