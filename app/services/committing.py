"""Making a planned commit happen, and what follows it: waking those who wait, performing effects, archiving."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping

from app.engine.graph import Graph
from app.engine.messages import QuestionExpired
from app.engine.state import ExecutorState
from app.engine.step import Step
from app.ports import AcceptedCommand, Run, StoreUnavailableError
from app.services import slots
from app.services.commits import Planned, fail_over_limit, over_limit, plan
from app.services.facts import GivenInput
from app.services.world import World

ARCHIVE_TURNS, ARCHIVE_BYTES = 8, 64 * 1024
FULL_TURNS, FULL_BYTES = 32, 1024 * 1024
STATES_KEPT = 32  # closed turns that can be forked from


def plan_within_limits(
    world: World,
    graphs: Mapping[str, Graph],
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
    """The commit of a step; of the run's failure instead when the step crossed a size limit."""
    planned = plan(
        world, run, before, made, cause=cause, accepted=accepted, given=given, owner=owner, commit_id=commit_id
    )
    why = over_limit(world, planned.after)
    if why is None:
        return planned
    failed = fail_over_limit(world, graphs, before, why)
    return plan(
        world, run, before, failed, cause=cause, accepted=accepted, given=given, owner=owner, commit_id=commit_id
    )


async def follow_up(world: World, before: Run, after: Run, but: asyncio.Event | None = None) -> None:
    """After a commit was won: keeps or gives back places of limits (before the reply, so that a caller who sees a run end
    can start the next), wakes followers (`but` one), and archives after the reply when the tail has grown."""
    if before.limited or after.limited:
        await _quietly(slots.keep(world, before, after))
    world.follow.changed(after.id, but)
    if after.open is None and archive_is_due(after):
        world.spawn(archive(world, after))


def archive_is_due(run: Run, turns: int = ARCHIVE_TURNS, size: int = ARCHIVE_BYTES) -> bool:
    return len(run.tail) > turns or (len(run.tail) > 1 and sum(turn.size for turn in run.tail) >= size)


async def make_room(world: World, run: Run) -> None:
    """Before a commit, only when archiving has fallen far behind."""
    if archive_is_due(run, FULL_TURNS, FULL_BYTES):
        await world.runs.archive(run.id, 1, _states_to_keep(run))


async def archive(world: World, run: Run) -> None:
    """Moves the closed turns but the newest to run_turns. Failing is harmless: the next turn tries again."""
    if run.id in world.archiving:
        return
    world.archiving.add(run.id)
    try:
        await _quietly(world.runs.archive(run.id, 1, _states_to_keep(run)))
    finally:
        world.archiving.discard(run.id)


def _states_to_keep(run: Run) -> int:
    """Old states are dropped by one archive in four: it is an operation more."""
    drops = run.turn >= 2 * STATES_KEPT and run.turn % STATES_KEPT < ARCHIVE_TURNS
    return STATES_KEPT if drops else run.turn


async def _quietly(work: Coroutine[object, object, None]) -> None:
    try:
        await work
    except StoreUnavailableError:
        return


def cause_of(made: Step) -> str:
    """The cause of the turn that a deadline opens."""
    return "expiry" if any(isinstance(event, QuestionExpired) for event in made.events) else "timer"


def joined(first: Step, second: Step) -> Step:
    """Two steps as one: the later state, the events of both."""
    return Step(second.state, (*first.events, *second.events), second.effects)


def unmoved(state: ExecutorState) -> Step:
    """No step at all, to join others to."""
    return Step(state, (), ())
