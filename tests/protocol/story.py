"""A story: processes, clients and faults over one store, told move by move. Nothing in it happens by itself.

`moves` are all that can happen next; at the end `conclude` lets everything go on without further faults and requires
that it comes to rest. Every move may raise Violation.
"""

from __future__ import annotations

import asyncio

from app.engine.state import Limits, decode, next_deadline
from app.ports import StoreUnavailableError
from app.services.errors import ServiceError
from tests.protocol.desk import Desk
from tests.protocol.logged import LoggedErrors
from tests.protocol.loop import Loop
from tests.protocol.memory import Memory
from tests.protocol.op import Op
from tests.protocol.outside import success
from tests.protocol.posts import Client, Exchange, Outcome, Post
from tests.protocol.processes import EPOCH, Process, answer, quietly
from tests.protocol.replies import check_quiet, check_refusals, check_reply
from tests.protocol.scenarios import Scenario, keep_workflow
from tests.protocol.watch import Violation, Watch, require

MOMENT = 0.001  # seconds that an operation takes in peace
STEP = 0.25
CLOSE_SECONDS = 0.3


class Story:
    """Close it at the end."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.loop = Loop()
        self.memory = Memory()
        self.watch = Watch(self.memory, lambda: EPOCH + self.loop.time())
        self.desk = Desk(self.loop, self.memory, self.watch)
        self.processes: list[Process] = []
        self.clients: list[Client] = []
        self._outcomes, self._checked = 0, (0, 0)
        self._closing: dict[Process, asyncio.Task[None]] = {}
        self._sweeps: dict[Process, asyncio.Task[None]] = {}
        self._errors = LoggedErrors()
        self.watch.blame, self.watch.poison, self.watch.places = self._errors.lines, scenario.poison, scenario.places
        keep_workflow(self.memory, scenario, EPOCH)
        for _ in range(scenario.processes):
            self.start_process()
        self._begin()

    def _begin(self) -> None:
        run_id = None
        if self.scenario.started:
            answers = [Post(f"before{n}", key=f"before{n}") for n in range(1, self.scenario.before + 1)]
            first = Client("before", (Post("start", "start", "start"), *answers), None)
            self.clients.append(first)
            while first.post is not None:
                self.send(first, self.processes[0])
                self.flow()
            run_id = first.run_id
            self.clients.clear()
        self.clients += [Client(f"client {n}", script, run_id) for n, script in enumerate(self.scenario.scripts, 1)]

    # ---- moves of processes

    def start_process(self) -> Process:
        number = len(self.processes) + 1
        process = Process(f"P{number}", number, self.loop, self.memory, self.desk)
        self.processes.append(process)
        self.desk.tell(f"{process} starts")
        return process

    def alive(self) -> list[Process]:
        return [process for process in self.processes if process.alive]

    def serving(self) -> list[Process]:
        """Those that take requests."""
        return [process for process in self.alive() if process not in self._closing]

    def kill(self, process: Process) -> None:
        """Its memory is gone; what it had asked for may still be carried out."""
        self.desk.tell(f"{process} is killed")
        self.watch.faults += 1
        self._leave(process)

    def retire(self, process: Process) -> None:
        """It is told to end: it gives back its leases, then it is gone."""
        self.desk.tell(f"{process} is told to end")
        if process in self._sweeps:
            self._sweeps[process].cancel()
        self._closing[process] = self.loop.begin(process, process.world.close(CLOSE_SECONDS))
        self.loop.run()
        self.check()

    def _leave(self, process: Process) -> None:
        self._end(process)
        for client in self.clients:
            for exchange in client.open():
                if exchange.process is process:
                    self._conclude_exchange(client, exchange, Outcome("lost"))

    def _end(self, process: Process) -> None:
        process.alive = False
        self.loop.discard(process)

    def freeze(self, process: Process) -> None:
        self.desk.tell(f"{process} freezes")
        self.watch.faults += 1
        process.frozen = True
        self.loop.freeze(process)

    def thaw(self, process: Process) -> None:
        self.desk.tell(f"{process} thaws")
        process.frozen = False
        self.loop.thaw(process)
        self.check()

    def jump(self, process: Process, seconds: float) -> None:
        """Its clock is set."""
        self.desk.tell(f"the clock of {process} jumps by {seconds:g} s")
        self.watch.faults += 1
        process.clock.offset += seconds
        self.watch.excused = True

    def can_sweep(self, process: Process) -> bool:
        """There is something due, and it is not at it."""
        now = self.watch.now()
        idle = process not in self._sweeps or self._sweeps[process].done()
        return idle and any(run.wake_at is not None and run.wake_at <= now + 2 for run in self.memory.runs.values())

    def sweep(self, process: Process) -> None:
        self._sweeps[process] = self.loop.begin(process, quietly(process.sweep.once()))
        self.loop.run()
        self.check()

    def poll(self, process: Process) -> None:
        self.loop.begin(process, quietly(process.world.follow.poll()))
        self.loop.run()
        self.check()

    def tick(self, seconds: float) -> None:
        self.desk.tell(f"{seconds:g} s go by")
        self.loop.advance(seconds)
        self.check()

    # ---- moves of operations

    def happen(self, op: Op) -> None:
        """As calmly as it can: a result is a success, a poisonous effect kills."""
        if op.kind == "result":
            self.desk.bring(op, success(op.what))
        elif op.kind == "send" and self.scenario.poison:
            self.desk.apply(op)
            self.kill(op.process)
        else:
            self.desk.happen(op)
        self.check()

    def apply(self, op: Op) -> None:
        self.desk.apply(op)
        self.check()

    def lose(self, op: Op) -> None:
        self.desk.lose(op)
        self.check()

    def refuse(self, op: Op) -> None:
        self.desk.refuse(op)
        self.check()

    def delay(self, op: Op) -> None:
        self.desk.delay(op)
        self.check()

    def arrive(self, op: Op) -> None:
        self.desk.arrive(op)
        self.check()

    def fail_effect(self, op: Op, *, retryable: bool) -> None:
        self.desk.fail_effect(op, retryable=retryable)
        self.check()

    def flow(self, bound: int = 5_000) -> None:
        """Everything that has been asked for happens, in turn, until nothing is asked for."""
        for _ in range(bound):
            if not self.desk.ops:
                return
            self.happen(self.desk.ops[0])
            self.loop.advance(MOMENT)
        raise Violation("it goes on for ever")

    # ---- moves of clients

    def send(self, client: Client, process: Process, post: Post | None = None) -> Exchange:
        post = post or client.post
        assert post is not None, "all its posts are answered"
        run_id = client.aims.setdefault(post.name, client.run_id or self.only_run())
        exchange = Exchange(post, process, run_id)
        self.desk.tell(f"{client.name} sends {post.name} to {process}")
        client.exchanges.append(exchange)
        exchange.task = self.loop.begin(process, self._exchange(client, exchange), exchange)
        self.loop.run()
        self.check()
        return exchange

    def only_run(self) -> str | None:
        return next(iter(self.memory.runs), None)

    def knows_run(self, client: Client, post: Post) -> bool:
        return post.kind == "start" or (client.run_id or self.only_run()) is not None

    async def _exchange(self, client: Client, exchange: Exchange) -> None:
        try:
            outcome = await answer(exchange)
        except ServiceError as error:
            outcome = Outcome(error.code, error.run_id, error.facts.turn if error.facts is not None else None)
        except StoreUnavailableError:
            outcome = Outcome("unavailable")
        except Exception as error:
            self.watch.blame.append(f"{exchange.post.name} crashed: {error!r}")
            raise
        self._conclude_exchange(client, exchange, outcome)

    def _conclude_exchange(self, client: Client, exchange: Exchange, outcome: Outcome) -> None:
        exchange.outcome = outcome
        self._outcomes += 1
        check_reply(self.watch, client, exchange)
        self.desk.tell(f"{exchange.process} answers {exchange.post.name}: {outcome}")
        client.move_on()

    # ---- the end

    def check(self) -> None:
        """After every move. Raises Violation."""
        for process in [process for process, closing in self._closing.items() if process.alive and closing.done()]:
            self.desk.tell(f"{process} ends")
            self._leave(process)
        if self.loop.faults or self.watch.blame:
            raise Violation("; ".join([*self.loop.faults, *self.watch.blame]))
        if (known := (len(self.watch.accepted), self._outcomes)) != self._checked:
            self._checked = known
            check_refusals(self.watch, self.clients)

    def conclude(self) -> None:
        """Without further faults everything comes to rest, and all clients are answered. Raises Violation."""
        self.desk.tell("from here on nothing goes wrong")
        for process in self.alive():
            if process.frozen:
                self.thaw(process)
        while self.desk.late:
            self.desk.arrive(self.desk.late[0])
        until = self.loop.time() + 600
        while not self._is_quiet():
            if self.loop.time() > until:
                raise Violation("left behind: it does not come to rest")
            self._go_on()
        check_quiet(self)
        self._purge()

    def _purge(self) -> None:
        """What was deleted is gone a day later."""
        gone = {run.id for run in self.memory.runs.values() if run.deleted_at is not None}
        for _ in range(4 if gone else 0):
            self._go_on()
            self.loop.advance(9 * 3_600)
        left = [*(gone & self.memory.runs.keys()), *(key for key in self.memory.turns if key[0] in gone)]
        require(not left, f"what was deleted is still there: {left}")

    def _go_on(self) -> None:
        if not self.serving():
            self.start_process()
        for process in self.serving():
            self.sweep(process)
            self.poll(process)
        self.flow()
        for n, client in enumerate(self.clients):
            if client.post is not None and not client.open() and self.knows_run(client, client.post):
                serving = self.serving() or [self.start_process()]
                self.send(client, serving[n % len(serving)])
        self.flow()
        self.loop.advance(STEP)

    def _is_quiet(self) -> bool:
        runs = self.memory.runs.values()
        waits = any(run.open or run.lease or next_deadline(decode(run.state), Limits()) for run in runs)
        return not waits and not self.desk.ops and all(c.post is None and not c.open() for c in self.clients)

    def close(self) -> None:
        """Ends all tasks. Idempotent."""
        for process in self.alive():
            self._end(process)
        self._errors.close()

    def __str__(self) -> str:
        lines = [f"The story of {self.scenario.name}:", *self.desk.log]
        return "\n".join(lines)
