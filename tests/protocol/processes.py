"""One simulated process: the real services over the shared memory, with a clock, a cache and a memory of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from app.engine.state import Limits
from app.ports import StoreUnavailableError
from app.services.follow import Follow
from app.services.forks import Forks
from app.services.runs import Runs
from app.services.sweep import Sweep
from app.services.turns import Turns
from app.services.world import GraphCache, World
from tests.engine.probe import KINDS
from tests.protocol.fakes import FakeRuns, FakeSlots, FakeWorkflows
from tests.protocol.loop import Loop
from tests.protocol.memory import Memory
from tests.protocol.op import Op
from tests.protocol.outside import OPERATIONS, Outside
from tests.protocol.posts import WORKSPACE, Exchange, Outcome, render, render_fork

if TYPE_CHECKING:
    from tests.protocol.desk import Desk

T = TypeVar("T")
EPOCH = 1_800_000_000.0
BACKGROUND = ("look for what is due", "poll revisions")  # not worth telling, unless something is wrong with it
RETENTION_SECONDS = 30 * 86_400.0


class ProcessClock:
    """Implements ports.Clock: the loop's time, wrong by `offset`."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.offset = 0.0

    def now(self) -> float:
        return EPOCH + self._loop.time() + self.offset

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class CountedIds:
    """Implements ports.Ids: the same in every telling of a story."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._count = itertools.count(1)

    def object_id(self) -> str:
        return f"{self._process:08x}{next(self._count):016x}"

    def commit_id(self) -> str:
        return self.object_id()


class Process:
    """Alive until it is killed; then none of its tasks ever runs again, and what it asks for is refused."""

    def __init__(self, name: str, number: int, loop: Loop, memory: Memory, desk: Desk) -> None:
        self.name = name
        self.loop = loop
        self.desk = desk
        self.alive = True
        self.frozen = False
        self.clock = ProcessClock(loop)
        runs, workflows = FakeRuns(memory, self.gate), FakeWorkflows(memory, self.gate)
        self.world = World(
            runs=runs,
            workflows=workflows,
            slots=FakeSlots(memory, self.gate),
            clock=self.clock,
            ids=CountedIds(number),
            checker=NoSchemas(),
            code=NoSandbox(),
            templates=NoSandbox(),
            meter=NoMeter(),
            performers=dict.fromkeys(OPERATIONS, Outside(self)),
            render=render,
            limits=Limits(),
            process=name,
            retention_seconds=RETENTION_SECONDS,
            graphs=GraphCache(workflows, KINDS),
            follow=Follow(runs, self.clock),
        )
        self.turns = Turns(self.world)
        self.runs = Runs(self.world)
        self.forks = Forks(self.world)
        self.sweep = Sweep(self.world)

    def __str__(self) -> str:
        return self.name

    async def gate(self, words: str, act: Callable[[], T], *, writes: bool = False, what: Any = None) -> T:
        op = Op(self, "store", words, act, what)
        op.writes = writes
        return await self.wait_for(op)

    async def wait_for(self, op: Op) -> Any:
        """Until the desk lets it happen and answers it."""
        if not self.alive:
            raise asyncio.CancelledError
        self.desk.take_in(op)
        try:
            return await op.future
        except asyncio.CancelledError:
            self.desk.withdraw(op)
            raise


async def answer(exchange: Exchange) -> Outcome:
    """What the process answers. Raises what its services raise."""
    process, post, run_id = exchange.process, exchange.post, exchange.run_id
    if post.kind == "delete":
        await process.runs.delete(WORKSPACE, run_id or "")
        return Outcome("ok", run_id, body=b'{"events": ["deleted"]}')
    if post.kind == "fork":
        reply = await process.forks.fork(
            WORKSPACE, run_id or "", post.turn, key=post.key, body_hash=post.name, render=render_fork
        )
    else:
        reply = await process.turns.execute(post.request(run_id))
    return Outcome("accepted" if reply.accepted else "ok", reply.run_id, reply.turn, reply.body)


class NoMeter:
    """Nothing is counted here."""

    def attempt(self, operation: str, outcome: str, seconds: float, number: int) -> None:
        pass

    def model(self, provider: str, outcome: str, seconds: float, usage: Any = None) -> None:
        pass


class NoSandbox:
    """Nothing is saved here, and no graph of the stories needs code or rich templates."""

    async def run(self, code: str, inputs: Any, timeout_seconds: float) -> Any:
        raise AssertionError(code)

    async def render(self, texts: Any, scope: Any, max_bytes: int) -> Any:
        raise AssertionError(texts)

    async def fault(self, text: str) -> None:
        raise AssertionError(text)


class NoSchemas:
    """Implements ports.AnswerChecker for graphs that have none."""

    def schema_fault(self, schema: Any) -> str | None:
        return None

    def check(self, schema: Any, value: Any) -> list[tuple[str, str]]:
        return []


async def quietly(work: Awaitable[None]) -> None:
    """A round of background work that tries again later."""
    try:
        await work
    except StoreUnavailableError:
        return
