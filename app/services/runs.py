"""Reading runs and their turns, following their events, forking and deleting them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec
from msgspec.structs import replace

from app.engine.messages import AnyEvent
from app.engine.state import ExecutorState, decode, encode
from app.ports import Commit, DuplicateError, Run, RunFilter, Turn
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
        holder = await self._holder(run, number)
        turn = await find_turn(self._world, holder, number) if 0 < number <= run.turn else None
        if turn is None:
            raise ServiceError("not_found", f"no turn {number} of this run")
        facts = None
        if turn.closed_at is None:
            facts = facts_of(run, decode(run.state), number, turn.events)
        return TurnRecord(run.id, turn, facts)

    async def _holder(self, run: Run, number: int) -> Run:
        """The run that stores a turn: of a fork, its early turns lie with the source."""
        holder = run
        while holder.forked_from_run is not None and number <= (holder.forked_from_turn or 0):
            source = await self._world.runs.read(holder.forked_from_run, bodies=True)
            if source is None:
                raise ServiceError("not_found", "the run that this one was forked from is gone")
            holder = source
        return holder

    async def turns(self, workspace: str, run_id: str) -> Sequence[TurnRecord]:
        """All turns by number, without bodies."""
        run = await self._visible(workspace, run_id, bodies=True)
        found: dict[int, Turn] = {}
        below = run.turn
        holder: Run | None = run
        while holder is not None:
            own = [*await self._world.runs.turn_heads(holder.id), *holder.tail, *([holder.open] if holder.open else [])]
            found |= {turn.number: turn for turn in own if turn.number <= below and turn.number not in found}
            if holder.forked_from_run is None:
                break
            below = holder.forked_from_turn or 0
            holder = await self._world.runs.read(holder.forked_from_run, bodies=True)
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

    # ---- fork

    async def fork(
        self, workspace: str, run_id: str, turn_number: int, key: str | None, body_hash: str
    ) -> tuple[RunRecord, bool]:
        """A new run, paused, with the state after a closed turn of this one. True: it had been made under this key."""
        run = await self._visible(workspace, run_id, bodies=True)
        start_key = f"fork:{run_id}:{key}" if key else None
        if start_key and (before := await self._world.runs.read_by_start_key(start_key)):
            return self._forked_before(before, body_hash)
        fork = await self._fork_of(run, turn_number, start_key, body_hash)
        try:
            await self._world.runs.insert(fork)
        except DuplicateError:
            before = await self._world.runs.read_by_start_key(start_key or "")
            if before is None:
                raise
            return self._forked_before(before, body_hash)
        return RunRecord(fork, decode(fork.state)), False

    def _forked_before(self, fork: Run, body_hash: str) -> tuple[RunRecord, bool]:
        if fork.commit_id.partition(":")[2] != body_hash:
            raise ServiceError(
                "idempotency_mismatch", "this Idempotency-Key was used with another body", run_id=fork.id
            )
        return RunRecord(fork, decode(fork.state)), True

    async def _fork_of(self, run: Run, number: int, start_key: str | None, body_hash: str) -> Run:
        if not 0 < number <= run.turn:
            raise ServiceError("not_found", f"no turn {number} of this run")
        holder = await self._holder(run, number)
        turn = await find_turn(self._world, holder, number)
        if turn is None or turn.closed_at is None:
            raise ServiceError("turn_in_progress", "the turn is still open", run_id=run.id)
        if turn.state is None:
            raise ServiceError("state_gone", "the state after this turn is no longer kept", run_id=run.id)
        state = decode(turn.state)
        if state.ended:
            raise ServiceError("run_ended", "the turn ended the run", run_id=run.id)
        now, new_id = self._world.now(), self._world.ids.object_id()
        origin = replace(state.origin, run_id=new_id)
        # held since the turn ended: its clocks go on from there when it is resumed
        state = replace(state, origin=origin, held_at=state.held_at or turn.closed_at, working_since=None)
        # the commit id of an insert is compared with nothing: it carries what a repeated fork must match
        commit_id = f"{self._world.ids.commit_id()}:{body_hash}"
        return replace(
            run,
            id=new_id,
            number=await self._world.runs.next_number(),
            revision=1,
            commit_id=commit_id,
            turn=number,
            status="paused",
            termination_source=None,
            state=encode(state),
            next_seq=state.next_seq,
            fingerprints=b"",
            fingerprints_partial=False,
            start_key=start_key,
            open=None,
            tail=(),
            fence=0,
            lease=None,
            wake_at=None,
            takeovers=0,
            limited=False,
            forked_from_run=run.id,
            forked_from_turn=number,
            created_at=now,
            updated_at=now,
            ended_at=None,
        )

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
        if run.forked_from_run is not None:
            source = await self._world.runs.read(run.forked_from_run, bodies=True)
            if source is not None:
                async for events in self._stored(source, after):
                    inherited = tuple(event for event in events if event.seq < _first_own(run))
                    if inherited:
                        after = inherited[-1].seq
                        yield inherited
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


def _first_own(run: Run) -> int:
    """The first event number that is surely not inherited: archived turns of the fork come by `turns_after`."""
    held = [turn for turn in (*run.tail, run.open) if turn is not None]
    return min((turn.first_seq for turn in held), default=run.next_seq)


def _beyond(turn: Turn, after: int) -> list[tuple[AnyEvent, ...]]:
    events = tuple(event for event in EVENTS.decode(turn.events) if event.seq > after) if turn.events else ()
    return [events] if events else []
