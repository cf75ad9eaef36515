"""Concurrency limits: a run with work in progress holds a place of its workflow's and its workspace's limit.

A run at rest holds none, and a turn that closes at once needs none: nothing of it is in progress when it is stored.
Only starts, answers and resumes need a free place; stop, pause, expiry, timers and takeovers never do.
"""

from __future__ import annotations

from app.ports import Run, WorkflowHead
from app.services.errors import ServiceError
from app.services.world import World

GRACE_SECONDS = 15.0  # beyond the run's next wake-up: then its place may be taken over


def limits_of(head: WorkflowHead) -> list[tuple[str, int]]:
    """(scope, places) of every limit that is set."""
    scopes = ((f"workflow:{head.id}", head.max_concurrent_runs), (f"workspace:{head.workspace}", head.workspace_limit))
    return [(scope, places) for scope, places in scopes if places is not None]


def held_until(run: Run, now: float) -> float:
    return (run.wake_at or now) + GRACE_SECONDS


async def take(world: World, head: WorkflowHead, run: Run) -> bool:
    """Places for a run that is about to have work in progress; False: no limit is set. Raises limit_reached."""
    limits, now = limits_of(head), world.now()
    for scope, places in limits:
        if not await world.slots.take(scope, places, run.id, run.turn, held_until(run, now), now):
            await world.slots.release(run.id, run.turn)
            message = f"at most {places} runs of this {scope.partition(':')[0]} may be at work at once"
            raise ServiceError("limit_reached", message, retry_after=1)
    return bool(limits)


async def keep(world: World, before: Run, after: Run) -> None:
    """After a commit: the places move with the run's next wake-up, and are given back when it has come to rest."""
    if after.limited:
        await world.slots.extend(after.id, after.turn, held_until(after, world.now()))
    elif before.limited:
        await world.slots.release(after.id, before.turn)


async def release_if_over(world: World, planned: Run) -> None:
    """After a lost commit: its places, unless others hold or may still get them for the same turn of the run."""
    run = await world.runs.read(planned.id)
    if run is None or run.turn > planned.turn or (run.turn == planned.turn and not run.limited):
        await world.slots.release(planned.id, planned.turn)
