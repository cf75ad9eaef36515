"""Node kinds for tests: outside work that leaves a trace in a file and then sleeps, fails or kills its process.

`probe` awaits one effect; `deadly` kills the process in the step itself, when a token arrives or when its timer fires.
Both are added through the ordinary catalogue, in the server process only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from app.engine.kind import Await, Context, Leave, NodeKind, Outcome, Reply, Sleep, Succeeded
from app.engine.values import Value
from app.ports import EffectContext, EffectError

TRACE = "trace.jsonl"
OPERATION = "probe"


class Probe(NodeKind, frozen=True, kw_only=True):
    """One effect, whose result is the node's output. `request`: what the performer does (`Task`)."""

    kind: ClassVar[str] = "probe"
    may_retry: ClassVar[bool] = True
    waits: ClassVar[bool] = True

    once: bool = True
    task: Value = None

    def enter(self, ctx: Context) -> Outcome:
        return Await(OPERATION, ctx.value(self.task or {}), once=self.once, timeout_seconds=120.0)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        assert isinstance(reply, Succeeded), "it waits for nothing but its effect"
        return Leave(reply.result)


class Deadly(NodeKind, frozen=True, kw_only=True):
    """Kills the process while it is stepped: at once, or when its timer of `seconds` fires. `while_flag`: only as long as
    the file of that name is there."""

    kind: ClassVar[str] = "deadly"
    waits: ClassVar[bool] = True

    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0
    while_flag: str | None = None

    def enter(self, ctx: Context) -> Outcome:
        return Sleep(ctx.now + self.seconds) if self.seconds else self._strike()

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        return self._strike()

    def _strike(self) -> Outcome:
        note("struck", key="step", attempt=0)
        if self.while_flag is None or (folder() / self.while_flag).exists():
            die()
        return Leave("survived")


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an attempt does, in this order. `kill`: True always, a number: that many times over all processes;
    `kill_while`: as long as that file is there; `fail_attempts`: the first so many attempts fail; `value`: the result,
    `pid`: of the process that performed it."""

    kill: bool | int = False
    kill_while: str | None = None
    sleep_seconds: float = 0.0
    sleep_while: str | None = None
    fail_attempts: int = 0
    retryable: bool = True
    value: Any = "done"


class ProbePerformer:
    """Does a Task, and leaves a line for its beginning and for how it ended."""

    async def perform(self, context: EffectContext) -> Any:
        task = msgspec.convert(context.request, Task)
        key, attempt = context.idempotency_key, context.attempt
        note("begun", key=key, attempt=attempt)
        begun = sum(line["what"] == "begun" and line["key"] == key for line in trace(folder()))
        if task.kill is True or begun <= task.kill or (task.kill_while and (folder() / task.kill_while).exists()):
            note("killing", key=key, attempt=attempt)
            die()
        try:
            await asyncio.sleep(task.sleep_seconds)
            while task.sleep_while and (folder() / task.sleep_while).exists():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            note("cancelled", key=key, attempt=attempt)
            raise
        if attempt <= task.fail_attempts:
            note("failed", key=key, attempt=attempt)
            raise EffectError("http_connection", "this failure was asked for", retryable=task.retryable)
        note("ended", key=key, attempt=attempt)
        return str(os.getpid()) if task.value == "pid" else task.value


def folder() -> Path:
    """Where traces and flags are."""
    return Path(os.environ["ANTIPHON_PROBE_DIR"])


def die() -> None:
    """kill -9 of this very process."""
    os.kill(os.getpid(), signal.SIGKILL)


def note(what: str, *, key: str, attempt: int) -> None:
    """One line, in one write: several processes append to the same file."""
    line = msgspec.json.encode({"what": what, "key": key, "attempt": attempt, "pid": os.getpid(), "at": time.time()})
    descriptor = os.open(folder() / TRACE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line + b"\n")
    finally:
        os.close(descriptor)


def trace(where: Path, *what: str, run: str = "") -> list[dict[str, Any]]:
    """The lines so far: of the given sorts or all, of the given run or all."""
    path = where / TRACE
    lines = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return [line for line in lines if (not what or line["what"] in what) and line["key"].startswith(run)]


def flag(where: Path, name: str) -> Path:
    """Raises a flag; unlink it to lower it."""
    path = where / name
    path.touch()
    return path


async def traced(where: Path, *what: str, count: int = 1, run: str = "", seconds: float = 10.0) -> list[dict[str, Any]]:
    """The lines of the given sorts, once there are so many. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while len(found := trace(where, *what, run=run)) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(found)} of {count} lines {what} after {seconds:g} s: {trace(where, run=run)}")
        await asyncio.sleep(0.02)
    return found
