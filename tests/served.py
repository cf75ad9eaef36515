"""A server for the documentation's commands, and a way to it on which replies get lost."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from tests.pages import ROOT

START_SECONDS: Final = 45.0
PORTS: Final = range(19_000, 20_000)  # below those that the kernel gives to clients
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH")


class Served:
    """`python -m app serve` in a folder of its own, with the embedded database."""

    def __init__(self, folder: Path) -> None:
        port = next(port for port in random.sample(PORTS, 100) if _is_free(port))  # kept over a restart
        self.key_file = folder / "data" / "admin.key"
        self.environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.environment |= {"ANTIPHON_DATA_DIR": str(folder / "data"), "PORT": str(port)}
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._begins = 0

    def start(self) -> None:
        """Returns once it listens."""
        self._begins = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "app", "serve"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=self.environment)
        until = time.monotonic() + START_SECONDS
        while not self.commands():
            assert self._process.poll() is None and time.monotonic() < until, f"it does not serve: {self._printed()}"
            time.sleep(0.05)

    def _printed(self) -> str:
        """In its present life."""
        return self._log.read_bytes()[self._begins :].decode()

    @property
    def url(self) -> str:
        return re.findall(r"^Antiphon serves (\S+) ", self._printed(), re.M)[0]

    def commands(self) -> list[str]:
        """The two that it prints; none before it listens."""
        lines = self._printed().splitlines()
        found = [lines[at + 1] for at, line in enumerate(lines[:-1]) if line.startswith("# ")]
        return found if self._printed().endswith("\n") and len(found) == 2 else []

    @property
    def key(self) -> str:
        return self.key_file.read_text().strip()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        assert self._process is not None, "it was never started"
        self._process.send_signal(number)
        return self._process.wait(20)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Lossy:
    """Passes requests on. Of every POST under a key that it has not seen yet, the reply is lost on its way back."""

    def __init__(self, target: str) -> None:
        self.lost: list[str] = []
        self.url = ""
        self._target = target

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            reply = await self._passed_on(first.split(" "), headers, body)
            key = headers.get("idempotency-key")
            if key is not None and key not in self.lost:
                self.lost.append(key)
                return
            named = [
                f"{name}: {reply.headers[name]}"
                for name in ("content-type", "x-run-id", "idempotency-replayed")
                if name in reply.headers
            ]
            lengths = [f"content-length: {len(reply.content)}", "connection: close"]
            lines = [f"HTTP/1.1 {reply.status_code} {reply.reason_phrase}", *named, *lengths]
            writer.write("\r\n".join([*lines, "", ""]).encode() + reply.content)
            await writer.drain()
        finally:
            writer.close()

    async def _passed_on(self, first: list[str], headers: dict[str, str], body: bytes) -> httpx.Response:
        kept = {name: headers[name] for name in headers if name in ("authorization", "content-type", "idempotency-key")}
        async with httpx.AsyncClient(base_url=self._target) as client:
            return await client.request(first[0], first[1], headers=kept, content=body)


@asynccontextmanager
async def lossy(target: str) -> AsyncIterator[Lossy]:
    """The lossy way to a server, as long as the context lasts."""
    way = Lossy(target)
    server = await asyncio.start_server(way.answer, "127.0.0.1", 0)
    way.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield way
