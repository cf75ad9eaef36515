"""Getting a caller the record of its turn: waiting for it while it is under way, or finding the stored one."""

from __future__ import annotations

from app.engine.state import decode, effects, has_timers, next_deadline
from app.ports import AcceptedCommand, Run, Turn
from app.services.commits import facts_of
from app.services.errors import ServiceError
from app.services.facts import TurnReply, events_of
from app.services.follow import either
from app.services.world import World

NOTHING_BEYOND = 2**62  # no event has this number


async def deliver(world: World, run_id: str, number: int, wait_seconds: float, *, replayed: bool = False) -> TurnReply:
    """The stored reply of a turn, or `accepted` when it is not closed within `wait_seconds`."""
    until = world.now() + wait_seconds
    with world.follow.listen(run_id) as notice:
        bodies = True
        while True:
            notice.clear()
            run = await _read(world, run_id, bodies=bodies)
            if bodies:
                turn = await find_turn(world, run, number)
                if turn is not None and turn.reply is not None:
                    return TurnReply(run_id=run_id, turn=number, body=turn.reply, replayed=replayed)
            elif run.open is None or run.open.number != number:
                bodies = True
                continue
            left = until - world.now()
            if left <= 0 or world.draining.is_set() or _only_later_timers(world, run, until):
                return _accepted(world, run if bodies else await _read(world, run_id, bodies=True), number)
            await either(notice, world.draining, left)
            bodies = False


async def _read(world: World, run_id: str, *, bodies: bool) -> Run:
    """Raises not_found. Without `bodies` also without most of the events: a long turn is looked at again and again."""
    run = await world.runs.read(run_id, bodies=bodies, after=0 if bodies else NOTHING_BEYOND)
    if run is None:
        raise ServiceError("not_found", "no such run")
    return run


def _only_later_timers(world: World, run: Run, until: float) -> bool:
    state = decode(run.state)
    due = next_deadline(state, world.limits)
    return not effects(state) and has_timers(state) and due is not None and due > until


def _accepted(world: World, run: Run, number: int) -> TurnReply:
    events = events_of(run.open) if run.open and run.open.number == number else ()
    body = world.render(facts_of(run, decode(run.state), number, events))
    return TurnReply(run_id=run.id, turn=number, body=body, accepted=True)


async def find_turn(world: World, run: Run, number: int) -> Turn | None:
    """A turn of the run: open, in the tail, or in run_turns. Read the run before calling: the archive is written before
    the pull."""
    for turn in (run.open, *run.tail):
        if turn is not None and turn.number == number:
            return turn
    return await world.runs.turn(run.id, number)


async def by_key(world: World, run: Run, key: str) -> tuple[Turn, AcceptedCommand] | None:
    """The turn that accepted a command under `key`, and that command."""
    for turn in (run.open, *run.tail):
        if turn is not None:
            for command in turn.commands:
                if command.key == key:
                    return turn, command
    turn = await world.runs.turn_by_key(run.id, key)
    if turn is None:
        return None
    return turn, next(command for command in turn.commands if command.key == key)


async def by_commit(world: World, run: Run, commit_ids: list[str]) -> Turn | None:
    """The turn that one of a command's own writes made or joined."""
    for turn in (run.open, *run.tail):
        if turn is not None and any(command.commit_id in commit_ids for command in turn.commands):
            return turn
    return await world.runs.turn_by_commit(run.id, commit_ids)
