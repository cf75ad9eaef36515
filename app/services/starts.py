"""The first turn: checks what a start needs, steps once, inserts the run."""

from __future__ import annotations

from msgspec.structs import replace

from app.engine import messages
from app.engine.graph import Graph
from app.engine.step import RefusedError, Step, fail_start, step
from app.engine.values import Value
from app.ports import AcceptedCommand, DuplicateError, Run, StoreUnavailableError, WorkflowHead
from app.services import slots
from app.services.commits import first, over_limit
from app.services.committing import follow_up
from app.services.delivery import by_key, deliver
from app.services.errors import Detail, ServiceError
from app.services.facts import TurnReply, TurnRequest
from app.services.given import check_sizes, given_input
from app.services.owner import perform
from app.services.pins import reach_of
from app.services.world import World

DOUBTS = 3


class Starts:
    """Starts runs: one find (the workflow's head) and one insert; graphs come from the cache."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def start(self, request: TurnRequest) -> TurnReply:
        """Turn 1. Raises ServiceError."""
        start_key = _start_key(request)
        try:
            run = await self._prepare(request, start_key)
        except ServiceError:
            replay = await self.replay(request)
            if replay is None:
                raise
            return replay
        try:
            await self._insert(run)
        except DuplicateError as error:
            if run.limited:
                await self._world.slots.release(run.id, 1)
            replay = await self.replay(request)
            if replay is None:
                raise ServiceError("unavailable", "this start lost a race; try again", retry_after=1) from error
            return replay
        await follow_up(self._world, run, run)
        perform(self._world, run, run.fence)
        if run.open is None:
            return TurnReply(run_id=run.id, turn=1, body=run.tail[0].reply or b"")
        return await deliver(self._world, run.id, 1, request.wait_seconds)

    async def _insert(self, run: Run) -> None:
        for doubts in range(DOUBTS):
            try:
                await self._world.runs.insert(run)
                return
            except StoreUnavailableError:
                await self._world.clock.sleep(0.1 * (doubts + 1))
            except DuplicateError as error:
                if doubts and error.field == "_id":  # the insert before went through, only its reply was lost
                    return
                if not doubts or not await self._is_mine(run):
                    raise
                return
        raise ServiceError(
            "unavailable", "the outcome is unknown: retry with the same key", run_id=run.id, retry_after=1
        )

    async def _is_mine(self, run: Run) -> bool:
        found = await self._world.runs.read(run.id)
        return found is not None and found.commit_id == run.commit_id

    async def replay(self, request: TurnRequest) -> TurnReply | None:
        """The reply of the start made under this key before; None: none was. Raises idempotency_mismatch."""
        start_key = _start_key(request)
        if start_key is None:
            return None
        run = await self._world.runs.read_by_start_key(start_key)
        if run is None or run.workspace != request.workspace or run.deleted_at or request.key is None:
            return None
        found = await by_key(self._world, run, request.key)
        if found is None:
            return None
        if found[1].body_hash != request.body_hash:
            raise ServiceError("idempotency_mismatch", "this Idempotency-Key was used with another body", run_id=run.id)
        return await deliver(self._world, run.id, found[0].number, request.wait_seconds, replayed=True)

    # ---- the run before it is stored

    async def _prepare(self, request: TurnRequest, start_key: str | None) -> Run:
        head = await self._world.workflows.head(request.workflow_id)
        if head is None or head.deleted_at or head.workspace != request.workspace:
            raise ServiceError("not_found", "no such workflow")
        version = head.active_version if request.version is None else request.version
        graph = await self._graph(head, version)
        if request.command not in (None, "start"):
            raise ServiceError("invalid_request", f"there is no run to {request.command}: run_id is missing")
        inputs = self._inputs(request, graph)
        reach = await reach_of(self._world, head, version, graph)
        command = self._command(request, version, inputs, reach.versions)
        try:
            made = step(reach.graphs, None, command, self._world.limits)
        except RefusedError as error:
            raise ServiceError("invalid_value", str(error)) from error
        run = Run(
            id=command.run_id,
            workspace=head.workspace,
            workflow_id=head.id,
            version=version,
            pinned=reach.pinned,
            number=await self._world.runs.next_number(),
            mode="interactive",
            user=request.user,
            revision=0,
            commit_id=self._world.ids.commit_id(),
            turn=0,
            status="not_started",
            termination_source=None,
            state=b"",
            next_seq=1,
            start_key=start_key,
            created_at=command.now,
            updated_at=command.now,
        )
        stored = self._within_limits(request, run, made, reach.graphs, command)
        if stored.open is None:
            return stored
        return replace(stored, limited=await slots.take(self._world, head, stored))

    def _command(
        self, request: TurnRequest, version: int, inputs: dict[str, Value], versions: dict[str, int]
    ) -> messages.Start:
        return messages.Start(
            now=self._world.now(),
            run_id=self._world.ids.object_id(),
            workflow_id=request.workflow_id,
            version=version,
            user=request.user,
            inputs=inputs,
            variables=request.variables,
            message=request.message,
            welcome=request.welcome_message,
            start_node=request.start_node,
            starter=request.voter,
            versions=versions,
        )

    async def _graph(self, head: WorkflowHead, version: int) -> Graph:
        graph = await self._world.graphs.get(head.id, version)
        if graph is not None:
            return graph
        stored = await self._world.workflows.version(head.id, version)
        if stored is None:
            raise ServiceError("not_found", f"no version {version} of this workflow")
        raise ServiceError("invalid_graph", f"version {version} was saved with faults and cannot run")

    def _inputs(self, request: TurnRequest, graph: Graph) -> dict[str, Value]:
        if request.start_node is not None and request.start_node not in graph.nodes:
            detail = Detail("start_node_logical_id", "names no node of this version")
            raise ServiceError("invalid_value", "no such node", details=[detail])
        check_sizes(request.inputs, self._world.limits.text_bytes, "dynamic_variables")
        check_sizes(request.variables, self._world.limits.text_bytes, "runtime_variables")
        told: dict[str, Value] = {"message": request.message, "welcome_message": request.welcome_message}
        check_sizes(told, self._world.limits.text_bytes, "run_input")
        inputs, faults = graph.start.kind.accept(request.inputs)
        if faults:
            details = [Detail(f"dynamic_variables.{fault.path}", fault.message) for fault in faults]
            raise ServiceError("invalid_input", "the start inputs do not fit", details=details)
        return inputs

    def _within_limits(
        self, request: TurnRequest, run: Run, made: Step, graphs: dict[str, Graph], command: messages.Start
    ) -> Run:
        accepted = AcceptedCommand(request.body_hash, run.commit_id, request.key)
        stored = first(self._world, run, made, accepted, given_input(request))
        why = over_limit(self._world, stored)
        if why is None:
            return stored
        failed = fail_start(graphs, command, "limit", why)
        return first(self._world, run, failed, accepted, given_input(request))


def _start_key(request: TurnRequest) -> str | None:
    return None if request.key is None else f"{request.workflow_id}:{request.key}"
