"""One process that renders, as the server sees it: it answers in time, or it is killed."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

LENGTH: Final = 4
ROOT: Final = Path(__file__).resolve().parents[3]
START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from app.adapters.sandbox.template_process import serve; serve()"
)
KEPT_VARIABLES: Final = ("LD_LIBRARY_PATH",)  # Python itself may need it; of all others nothing is passed on


class Lost(Exception):
    """The process is gone, or what it says is no answer."""


class Child:
    """A process and the socket to it. After any error of `ask` it is good for nothing but `end`."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, request: bytes, most: int) -> bytes:
        """The answer, of `most` bytes. Raises Lost. The caller bounds the time."""
        try:
            self._writer.write(len(request).to_bytes(LENGTH, "big") + request)
            await self._writer.drain()
            size = int.from_bytes(await self._reader.readexactly(LENGTH), "big")
            if size > most:
                raise Lost(f"an answer of {size} bytes")
            return await self._reader.readexactly(size)
        except (OSError, EOFError) as error:
            raise Lost("it is gone") from error

    async def end(self) -> None:
        self._writer.close()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)


async def start() -> Child:
    """A new one. Raises Lost."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = _spawn(theirs.fileno())
        except OSError as error:
            ours.close()
            raise Lost("it cannot be started") from error
    try:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
    except BaseException:
        ours.close()
        process.kill()
        process.wait()
        raise
    return Child(process, reader, writer)


def _spawn(end: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "-c", START, str(ROOT)],
        stdin=end,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
        cwd="/",
        start_new_session=True,  # Ctrl-C at the server's terminal is not for it
    )
