"""How a step becomes one update of the run document: turn, lease, wake-up time, status and tail together.

Pure. The rules are those of the data model: outside work takes a lease and raises the fence, a commit after which nothing
is in flight clears it whoever makes it, a run at rest has its turn closed, and `wake_at` is the earliest thing due.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.engine.messages import Abort, AnyEvent
from app.engine.state import ExecutorState, at_rest, effects, encode, next_deadline, retold, status, usage_of
from app.engine.step import Step, step
from app.engine.values import pack
from app.ports import AcceptedCommand, Commit, EventBatch, Lease, Run, Turn
from app.services.facts import EVENTS, GivenInput, TurnFacts, events_of, events_size, pack_events
from app.services.fingerprints import remember
from app.services.world import World

LEASE_SECONDS = 10.0
BATCH_BYTES = 48 * 1024  # of an open turn's events


class Planned(msgspec.Struct, frozen=True):
    """The update to be made, the run as it will be, and its state."""

    commit: Commit
    after: Run
    state: ExecutorState


def facts_of(run: Run, state: ExecutorState, turn: int, events: tuple[AnyEvent, ...]) -> TurnFacts:
    """What a dialect shows of a turn."""
    return TurnFacts(
        run_id=run.id,
        workflow_id=run.workflow_id,
        version=run.version,
        turn=turn,
        state=state,
        events=events,
    )


def plan(
    world: World,
    run: Run,
    before: ExecutorState,
    made: Step,
    *,
    cause: str = "command",
    accepted: AcceptedCommand | None = None,
    given: GivenInput | None = None,
    owner: bool = False,
    commit_id: str | None = None,
) -> Planned:
    """The commit of a step on a stored run. `owner`: made by the lease's owner, so that it is filtered on the lease too."""
    now = world.now()
    commit_id = commit_id or world.ids.commit_id()
    if run.open is not None and run.lease is None:  # given back: this commit takes over what is in flight
        made = msgspec.structs.replace(made, state=retold(made.state))
    turn = run.open or Turn(number=made.state.turn, cause=cause, first_seq=before.next_seq, opened_at=now)
    if given is not None and not turn.input:
        turn = msgspec.structs.replace(turn, input=pack(given))
    changes, turn, closed = _changes(world, run, turn, made, accepted, now, commit_id)
    commit = Commit(
        run_id=run.id,
        revision=run.revision,
        set=changes,
        push=turn if closed else None,
        fence=run.fence if owner else None,
        lease=run.lease,
        match_lease=owner,
    )
    after = msgspec.structs.replace(run, **changes, tail=(*run.tail, turn) if closed else run.tail)
    return Planned(commit, after, made.state)


def lease_taken(before: Run, after: Run) -> int | None:
    """The fence of the lease that the commit between them took; None: it took none."""
    return after.fence if after.fence != before.fence else None


def first(world: World, run: Run, made: Step, accepted: AcceptedCommand, given: GivenInput) -> Run:
    """The document that starts a run: turn 1 in the tail, or open with a lease."""
    turn = Turn(number=1, cause="command", first_seq=1, opened_at=run.created_at, input=pack(given))
    changes, turn, closed = _changes(world, run, turn, made, accepted, run.created_at, run.commit_id)
    changes["revision"] = 1
    return msgspec.structs.replace(run, **changes, tail=(turn,) if closed else ())


def _changes(
    world: World, run: Run, turn: Turn, made: Step, accepted: AcceptedCommand | None, now: float, commit_id: str
) -> tuple[dict[str, Any], Turn, bool]:
    state = made.state
    stored, closed = encode(state), at_rest(state)
    if accepted is not None:
        turn = msgspec.structs.replace(turn, commands=(*turn.commands, accepted))
    turn = _with_events(world, run, _batched(turn, run, commit_id), made, stored if closed else None, now)
    lease, fence = _lease(world, run, state, now)
    changes: dict[str, Any] = {
        "revision": run.revision + 1,
        "commit_id": commit_id,
        "turn": turn.number,
        "status": status(state),
        "termination_source": state.termination_source,
        "error": state.error if state.ended == "failed" else None,
        "state": stored,
        "next_seq": state.next_seq,
        "open": None if closed else turn,
        "wake_at": wake_at(world, state, lease, now),
        "takeovers": 0,
        "updated_at": now,
    }
    usage = usage_of(state)
    if usage.total_tokens != (run.usage or {}).get("total_tokens", 0):
        changes["usage"] = msgspec.structs.asdict(usage)
    if (lease, fence) != (run.lease, run.fence):  # else left alone: its owner may have renewed it meanwhile
        changes |= {"lease": lease, "fence": fence}
    if state.ended:
        changes["ended_at"] = now
    if closed and run.limited:
        changes["limited"] = False
    if accepted is not None and accepted.key is not None:
        changes["fingerprints"], changes["fingerprints_partial"] = remember(run, accepted.key, now)
    return changes, turn, closed


def _with_events(world: World, run: Run, turn: Turn, made: Step, stored: bytes | None, now: float) -> Turn:
    """The turn with what has happened in it; closed when `stored`, the state after it, is given."""
    before = EVENTS.decode(turn.events) if turn.events else ()
    turn = msgspec.structs.replace(turn, events=pack_events((*before, *made.events) if before else made.events))
    reply = None
    if stored is not None:
        events = events_of(turn) if turn.batches else (*before, *made.events)
        reply = world.render(facts_of(run, made.state, turn.number, events))
    return msgspec.structs.replace(
        turn,
        last_seq=None if stored is None else made.state.next_seq - 1,
        reply=reply,
        state=stored,
        size=events_size(turn) + len(reply or b"") + len(stored or b"") + len(turn.input),
        closed_at=None if stored is None else now,
    )


def _batched(turn: Turn, run: Run, commit_id: str) -> Turn:
    """The turn with the events so far in a batch of their own, when they are many."""
    if len(turn.events) < BATCH_BYTES:
        return turn
    batch = EventBatch(id=f"{commit_id}:events", last_seq=run.next_seq - 1, size=len(turn.events), body=turn.events)
    return msgspec.structs.replace(turn, batches=(*turn.batches, batch), events=b"")


def _lease(world: World, run: Run, state: ExecutorState, now: float) -> tuple[Lease | None, int]:
    if not effects(state):
        return None, run.fence
    if run.lease is None or run.open is None:
        return Lease(world.process, now + LEASE_SECONDS), run.fence + 1
    return run.lease, run.fence


def wake_at(world: World, state: ExecutorState, lease: Lease | None, now: float) -> float | None:
    """The earliest of lease end, timers, deadlines, and of an ended run its purge."""
    if state.ended:
        return now + world.retention_seconds
    times = [time for time in (lease.until if lease else None, next_deadline(state, world.limits)) if time is not None]
    return min(times, default=None)


def over_limit(world: World, run: Run) -> str | None:
    """Which size limit the last step of `run` crossed, in words."""
    limits = world.limits
    turn = run.open or run.tail[-1]
    for what, size, limit in (
        ("the state", len(run.state), limits.state_bytes),
        ("the events of a turn", events_size(turn), limits.events_bytes),
        ("the reply of a turn", len(turn.reply or b""), limits.reply_bytes),
    ):
        if size > limit:
            return f"{what} may have {limit} bytes, not {size}"
    return None


def fail_over_limit(world: World, graphs: Any, before: ExecutorState, why: str) -> Step:
    """The step that ends a run whose step crossed a size limit."""
    return step(graphs, before, Abort(now=world.now(), source="limit", error_message=why), world.limits)
