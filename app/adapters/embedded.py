"""The embedded MongoDB: a process of its own that outlives a killed server and is adopted by the next one."""

import asyncio
import fcntl
import logging
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

log = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
CHECK_SECONDS: Final = 0.1
START_SECONDS: Final = 30.0
LONGEST_BACKOFF_SECONDS: Final = 2.0
# A process that lives shorter than this counts as a failed start, and the next one is held back.
STEADY_SECONDS: Final = 1.0
# Below the kernel's ephemeral range: there, a client that retries a closed loopback port can connect to itself and
# keep the port from the database that restarts.
PORTS: Final = range(20_000, 32_000)
# What the database may see of our environment: no key and no URI of ours is among it.
INHERITED_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH")


class EmbeddedMongoError(Exception):
    """The data folder or its database cannot be used; the text is fit to be shown to the user as it is."""


class ServerLock:
    """One server to a data folder. The kernel lets go of the lock when the process ends, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "server.lock"
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises EmbeddedMongoError if another process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # os.open gives a close-on-exec descriptor, so the database does not inherit (and prolong) the lock.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise EmbeddedMongoError(
                f"another server (pid {holder or 'unknown'}) is using the data folder {self._path.parent}"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


class Record(msgspec.Struct, frozen=True):
    """What mongo.json says. `started` tells a process from a later one with the same pid; pid 0: not started yet."""

    pid: int
    port: int
    started: str


class EmbeddedMongo:
    """The database of one data folder. Whoever starts it here should hold the folder's ServerLock."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._storage = self._data_dir / "mongo"
        self._record_path = self._data_dir / "mongo.json"
        self._child: subprocess.Popen[bytes] | None = None
        self._record: Record | None = None
        self._alive_since = 0.0

    async def start(self) -> str:
        """Adopt the folder's database if one is alive, else start one. Gives its URI once it answers."""
        self._storage.mkdir(parents=True, exist_ok=True)
        found = self._find_alive()
        if found is not None:
            self._record = found
            self._write_record()
            if await self._answers_within(START_SECONDS):
                log.info("adopted the embedded database, pid %d", found.pid)
                self._alive_since = time.monotonic()
                return self._uri(found.port)
            await self.stop()
        port = found.port if found else self._known_port()
        if port is None or not _is_free(port):
            port = _choose_port()
        if not await self._start_process(port):
            await self.stop()
            raise EmbeddedMongoError(f"the embedded database did not start: see {self._log_path}")
        return self._uri(port)

    def running_uri(self) -> str | None:
        """The URI of the database that some process has running on this folder, if one is alive."""
        found = self._find_alive()
        return self._uri(found.port) if found else None

    async def watch(self) -> None:
        """Run for ever: a database that dies is started again on its port, with a back-off if it keeps dying."""
        failures = 0
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._record is None or self._is_alive():
                continue
            failures = failures + 1 if time.monotonic() - self._alive_since < STEADY_SECONDS else 0
            log.warning("the embedded database died: starting it again")
            if failures:
                await asyncio.sleep(min(LONGEST_BACKOFF_SECONDS, CHECK_SECONDS * 2**failures))
            try:
                if not await self._start_process(self._record.port):
                    log.error("the embedded database did not start, see %s", self._log_path)
                    self._signal(signal.SIGKILL)
            except (EmbeddedMongoError, OSError) as error:
                log.error("the embedded database cannot be started: %s", error)

    async def stop(self, grace_seconds: float = 2.5) -> None:
        """End the process: asked first, killed after the grace. Forgets mongo.json; the data stays."""
        if self._record is None:
            return
        self._signal(signal.SIGTERM)
        if not await self._ends_within(grace_seconds):
            self._signal(signal.SIGKILL)
            await self._ends_within(0.5)
        self._record_path.unlink(missing_ok=True)
        self._record = None
        self._child = None

    @property
    def _log_path(self) -> Path:
        return self._data_dir / "mongo.log"

    def _uri(self, port: int) -> str:
        return f"mongodb://{LOOPBACK}:{port}/?directConnection=true"

    async def _start_process(self, port: int) -> bool:
        """Whether the database answers. The record is written as soon as there is a pid: a kill may follow at once."""
        program = Path(sys.executable).parent / "secantusd-py"
        command = str(program) if program.exists() else shutil.which("secantusd-py")
        if command is None:
            raise EmbeddedMongoError("secantusd-py is missing: install antiphon[embedded], or set MONGODB_URI")
        # An own, empty configuration: otherwise it would pick up one from the user's home or /etc.
        configuration = self._data_dir / "mongo.toml"
        configuration.touch()
        options = ["--config", str(configuration), "--host", LOOPBACK, "--port", str(port)]
        options += ["--storage-path", str(self._storage), "--log-level", "WARNING", "--cache-size", "256M"]
        if self._child is not None:
            self._child.poll()  # reaps the one before
        mode = "wb" if self._log_path.exists() and self._log_path.stat().st_size > 5_000_000 else "ab"
        with self._log_path.open(mode) as output:
            self._child = subprocess.Popen(  # noqa: ASYNC220  (uvloop's own waits for its loop: this must outlive it)
                [command, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._data_dir,
                env={name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ},
                start_new_session=True,
            )
        self._record = Record(self._child.pid, port, _start_time(self._child.pid) or "")
        self._write_record()
        answered = await self._answers_within(START_SECONDS)
        self._alive_since = time.monotonic()
        return answered

    def _write_record(self) -> None:
        draft = self._record_path.with_suffix(".tmp")
        draft.write_bytes(msgspec.json.encode(self._record))
        draft.replace(self._record_path)

    def _known_port(self) -> int | None:
        record = self._read_record()
        return record.port if record else None

    def _read_record(self) -> Record | None:
        try:
            return msgspec.json.decode(self._record_path.read_bytes(), type=Record)
        except (OSError, msgspec.MsgspecError):
            return None

    def _find_alive(self) -> Record | None:
        """The folder's live database: by its record, else by its command line (a kill may come before the record)."""
        record = self._read_record()
        if record is not None and self._serves_this_folder(record.pid) and _start_time(record.pid) == record.started:
            return record
        for entry in Path("/proc").glob("[0-9]*"):
            pid = int(entry.name)
            words = _command_line(pid)
            if self._serves_this_folder(pid) and words[words.index("--port") + 1].isdigit():
                return Record(pid, int(words[words.index("--port") + 1]), _start_time(pid) or "")
        return None

    def _serves_this_folder(self, pid: int) -> bool:
        words = _command_line(pid)
        named = any(Path(word).name == "secantusd-py" for word in words[:3])
        return named and "--port" in words and str(self._storage) in words

    def _is_alive(self) -> bool:
        if self._record is None:
            return False
        if self._child is not None and self._child.pid == self._record.pid:
            return self._child.poll() is None
        return _start_time(self._record.pid) == self._record.started

    def _signal(self, number: signal.Signals) -> None:
        # Checked first, so that a pid used anew by somebody else's process is never signalled.
        if self._record is not None and self._is_alive():
            os.kill(self._record.pid, number)

    async def _ends_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self._is_alive():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.02)
        return True

    async def _answers_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self._record is not None and self._is_alive() and time.monotonic() < until:
            if await _answers_ping(self._record.port):
                return True
            await asyncio.sleep(0.05)
        return False


async def _answers_ping(port: int) -> bool:
    """Ask `{ping: 1}` by hand (OP_MSG), because drivers live in adapters/mongo only."""
    fields = b"\x10ping\x00\x01\x00\x00\x00" + b"\x02$db\x00\x06\x00\x00\x00admin\x00" + b"\x00"
    body = struct.pack("<IB", 0, 0) + struct.pack("<i", 4 + len(fields)) + fields
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
                (length,) = struct.unpack("<i", await reader.readexactly(4))
                return b"\x01ok\x00" + struct.pack("<d", 1.0) in await reader.readexactly(min(length, 65_536) - 4)
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError, struct.error):
        return False


def _start_time(pid: int) -> str | None:
    """The process's start in clock ticks since boot; None if there is no such process or only its zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the name in brackets and may hold anything, so count from its end.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\x00")
    except OSError:
        return []


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the database binds: connections that linger from its last life do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _choose_port() -> int:
    for port in random.sample(PORTS, 200):
        if _is_free(port):
            return port
    raise EmbeddedMongoError("no free loopback port for the embedded database")
