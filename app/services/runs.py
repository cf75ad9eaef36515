"""Reading runs and their turns, following their events, forking and deleting them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from app.engine.messages import AnyEvent
from app.engine.state import ExecutorState, decode
from app.ports import Commit, Run, RunFilter, Turn
from app.services.commits import facts_of
from app.services.delivery import find_turn
from app.services.errors import ServiceError
from app.services.facts import EVENTS, TurnFacts
from app.services.follow import either
from app.services.world import World

COMMENT_SECONDS = 15.0


class RunRecord(msgspec.Struct, frozen=True):
    """A run without bodies; `state` None in lists."""

    run: Run
    state: ExecutorState | None = None


class TurnRecord(msgspec.Struct, frozen=True):
    """A turn. `turn.reply` has the stored reply once it is closed and read singly; `facts` while it is open."""

    run_id: str
    turn: Turn
    facts: TurnFacts | None = None


class Runs:
    """Everything about runs but their turns' execution. Raises ServiceError, StoreUnavailableError."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def facts(self, workspace: str, run_id: str) -> RunRecord:
        """The run as it stands. Raises not_found."""
        run = await self._visible(workspace, run_id)
        return RunRecord(run, decode(run.state))

    async def id_of_number(self, workspace: str, number: int) -> str:
        """The ObjectId of a run's integer number. Raises not_found."""
        found = await self._world.runs.id_by_number(workspace, number)
        if found is None:
            raise ServiceError("not_found", "no such run")
        return found

    async def _visible(self, workspace: str, run_id: str, *, bodies: bool = False) -> Run:
        run = await self._world.runs.read(run_id, bodies=bodies)
        if run is None or run.deleted_at or run.workspace != workspace:
            raise ServiceError("not_found", "no such run")
        return run

    async def list(
        self,
        workspace: str,
        *,
        page: int = 1,
        size: int = 20,
        status: str | None = None,
        workflow_id: str | None = None,
        start: float | None = None,
        end: float | None = None,
        search: str | None = None,
    ) -> tuple[Sequence[RunRecord], int]:
        """A page (from 1), newest first, and the total. `search` comes with a later version and must be None."""
        if search:
            raise ServiceError("invalid_request", "search is not available yet")
        wanted = RunFilter(workspace=workspace, workflow_id=workflow_id, status=status, start=start, end=end)
        found, total = await self._world.runs.find(wanted, (page - 1) * size, size)
        return [RunRecord(run) for run in found], total

    async def turn(self, workspace: str, run_id: str, number: int) -> TurnRecord:
        """One turn, also while it is open. Raises not_found."""
        run = await self._visible(workspace, run_id, bodies=True)
        turn = await turn_of(self._world, run, number) if 0 < number <= run.turn else None
        if turn is None:
            raise ServiceError("not_found", f"no turn {number} of this run")
        facts = None
        if turn.closed_at is None:
            facts = facts_of(run, decode(run.state), number, turn.events)
        return TurnRecord(run.id, turn, facts)

    async def turns(self, workspace: str, run_id: str) -> Sequence[TurnRecord]:
        """All turns by number, without bodies."""
        run = await self._visible(workspace, run_id, bodies=True)
        found: dict[int, Turn] = {}
        below = run.turn
        holder: Run | None = run
        while holder is not None:
            own = [*await self._world.runs.turn_heads(holder.id), *holder.tail, *([holder.open] if holder.open else [])]
            found |= {turn.number: turn for turn in own if turn.number <= below and turn.number not in found}
            if holder.forked_from is None:
                break
            below = holder.forked_from.turn
            holder = await self._world.runs.read(holder.forked_from.run, bodies=True)
        return [TurnRecord(run.id, found[number]) for number in sorted(found)]

    async def delete(self, workspace: str, run_id: str) -> None:
        """Marks the run deleted: from now on it is not found. The sweep removes it. Raises run_active before its end."""
        while True:
            record = await self.facts(workspace, run_id)
            run, now = record.run, self._world.now()
            if run.ended_at is None:
                raise ServiceError("run_active", "the run has not ended", run_id=run_id)
            commit_id = self._world.ids.commit_id()
            changes = {
                "deleted_at": now,
                "wake_at": now,
                "revision": run.revision + 1,
                "commit_id": commit_id,
            }
            if await self._world.runs.commit(Commit(run_id=run_id, revision=run.revision, set=changes)):
                return

    # ---- events

    async def events(self, workspace: str, run_id: str, after: int) -> AsyncIterator[tuple[AnyEvent, ...] | None]:
        """The stored events behind `after`, as they come; None after 15 quiet seconds. Ends with the run, or at shutdown.
        Raises invalid_request, before the first item, for a cursor beyond the last event."""
        run = await self._visible(workspace, run_id, bodies=True)
        if after < 0 or after >= run.next_seq:
            raise ServiceError("invalid_request", f"there is no event {after} yet", run_id=run_id)
        draining = self._world.draining
        with self._world.follow.listen(run_id) as notice:
            while True:
                notice.clear()
                run = await self._visible(workspace, run_id, bodies=True)
                async for events in self._stored(run, after):
                    after = events[-1].seq
                    yield events
                if run.ended_at is not None or draining.is_set():
                    return
                await either(notice, draining, COMMENT_SECONDS)
                if not notice.is_set() and not draining.is_set():
                    yield None

    async def _stored(self, run: Run, after: int) -> AsyncIterator[tuple[AnyEvent, ...]]:
        if run.next_seq - 1 <= after:
            return
        origin = run.forked_from
        if origin is not None and after < origin.seq:
            source = await self._world.runs.read(origin.run, bodies=True)
            if source is not None:
                async for events in self._stored(source, after):
                    inherited = tuple(event for event in events if event.seq <= origin.seq)
                    if not inherited:
                        break
                    yield inherited
            after = origin.seq
        held = [turn for turn in (*run.tail, run.open) if turn is not None]
        if not held or held[0].first_seq > after + 1:
            async for turn in self._world.runs.turns_after(run.id, after):
                for events in _beyond(turn, after):
                    after = events[-1].seq
                    yield events
        for turn in held:
            for events in _beyond(turn, after):
                after = events[-1].seq
                yield events


async def turn_of(world: World, run: Run, number: int) -> Turn | None:
    """A turn of the run; of a fork, the early ones lie with its source. Raises not_found when that is gone."""
    while run.forked_from is not None and number <= run.forked_from.turn:
        source = await world.runs.read(run.forked_from.run, bodies=True)
        if source is None:
            raise ServiceError("not_found", "the run that this one was forked from is gone")
        run = source
    return await find_turn(world, run, number)


def _beyond(turn: Turn, after: int) -> list[tuple[AnyEvent, ...]]:
    events = tuple(event for event in EVENTS.decode(turn.events) if event.seq > after) if turn.events else ()
    return [events] if events else []
