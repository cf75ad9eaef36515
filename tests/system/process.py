"""One server process: started, killed, frozen, restarted, asked to leave; and what it wrote in all its lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Self

from tests.system.caller import Caller

ROOT: Final = Path(__file__).resolve().parents[2]
ADMIN_KEY: Final = "ak_of_the_system_tests_0123456789abcdefghijklmnop"
START_SECONDS: Final = 45.0
# Of our own environment, what a server may see: a developer's settings must not change what the tests see.
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
# Below the kernel's ephemeral range and the embedded database's ports: a server keeps its port over its restarts.
PORTS: Final = range(10_000, 19_000)


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
        self._environment |= {"ANTIPHON_ADMIN_KEY": ADMIN_KEY, "PORT": str(free_port())} | environment
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


def free_port() -> int:
    """Nobody else's, as far as one can tell."""
    for port in random.sample(PORTS, 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise ServerError("no free port for a server")
