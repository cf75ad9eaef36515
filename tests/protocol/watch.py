"""What must hold of every change of a run, and of every effect that goes out (`check` of the protocol's model)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from app.engine.messages import AnyEvent, ModelCalled, ModelFailed, ModelReplied, UserSpoke, VoteCast
from app.engine.state import ExecutorState, Limits, Working, at_rest, decode, effects, next_deadline, status, visits
from app.ports import EffectContext, Run, Turn
from app.services.facts import events_of
from tests.protocol.memory import Memory
from tests.protocol.outside import is_once

if TYPE_CHECKING:
    from tests.protocol.op import Op
    from tests.protocol.processes import Process

MAX_CLAIMS = 5
UNSETTLING = ("stopped", "limit", "expired", "stale_run_reaper", "looping_risk")  # endings that leave effects unsettled


class Violation(AssertionError):
    """Something that must never be."""


class Watch:
    """Keeps what the store alone does not tell: turns as they were closed, pauses answered, effects settled and begun.

    `faults`: how often something went wrong; `excused`: a clock is wrong, what that excuses is not looked at; `poison`:
    runs may be failed by the reaper; `places`: how many runs may be at work; `blame`: what was found wrong where raising
    would be caught.
    """

    def __init__(self, memory: Memory, now: Callable[[], float]) -> None:
        self.memory = memory
        self.now = now
        self.excused = False
        self.poison = False
        self.places: int | None = None
        self.faults = 0
        self.blame: list[str] = []
        self.closed: dict[tuple[str, int], Turn] = {}
        self.accepted: dict[str, tuple[str, int]] = {}  # by the name of the post: run and turn
        self.answered: dict[tuple[str, str], str] = {}  # run and pause (and voter): the post that answered it
        self.settled: set[tuple[str, str, int]] = set()  # run, effect, attempt
        self.keys: dict[tuple[str, str], str] = {}
        self.sent: list[tuple[str, str, int]] = []
        self.calls: dict[tuple[str, int], str] = {}  # of models, not answered: run, number of the first event, path
        self.asked: dict[tuple[str, int], str] = {}  # effects of models: run, number of the first event
        self.tellings: dict[tuple[str, str], int] = {}  # the last one begun, of an effect

    # ---- the run document

    def run_changed(self, op: Op | None, before: Run | None, after: Run | None) -> None:
        """Raises Violation."""
        if after is None or after.deleted_at is not None:
            return
        state = decode(after.state)
        self._check_turns(before, after)
        self._check_shape(after, state)
        self._check_places()
        if before is None or before.revision != after.revision:
            self._check_commands(op, before, after)
        if before is not None:
            self._check_step(before, decode(before.state), after, state)

    def _check_turns(self, before: Run | None, after: Run) -> None:
        older = {turn.number: turn for turn in self.memory.turns_of(after.id)}
        tail = {turn.number: turn for turn in after.tail}
        numbers = [*tail, *([after.open.number] if after.open else [])]
        first = after.forked_from.turn + 1 if after.forked_from else 1
        held = sorted({*older, *numbers})
        require(numbers == sorted(set(numbers)), f"the tail's turn numbers are {numbers}")
        require(held == list(range(first, after.turn + 1)), f"turn numbers {held} of {after.turn}")
        for number, turn in (*older.items(), *tail.items()):
            was = self.closed.setdefault((after.id, number), turn)
            same = turn is was or replace(turn, state=was.state) == was
            require(same and turn.closed_at is not None, f"turn {number}, once closed, has changed")
        for number in range(first, after.turn + (after.open is None)):
            require(number in older or number in tail, f"turn {number}, once closed, is lost")

    def _check_shape(self, run: Run, state: ExecutorState) -> None:
        due, moment, lease = next_deadline(state, Limits()), self.now(), run.lease
        claimed = due is not None and lease is not None and (due <= moment or self.excused)  # its owner's to apply
        times = [*([lease.until] if lease else []), *([due] if due is not None and not claimed else [])]
        given_back = run.wake_at is not None and run.wake_at <= moment
        require(run.status == status(state), f"status {run.status}, but the state says {status(state)}")
        require((run.turn, run.next_seq) == (state.turn, state.next_seq), "the run and its state count differently")
        require(at_rest(state) == (run.open is None), "a turn open at rest, or none while running")
        require(run.open is None or run.open.number == run.turn, "the open turn is not the last")
        require(run.open is None or times or given_back, "left behind: running without a lease or a timer")
        require(run.lease is not None or not effects(state) or given_back, "left behind: an effect without a lease")
        in_time = run.wake_at is not None and run.wake_at <= min(times, default=run.wake_at)
        require(not times or in_time or given_back, "left behind: wake_at is too late")
        require(run.takeovers < MAX_CLAIMS, f"{run.takeovers} claims in a row")
        reaped = run.termination_source == "stale_run_reaper" and self.faults < MAX_CLAIMS - 1
        require(not reaped or self.poison, "a run was failed by the reaper that is not poison")

    def _check_places(self) -> None:
        at_work = [run.id for run in self.memory.runs.values() if run.limited and run.open is not None]
        within = self.places is None or len(at_work) <= self.places + self.memory.lapses
        require(within, f"{len(at_work)} runs at work, though at most {self.places} may be")

    def _check_step(self, before: Run, was: ExecutorState, after: Run, state: ExecutorState) -> None:
        require(after.fence >= before.fence and after.revision >= before.revision, "fence or revision fell")
        if before.lease is not None and effects(was) and effects(state) and after.fence > before.fence:
            lapsed = before.lease.until <= self.now() or self.excused
            require(lapsed, f"a live lease of {before.lease.owner} was taken away")
        if was.ended:
            moved = (after.state, after.turn, after.lease, after.open) != (before.state, before.turn, None, None)
            require(not moved, "an ended run moved")
        kept = {(effect.id, effect.attempt) for effect in effects(state)}
        if state.held_at is None and state.termination_source not in UNSETTLING:
            gone = [effect for effect in effects(was) if (effect.id, effect.attempt) not in kept]
            self.settled |= {(after.id, effect.id, effect.attempt) for effect in gone}

    # ---- commands

    def _check_commands(self, op: Op | None, before: Run | None, after: Run) -> None:
        turn = after.open or (after.tail[-1] if after.tail else None)
        if turn is None:
            place = self.accepted.setdefault(after.start_hash or "", (after.id, after.turn))
            require(place == (after.id, after.turn), f"{after.start_hash} made two runs")
            return
        first_seq = before.next_seq if before else 1
        fresh = events_of(turn, first_seq - 1)
        numbers = [event.seq for event in fresh]
        require(numbers == list(range(first_seq, after.next_seq)), f"events {numbers}, not from {first_seq}")
        self._check_calls(before, fresh, after.id)
        for command in turn.commands:
            place = self.accepted.setdefault(command.body_hash, (after.id, turn.number))
            require(place == (after.id, turn.number), f"{command.body_hash} was applied twice")
        names = [command.body_hash for command in turn.commands]
        require(len(set(names)) == len(names), f"a command was applied twice: {names}")
        exchange = op.cause if op is not None and op.is_requests else None
        pauses = [event.pause_id for event in fresh if isinstance(event, UserSpoke) and event.pause_id is not None]
        votes = [(event.pause_id, str(event.voter)) for event in fresh if isinstance(event, VoteCast)]
        self._check_answers(exchange, after.id, names, [*((pause, "") for pause in pauses), *votes])
        joined = exchange is not None and before is not None and _did(exchange.post.kind, before, after)
        require(not joined or exchange.post.name in names, "a stop or pause was applied, but is not kept in its turn")

    def _check_calls(self, before: Run | None, fresh: list[AnyEvent], run_id: str) -> None:
        """A model's answer names the call that it answers, and the telling that was begun last."""
        waits = [visit.wait for visit in visits(decode(before.state))] if before is not None else []
        working = [wait.effect for wait in waits if isinstance(wait, Working)]
        self.asked |= {(run_id, effect.seq): effect.id for effect in working if effect.seq is not None}
        for event in fresh:
            match event:
                case ModelCalled(seq=seq, path=path):
                    self.calls[run_id, seq] = path
                case ModelReplied(call_seq=seq, path=path) | ModelFailed(call_seq=seq, path=path):
                    called = self.calls.pop((run_id, seq), None)
                    require(called == path, f"event {event.seq} of {path} ends a call of {called}")
            if isinstance(event, ModelReplied):
                begun = self.tellings.get((run_id, self.asked.get((run_id, event.call_seq), "")))
                require(event.telling == begun, f"event {event.seq} is of telling {event.telling}, the last is {begun}")

    def _check_answers(self, exchange: Any, run_id: str, names: list[str], pauses: list[tuple[str, str]]) -> None:
        """`pauses`: each with who voted on it."""
        for pause_id, voter in pauses:
            place = (run_id, f"{pause_id} {voter}".strip())
            require(place not in self.answered, f"two answers to {place[1]} were accepted")
            require(exchange is not None, f"{pause_id} was answered by nobody")
            post = exchange.post
            require(not voter or post.voter == voter, f"{post.name} was counted as the vote of {voter}")
            self.answered[place] = post.name
            aimed = (post.named,) if post.named is not None else exchange.aim or ()
            require(pause_id in aimed, f"{post.name} aimed at {aimed} and was applied to {pause_id}")
            require(post.name in names, f"{post.name} was applied, but is not kept in its turn")

    # ---- effects

    def effect_begins(self, process: Process, context: EffectContext, telling: int | None) -> None:
        """At the last check before sending. Called where raising would be taken for a failed effect."""
        run = self.memory.runs.get(context.run_id)
        name = (context.run_id, context.effect_id)
        key = self.keys.setdefault(name, context.idempotency_key)
        if key != context.idempotency_key or list(self.keys.values()).count(key) > 1:
            self.blame.append(f"{context.effect_id} goes out under {context.idempotency_key}, once it was {key}")
        lease = run.lease if run is not None else None
        if telling is not None:
            if telling <= self.tellings.get(name, 0):
                self.blame.append(f"{process} tells the text of {context.effect_id} as telling {telling} once more")
            self.tellings[name] = telling
        if not is_once(context):
            return
        if lease is not None and lease.owner == process.name and lease.until <= process.clock.now():
            self.blame.append(f"{process} starts {context.effect_id} after its lease lapsed")
        if lease is not None and lease.owner != process.name and not self.excused:
            self.blame.append(f"{process} starts {context.effect_id} under the lease of {lease.owner}")
        if (*name, context.attempt) in self.settled and not self.excused:
            self.blame.append(f"{process} starts {context.effect_id} again after its result was committed")

    def effect_sent(self, process: Process, context: EffectContext) -> None:
        self.sent.append((context.run_id, context.effect_id, context.attempt))


def _did(kind: str, before: Run, after: Run) -> bool:
    """Is this change the work of a stop, or of a pause?"""
    was, now = decode(before.state), decode(after.state)
    if kind == "stop":
        return now.ended == "cancelled" and not was.ended
    return kind == "pause" and (now.pausing or now.held_at is not None) and not (was.pausing or was.held_at is not None)


def require(truth: object, text: str) -> None:
    """Raises Violation."""
    if not truth:
        raise Violation(text)
