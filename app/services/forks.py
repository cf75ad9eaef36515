"""Making a new run out of the state after a turn of another."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from app.engine.state import ExecutorState, decode, encode
from app.ports import DuplicateError, Origin, Run, Turn
from app.services.committing import STATES_KEPT
from app.services.errors import ServiceError
from app.services.facts import TurnReply
from app.services.runs import RunRecord, turn_of
from app.services.world import World


class Forks:
    """Raises ServiceError, StoreUnavailableError."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def fork(
        self,
        workspace: str,
        run_id: str,
        number: int,
        *,
        key: str | None,
        body_hash: str,
        render: Callable[[RunRecord], bytes],
    ) -> TurnReply:
        """A new run, paused, with the state after turn `number`: no side effect is repeated, its turns go on from there.
        Its reply is stored, so that the same key gets the same bytes. Raises not_found, turn_in_progress, run_ended,
        state_gone, idempotency_mismatch."""
        run = await self._world.runs.read(run_id, bodies=True)
        if run is None or run.deleted_at or run.workspace != workspace:
            raise ServiceError("not_found", "no such run")
        start_key = f"fork:{run_id}:{key}" if key else None
        if start_key and (before := await self._world.runs.read_by_start_key(start_key, bodies=True)):
            return _replayed(before, body_hash)
        turn = await self._closed(run, number)
        fork = await self._new_run(run, turn, start_key, body_hash)
        fork = replace(fork, start_reply=render(RunRecord(fork, decode(fork.state))))
        await self._world.runs.copy_results(run_id, fork.id)
        try:
            await self._world.runs.insert(fork)
        except DuplicateError:
            before = await self._world.runs.read_by_start_key(start_key or "", bodies=True)
            if before is None:
                raise ServiceError("unavailable", "this fork lost a race; try again", retry_after=1) from None
            return _replayed(before, body_hash)
        return TurnReply(run_id=fork.id, turn=number, body=fork.start_reply or b"")

    async def _closed(self, run: Run, number: int) -> Turn:
        if not 0 < number <= run.turn:
            raise ServiceError("not_found", f"no turn {number} of this run")
        if number <= run.turn - STATES_KEPT:
            raise ServiceError("state_gone", "the state after this turn is no longer kept", run_id=run.id)
        turn = await turn_of(self._world, run, number)
        if turn is None or turn.closed_at is None:
            raise ServiceError("turn_in_progress", "the turn is still open", run_id=run.id)
        if turn.state is None:
            raise ServiceError("state_gone", "the state after this turn is no longer kept", run_id=run.id)
        return turn

    async def _new_run(self, run: Run, turn: Turn, start_key: str | None, body_hash: str) -> Run:
        state = decode(turn.state or b"")
        if state.ended:
            raise ServiceError("run_ended", "the turn ended the run", run_id=run.id)
        now, new_id = self._world.now(), self._world.ids.object_id()
        held = _held(state, new_id, turn)
        return Run(
            id=new_id,
            workspace=run.workspace,
            workflow_id=run.workflow_id,
            version=run.version,
            pinned=run.pinned,
            number=await self._world.runs.next_number(),
            mode=run.mode,
            user=run.user,
            revision=1,
            commit_id=self._world.ids.commit_id(),
            start_hash=body_hash,
            turn=turn.number,
            status="paused",
            termination_source=None,
            state=encode(held),
            next_seq=held.next_seq,
            start_key=start_key,
            forked_from=Origin(run.id, turn.number, held.next_seq - 1),
            created_at=now,
            updated_at=now,
        )


def _held(state: ExecutorState, run_id: str, turn: Turn) -> ExecutorState:
    """Held since the turn ended: its clocks go on from there when it is resumed."""
    since = turn.closed_at if state.held_at is None else state.held_at
    return replace(state, origin=replace(state.origin, run_id=run_id), held_at=since, working_since=None)


def _replayed(fork: Run, body_hash: str) -> TurnReply:
    if fork.start_hash != body_hash:
        message = "this Idempotency-Key was used with another body"
        raise ServiceError("idempotency_mismatch", message, run_id=fork.id)
    turn = fork.forked_from.turn if fork.forked_from else fork.turn
    return TurnReply(run_id=fork.id, turn=turn, body=fork.start_reply or b"", replayed=True)
