"""Reading runs and their turns, following their events, forking and deleting them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from app.engine.state import ExecutorState, decode
from app.ports import Among, Commit, Run, RunFilter, Turn
from app.services.commits import facts_of
from app.services.cursors import Cursor
from app.services.delivery import find_turn
from app.services.errors import ServiceError
from app.services.facts import TurnFacts, events_of
from app.services.reading import Frame, Reading
from app.services.world import World

MOST_NAMED = 200  # workflows that a search finds by name, the newest: each is a range of an index


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for in names and ids: as it was given, and the id and the number that it may be."""

    text: str
    id: str | None = None
    number: int | None = None


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
        search: Search | None = None,
    ) -> tuple[Sequence[RunRecord], int]:
        """A page (from 1), newest first, and the total."""
        among = None if search is None else await self._among(workspace, search)
        if among == Among():
            return [], 0
        wanted = RunFilter(
            workspace=workspace, workflow_id=workflow_id, status=status, start=start, end=end, among=among
        )
        found, total = await self._world.runs.find(wanted, (page - 1) * size, size)
        return [RunRecord(run) for run in found], total

    async def _among(self, workspace: str, search: Search) -> Among:
        """Three reads by an index, and one over the names of the workspace's workflows."""
        runs, workflows = [search.id] if search.id else [], [search.id] if search.id else []
        if search.number is not None:
            run_id = await self._world.runs.id_by_number(workspace, search.number)
            head = await self._world.workflows.head_by_number(search.number)
            runs += [run_id] if run_id else []
            workflows += [head.id] if head else []
        workflows += await self._world.workflows.ids_named(workspace, search.text, MOST_NAMED)
        return Among(tuple(runs), tuple(dict.fromkeys(workflows)))

    async def turn(self, workspace: str, run_id: str, number: int) -> TurnRecord:
        """One turn, also while it is open. Raises not_found."""
        run = await self._visible(workspace, run_id, bodies=True)
        turn = await turn_of(self._world, run, number) if 0 < number <= run.turn else None
        if turn is None:
            raise ServiceError("not_found", f"no turn {number} of this run")
        facts = None
        if turn.closed_at is None:
            facts = facts_of(run, decode(run.state), number, events_of(turn))
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

    def follow(self, workspace: str, run_id: str, cursor: Cursor) -> AsyncIterator[Sequence[Frame] | None]:
        """Its events, and the text of models as it comes: see Reading.frames."""
        return Reading(self._world, workspace, run_id, cursor).frames()


async def turn_of(world: World, run: Run, number: int) -> Turn | None:
    """A turn of the run; of a fork, the early ones lie with its source. Raises not_found when that is gone."""
    while run.forked_from is not None and number <= run.forked_from.turn:
        source = await world.runs.read(run.forked_from.run, bodies=True)
        if source is None:
            raise ServiceError("not_found", "the run that this one was forked from is gone")
        run = source
    return await find_turn(world, run, number)
