"""Real server processes against one database: started, killed, frozen, restarted, and ended by pid when the test is over.

`async with Cluster(folder) as cluster` gives one server with the embedded database it starts itself; with more processes,
or `own_database=False`, the cluster keeps the database and every server uses it through MONGODB_URI.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import psutil

from app.adapters.embedded import EmbeddedMongo
from tests.system.caller import Caller, Json
from tests.system.probe import flag, trace, traced

ROOT: Final = Path(__file__).resolve().parents[2]
ADMIN_KEY: Final = "ak_of_the_system_tests_0123456789abcdefghijklmnop"
START_SECONDS: Final = 45.0
SERVE: Final = ("-m", "app")
PROBING: Final = ("tests/system/probe_server.py",)
# Of our own environment, what a server may see: a developer's settings must not change what the tests see.
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
# Below the kernel's ephemeral range and the embedded database's ports: a server keeps its port over its restarts.
PORTS: Final = range(10_000, 19_000)


RUNNING: list[Cluster] = []  # whose logs a failed test shows


class ServerError(AssertionError):
    """A server did not do what it was told; the text has the end of its log."""


class Server(Caller):
    """One `serve` process. `url` stays the same over restarts; `log` has the output of all its lives."""

    def __init__(self, name: str, data_dir: Path, program: tuple[str, ...], environment: dict[str, str]) -> None:
        super().__init__(ADMIN_KEY)
        self.name = name
        self.data_dir = data_dir
        self.log_path = data_dir.parent / f"{name}.log"
        self._command = [sys.executable, *program, "serve"]
        self._environment = {key: os.environ[key] for key in INHERITED if key in os.environ}
        self._environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "ANTIPHON_DATA_DIR": str(data_dir)}
        self._environment |= {"ANTIPHON_ADMIN_KEY": ADMIN_KEY, "PORT": str(_free_port())} | environment
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    @property
    def pid(self) -> int:
        """Of the present process, or of the last one."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def environment(self) -> dict[str, str]:
        """What the process is started with: for commands that go to the same database."""
        return dict(self._environment)

    def log(self, *, this_life: bool = False) -> str:
        """Everything it has written to stdout and stderr."""
        text = self.log_path.read_bytes() if self.log_path.exists() else b""
        return text[self._log_from if this_life else 0 :].decode(errors="replace")

    def launch(self) -> None:
        """Starts the process without waiting for it."""
        assert not self.is_alive, f"{self.name} is running"
        self._log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=self._environment,
            )

    async def start(self) -> Self:
        """Starts the process and waits for its greeting. Raises ServerError."""
        self.launch()
        return await self.ready()

    async def ready(self, seconds: float = START_SECONDS) -> Self:
        """Waits for the greeting of the present life. Raises ServerError."""
        until = time.monotonic() + seconds
        while (greeting := self.greeting()) is None:
            if not self.is_alive:
                code = self._process.returncode if self._process else None
                raise ServerError(f"{self.name} ended with {code} before it listened:\n{self._tail()}")
            if time.monotonic() > until:
                raise ServerError(f"{self.name} did not listen within {seconds:g} s:\n{self._tail()}")
            await asyncio.sleep(0.02)
        url, pid = greeting
        assert pid == self.pid, "the greeting names another process"
        self.key = (self.data_dir / "admin.key").read_text().strip()
        await self.at(url)
        return self

    def greeting(self) -> tuple[str, int] | None:
        """(url, pid) as printed in the present life."""
        found = re.search(r"^Antiphon serves (\S+) \(pid (\d+)\)", self.log(this_life=True), re.M)
        return (found[1], int(found[2])) if found else None

    def send(self, number: signal.Signals) -> None:
        if self.is_alive:
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """kill -9. One that does not run is left alone."""
        if self.is_alive:
            self.send(signal.SIGKILL)
            await self.ended(10)

    async def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Asks it to leave and gives its exit code. Raises ServerError when it does not leave in time."""
        self.send(number)
        return await self.ended(seconds)

    def freeze(self) -> None:
        """It gets no more time until `thaw`."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    async def ended(self, seconds: float) -> int:
        """Its exit code, once it has one. Raises ServerError."""
        assert self._process is not None, f"{self.name} was never started"
        until = time.monotonic() + seconds
        while (code := self._process.poll()) is None:
            if time.monotonic() > until:
                raise ServerError(f"{self.name} did not end within {seconds:g} s:\n{self._tail()}")
            await asyncio.sleep(0.01)
        return code

    def _tail(self) -> str:
        return self.log(this_life=True)[-4_000:] or "(it wrote nothing)"


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
        if self._mongo.running_uri() is not None:
            await self._mongo.start()
        await self._mongo.stop(grace_seconds=0.0)


def _free_port() -> int:
    for port in random.sample(PORTS, 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise ServerError("no free port for a server")
