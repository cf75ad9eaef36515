"""A turn: one POST that starts a run, answers it, pauses, resumes or stops it.

Reads the run, replays or refuses, steps, and makes one filtered update. A lost update is looked for by the ids of all
commits that this command has tried; not found, the command is applied again only if exactly the pauses that were open at
its first read at rest are still open.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from app.engine.graph import Graph
from app.engine.messages import DeadlinePassed
from app.engine.state import ExecutorState, decode
from app.engine.step import RefusedError, is_due, step
from app.ports import AcceptedCommand, Run, StoreUnavailableError
from app.services import slots
from app.services.commits import Planned, lease_taken
from app.services.committing import cause_of, follow_up, make_room, plan_within_limits
from app.services.delivery import by_commit, by_key, deliver
from app.services.errors import ServiceError
from app.services.facts import TurnReply, TurnRequest
from app.services.fingerprints import may_be_used
from app.services.follow import either
from app.services.given import given_input
from app.services.judge import Judge, Tries
from app.services.owner import perform
from app.services.starts import Starts
from app.services.world import World

DOUBTS = 3  # lost replies of the database before the outcome is called unknown
TRIES = 20  # lost races


class Turns:
    """Accepts turns. Raises ServiceError, StoreUnavailableError."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._starts = Starts(world)
        self._judge = Judge(world)

    async def execute(self, request: TurnRequest) -> TurnReply:
        """The reply of the turn: stored, or `accepted` when it is still under way after `wait_seconds`."""
        if request.run_id is None:
            return await self._starts.start(request)
        until = self._world.now() + request.wait_seconds
        with self._world.follow.listen(request.run_id) as notice:
            while True:
                notice.clear()
                try:
                    return await self._later(request, request.run_id)
                except ServiceError as error:
                    left = until - self._world.now()
                    if error.code != "turn_in_progress" or request.on_busy != "wait" or left <= 0:
                        raise
                if self._world.draining.is_set():
                    raise ServiceError("unavailable", "the server is shutting down", run_id=request.run_id)
                await either(notice, self._world.draining, left)

    async def replay_start(
        self, workspace: str, workflow_id: str, key: str, body_hash: str, wait_seconds: float
    ) -> TurnReply | None:
        """The reply of a start that was made under this key; None: there was none. For starts refused by their shape."""
        request = TurnRequest(
            workspace=workspace, workflow_id=workflow_id, key=key, body_hash=body_hash, wait_seconds=wait_seconds
        )
        return await self._starts.replay(request)

    async def _later(self, request: TurnRequest, run_id: str) -> TurnReply:
        tries = Tries()
        for _ in range(TRIES):
            try:
                reply = await self._try(request, run_id, tries)
            except StoreUnavailableError as error:
                tries.doubts += 1
                if not tries.commits or tries.doubts >= DOUBTS:
                    raise ServiceError("unavailable", _UNKNOWN, run_id=run_id, retry_after=1) from error
                await self._world.clock.sleep(0.1 * tries.doubts)
                continue
            if reply is not None:
                return reply
        raise ServiceError("unavailable", _UNKNOWN, run_id=run_id, retry_after=1)

    async def _try(self, request: TurnRequest, run_id: str, tries: Tries) -> TurnReply | None:
        """One read, one step, one update. None: the update found no match; try again."""
        run = await self._world.runs.read(run_id)
        if (
            run is None
            or run.deleted_at
            or (run.workspace, run.workflow_id) != (request.workspace, request.workflow_id)
        ):
            raise ServiceError("not_found", "no such run")
        stored = await self._stored(request, run, tries)
        if stored is not None:
            return stored
        state = decode(run.state)
        graphs = await self._graphs(request, run, state)
        tries.take_aim(state)
        if graphs and is_due(state, self._world.now(), self._world.limits):
            await self._expire(run, state, graphs)
            return None
        finished = self._judge.finished(request, run, state)
        if finished is not None:
            return finished
        return await self._carry_out(request, run, state, graphs, tries)

    async def _carry_out(
        self, request: TurnRequest, run: Run, state: ExecutorState, graphs: Mapping[str, Graph], tries: Tries
    ) -> TurnReply | None:
        command = self._judge.command(request, run, state, tries)
        commit_id = self._world.ids.commit_id()
        try:
            made = step(graphs, state, command, self._world.limits)
        except RefusedError as error:
            raise self._judge.refused(error, run, state) from error
        planned = plan_within_limits(
            self._world,
            graphs,
            run,
            state,
            made,
            accepted=_accepted(request, commit_id),
            given=given_input(request),
            commit_id=commit_id,
        )
        planned = await self._admitted(request, run, planned)
        await make_room(self._world, run)
        tries.commits[commit_id] = lease_taken(run, planned.after)
        if not await self._commit(run, planned):
            return None
        tries.commits[commit_id] = None  # its lease is being performed
        after = planned.after
        if after.open is None:
            return TurnReply(run_id=run.id, turn=after.turn, body=after.tail[-1].reply or b"")
        return await deliver(self._world, run.id, after.turn, request.wait_seconds)

    async def _expire(self, run: Run, state: ExecutorState, graphs: Mapping[str, Graph]) -> None:
        """What is due comes first, in a commit of its own; then the run is read again."""
        due = step(graphs, state, DeadlinePassed(now=self._world.now()), self._world.limits)
        cause = cause_of(due)
        await self._commit(run, plan_within_limits(self._world, graphs, run, state, due, cause=cause))

    async def _graphs(self, request: TurnRequest, run: Run, state: ExecutorState) -> Mapping[str, Graph]:
        graphs = await self._world.graphs.of(run)
        if graphs is not None:
            return graphs
        if state.ended or request.command == "stop":  # needs no graph
            return {}
        message = "the graph is not the one that this run started with; it can only be stopped"
        raise ServiceError("graph_mismatch", message, facts=self._judge.facts(run, state))

    async def _admitted(self, request: TurnRequest, run: Run, planned: Planned) -> Planned:
        """With its places of concurrency limits taken, when the turn will have work in progress. Raises limit_reached."""
        if planned.after.open is None or run.limited or request.command in ("stop", "pause"):
            return planned
        head = await self._world.workflows.head(run.workflow_id)
        try:
            if head is None or not await slots.take(self._world, head, planned.after):
                return planned
        except ServiceError as error:
            error.run_id = run.id
            raise
        planned.commit.set["limited"] = True
        return replace(planned, after=replace(planned.after, limited=True))

    async def _commit(self, run: Run, planned: Planned) -> bool:
        if not await self._world.runs.commit(planned.commit):
            if planned.after.limited and not run.limited:
                await slots.release_if_over(self._world, planned.after)
            return False
        await follow_up(self._world, run, planned.after)
        perform(self._world, planned.after, lease_taken(run, planned.after))
        return True

    # ---- replay

    async def _stored(self, request: TurnRequest, run: Run, tries: Tries) -> TurnReply | None:
        """The turn that this command made before: by a lost commit, by its key, by `expected_turn` with the same body."""
        if tries.commits:
            turn = await by_commit(self._world, run, list(tries.commits))
            if turn is not None:
                for command in turn.commands:  # it may have taken a lease, though the reply was lost
                    perform(self._world, run, tries.commits.pop(command.commit_id, None))
                return await deliver(self._world, run.id, turn.number, request.wait_seconds)
        if request.key is not None and may_be_used(run, request.key):
            found = await by_key(self._world, run, request.key)
            if found is not None:
                if found[1].body_hash != request.body_hash:
                    raise ServiceError(
                        "idempotency_mismatch", "this Idempotency-Key was used with another body", run_id=run.id
                    )
                return await deliver(self._world, run.id, found[0].number, request.wait_seconds, replayed=True)
        if request.expected_turn is not None and request.expected_turn == run.turn:
            last = run.open or (run.tail[-1] if run.tail else None)
            if last is not None and any(command.body_hash == request.body_hash for command in last.commands):
                return await deliver(self._world, run.id, last.number, request.wait_seconds, replayed=True)
        return None


_UNKNOWN = "the outcome is unknown: retry with the same key"


def _accepted(request: TurnRequest, commit_id: str) -> AcceptedCommand:
    return AcceptedCommand(request.body_hash, commit_id, request.key)
