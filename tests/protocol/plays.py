"""A scenario played in order, with the real background loops: calmly, or with one cut at a chosen operation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from app.engine.state import decode
from app.ports import Run
from app.services.facts import events_of
from tests.protocol.listener import Listener
from tests.protocol.op import Op
from tests.protocol.posts import Client
from tests.protocol.processes import BACKGROUND, Process
from tests.protocol.replies import check_quiet
from tests.protocol.scenarios import Scenario
from tests.protocol.story import MOMENT, Story
from tests.protocol.watch import Violation

AGAIN_SECONDS = 0.3  # after which a client sends again
DOWN_SECONDS = 1.0  # until a killed process is started again
BOUND_SECONDS = 300.0
TIMES = (
    "at",
    "expires_at",
    "started_at",
    "waited_until",
    "seconds",
    "least_seconds",
    "most_seconds",
    "latencies",
    "telling",
)
CUTS = ("killed before", "killed after", "answer lost", "refused", "late")
HOLDS = {"answered 4 s later": 4.0, "answered 14 s later": 14.0, "carried out 14 s later": 14.0}


class Cut(msgspec.Struct, frozen=True):
    """At the `at`-th operation (from 1): of all when one process runs at a time, else of the first."""

    at: int
    how: str


class Ending(msgspec.Struct, frozen=True):
    """What is left of a play, without times. `turns`: number, cause, commands, events."""

    status: str
    outputs: dict[str, Any]
    turns: tuple[Any, ...]


class Played(msgspec.Struct, frozen=True):
    """`ops`: the operations that can be cut, in order, each with the run's revision; `sent`: how often each effect went out;
    `seconds`: how long it took."""

    ending: Ending
    ops: tuple[tuple[str, int], ...]
    sent: Counter[str]
    seconds: float


class _Play:
    def __init__(self, scenario: Scenario, cuts: tuple[Cut, ...]) -> None:
        self.story = Story(scenario)
        self.cuts = {cut.at: cut.how for cut in cuts}
        self.first = self.story.processes[0] if scenario.processes > 1 else None
        self.ops: list[tuple[str, int]] = []
        self.ready_at: dict[Op, float] = {}  # results of effects, and what is held back
        self.next_try = 0.0
        self.start_at: float | None = None
        self.listeners = [Listener(self.story, leaves=leaves) for leaves in (False, True) if scenario.heard]
        for process in self.story.alive():
            self._run_loops(process)

    def _run_loops(self, process: Process) -> None:
        loop, world = self.story.loop, process.world
        loop.begin(process, process.sweep.run())
        loop.begin(process, world.follow.run(world.draining))
        loop.run()

    def play(self) -> Played:
        story = self.story
        began, idle_until = story.loop.time(), 0.0
        while not self._is_over():
            for listener in self.listeners:
                listener.go_on()
            if story.loop.time() - began > BOUND_SECONDS:
                raise Violation("left behind: it does not come to an end")
            op = next((op for op in story.desk.ops if self._is_ready(op)), None)
            if op is not None:
                self._do(op)
                story.loop.advance(MOMENT)
            elif not self._act():
                idle_until = self._idle(idle_until)
        seconds = story.loop.time() - began
        check_quiet(story)
        for listener in self.listeners:
            listener.check()
        sent = Counter(effect_id for _, effect_id, _ in story.watch.sent)
        return Played(ending_of(next(iter(story.memory.runs.values())), story), tuple(self.ops), sent, seconds)

    def _is_over(self) -> bool:
        if not all(listener.is_done for listener in self.listeners):
            return False
        busy = [op for op in self.story.desk.ops if op.words not in BACKGROUND]
        runs = self.story.memory.runs.values()
        waiting = any(client.post is not None or client.open() for client in self.story.clients)
        return not busy and not waiting and not self.story.desk.late and not any(run.open or run.lease for run in runs)

    def _is_ready(self, op: Op) -> bool:
        """An effect takes its time."""
        now = self.story.loop.time()
        seconds = self.story.scenario.effect_seconds if op.kind == "result" else 0.0
        return now >= self.ready_at.setdefault(op, now + seconds)

    def _do(self, op: Op) -> None:
        if self.first in (None, op.process) and not op.done and not isinstance(op.cause, Listener):
            revision = max((run.revision for run in self.story.memory.runs.values()), default=0)
            self.ops.append((str(op).partition(": ")[2], revision))
            if len(self.ops) in self.cuts:
                self._cut(op, self.cuts[len(self.ops)])
                return
        self._let_happen(op)

    def _let_happen(self, op: Op) -> None:
        if op.kind == "result" and op.what.attempt <= self.story.scenario.failures:
            self.story.fail_effect(op, retryable=True)
        else:
            self.story.happen(op)

    def _cut(self, op: Op, how: str) -> None:
        story = self.story
        if how == "killed after":
            story.apply(op)
        if how.startswith("killed"):
            story.kill(op.process)
            story.desk.late.clear()
            self.start_at = story.loop.time() + DOWN_SECONDS
        elif op.kind != "store":
            self._let_happen(op)
        elif how in HOLDS:
            self.ready_at[op] = story.loop.time() + HOLDS[how]
            if how.startswith("answered"):
                story.apply(op)
        elif how == "late" and op.writes:
            story.delay(op)
        elif how == "answer lost":
            story.lose(op)
        else:
            story.refuse(op)

    def _act(self) -> bool:
        """A killed process starts again, or clients send. False: nobody has anything to do now."""
        story = self.story
        if self.start_at is not None and story.loop.time() >= self.start_at:
            self.start_at = None
            self._run_loops(story.start_process())
            return True
        if not story.alive() or not self._may_send(story.clients[0]):
            return False
        self.next_try = story.loop.time() + AGAIN_SECONDS
        story.send(story.clients[0], story.alive()[0])
        return True

    def _may_send(self, client: Client) -> bool:
        post = client.post
        return (
            post is not None and not client.open() and self.story.loop.time() >= max(post.after_seconds, self.next_try)
        )

    def _idle(self, until: float) -> float:
        """Late writes arrive, then time goes by."""
        story = self.story
        if story.desk.late and story.loop.time() >= until > 0:
            story.arrive(story.desk.late[0])
            return 0.0
        timer = story.loop.next_timer()
        times = [
            *(self.ready_at.get(op, 0.0) for op in story.desk.ops),
            self.next_try,
            self.start_at or 0.0,
            *([] if timer is None else [timer]),
        ]
        ahead = [time for time in times if time > story.loop.time()]
        story.loop.advance(max(MOMENT, min(ahead, default=story.loop.time() + 0.1) - story.loop.time()))
        story.check()
        return until or story.loop.time() + 0.5


def ending_of(run: Run, story: Story) -> Ending:
    turns = [*story.memory.turns_of(run.id), *run.tail]
    told = [
        (
            turn.number,
            turn.cause,
            [c.body_hash for c in turn.commands],
            _timeless(msgspec.to_builtins(events_of(turn))),
        )
        for turn in turns
    ]
    return Ending(run.status, _timeless(decode(run.state).outputs), tuple(told))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in TIMES}
    return [_timeless(item) for item in value] if isinstance(value, list | tuple) else value


def play(scenario: Scenario, *cuts: Cut) -> Played:
    """Raises Violation, told as a story."""
    playing = _Play(scenario, cuts)
    try:
        return playing.play()
    except Violation as fault:
        raise Violation(f"{playing.story}\n\n{fault}\n({cuts})") from fault
    finally:
        playing.story.close()


def cut_points(played: Played, *, all_of_them: bool) -> list[int]:
    """Where it can be cut. The same operation on the same revision, as of polls and renewals, counts once, unless all are
    wanted."""
    points, seen = [], set[tuple[str, int]]()
    for at, op in enumerate(played.ops, 1):
        if all_of_them or op not in seen:
            points.append(at)
        seen.add(op)
    return points
