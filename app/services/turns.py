"""A turn: one POST that starts a run, answers it, pauses, resumes or stops it.

Reads the run, replays or refuses, steps, and makes one filtered update. A lost update is looked for by the ids of all
commits that this command has tried; not found, the command is applied again only if exactly the pauses that were open at
its first read at rest are still open.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from app.engine.graph import Graph
from app.engine.messages import Answer, AnyCommand, DeadlinePassed, Pause, QuestionExpired, Resume, Stop
from app.engine.state import ExecutorState, at_rest, decode, questions
from app.engine.step import RefusedError, is_due, step
from app.engine.values import Value
from app.ports import AcceptedCommand, Run, StoreUnavailableError
from app.services import slots
from app.services.answers import has_answer, pause_ids, resolve
from app.services.commits import Planned, facts_of, may_be_used
from app.services.committing import follow_up, make_room, plan_within_limits
from app.services.delivery import by_commit, by_key, deliver
from app.services.errors import Code, ServiceError
from app.services.facts import TurnFacts, TurnReply, TurnRequest
from app.services.follow import either
from app.services.given import check_sizes, given_input
from app.services.owner import perform
from app.services.starts import Starts
from app.services.world import World

DOUBTS = 3  # lost replies of the database before the outcome is called unknown
TRIES = 20  # lost races

_REFUSALS: dict[str, Code] = {
    "run_paused": "run_paused",
    "not_paused": "not_paused",
    "pause_already_answered": "pause_already_answered",
    "run_ended": "run_ended",
}


class _Attempt:
    """One command over its tries: what it aimed at, what it wrote, what expired meanwhile."""

    def __init__(self) -> None:
        self.aim: tuple[str, ...] | None = None
        self.tried: list[str] = []
        self.doubts = 0
        self.expired: set[str] = set()


class Turns:
    """Accepts turns. Raises ServiceError, StoreUnavailableError."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._starts = Starts(world)

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
        attempt = _Attempt()
        for _ in range(TRIES):
            try:
                reply = await self._try(request, run_id, attempt)
            except StoreUnavailableError as error:
                attempt.doubts += 1
                if not attempt.tried or attempt.doubts >= DOUBTS:
                    raise ServiceError("unavailable", _UNKNOWN, run_id=run_id, retry_after=1) from error
                await self._world.clock.sleep(0.1 * attempt.doubts)
                continue
            if reply is not None:
                return reply
        raise ServiceError("unavailable", _UNKNOWN, run_id=run_id, retry_after=1)

    async def _try(self, request: TurnRequest, run_id: str, attempt: _Attempt) -> TurnReply | None:
        """One read, one step, one update. None: the update found no match; try again."""
        run = await self._world.runs.read(run_id)
        if (
            run is None
            or run.deleted_at
            or (run.workspace, run.workflow_id) != (request.workspace, request.workflow_id)
        ):
            raise ServiceError("not_found", "no such run")
        stored = await self._stored(request, run, attempt)
        if stored is not None:
            return stored
        state = decode(run.state)
        graphs = await self._graphs(request, run, state)
        if attempt.aim is None and at_rest(state) and not state.held_at and not state.ended:
            attempt.aim = pause_ids(state)
        now = self._world.now()
        if is_due(state, now, self._world.limits):
            due = step(graphs, state, DeadlinePassed(now=now), self._world.limits)
            expired = {event.pause_id for event in due.events if isinstance(event, QuestionExpired)}
            attempt.expired |= expired
            cause = "expiry" if expired else "timer"
            await self._commit(run, plan_within_limits(self._world, graphs, run, state, due, cause=cause))
            return None
        finished = self._without_a_turn(request, run, state, attempt)
        if finished is not None:
            return finished
        command = self._command(request, run, state, attempt)
        commit_id = self._world.ids.commit_id()
        try:
            made = step(graphs, state, command, self._world.limits)
        except RefusedError as error:
            raise self._refused(error, run, state) from error
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
        attempt.tried.append(commit_id)
        if not await self._commit(run, planned):
            return None
        after = planned.after
        if after.open is None:
            return TurnReply(run_id=run_id, turn=after.turn, body=after.tail[-1].reply or b"")
        return await deliver(self._world, run_id, after.turn, request.wait_seconds)

    async def _graphs(self, request: TurnRequest, run: Run, state: ExecutorState) -> Mapping[str, Graph]:
        graphs = await self._world.graphs.of(run)
        if graphs is not None:
            return graphs
        if state.ended or request.command == "stop":  # needs no graph
            return {}
        message = "the graph is not the one that this run started with; it can only be stopped"
        raise ServiceError("graph_mismatch", message, facts=self._facts(run, state))

    async def _admitted(self, request: TurnRequest, run: Run, planned: Planned) -> Planned:
        """With its places of concurrency limits taken, when the turn will have work in progress. Raises limit_reached."""
        if planned.after.open is None or run.limited or request.command in ("stop", "pause"):
            return planned
        head = await self._world.workflows.head(run.workflow_id)
        if head is None or not await slots.take(self._world, head, planned.after):
            return planned
        planned.commit.set["limited"] = True
        return replace(planned, after=replace(planned.after, limited=True))

    async def _commit(self, run: Run, planned: Planned) -> bool:
        if not await self._world.runs.commit(planned.commit):
            if planned.after.limited and not run.limited:
                await slots.release_if_idle(self._world, run.id)
            return False
        follow_up(self._world, run, planned.after)
        perform(self._world, planned.after)
        return True

    # ---- replay

    async def _stored(self, request: TurnRequest, run: Run, attempt: _Attempt) -> TurnReply | None:
        """The turn that this command made before: by a lost commit, by its key, by `expected_turn` with the same body."""
        if attempt.tried:
            turn = await by_commit(self._world, run, attempt.tried)
            if turn is not None:
                perform(self._world, run)  # the lease may be ours, though the reply was lost
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

    # ---- refusals

    def _without_a_turn(
        self, request: TurnRequest, run: Run, state: ExecutorState, attempt: _Attempt
    ) -> TurnReply | None:
        """Refusals in the contract's order, and the replies that use no turn."""
        joins = request.command in ("stop", "pause") and run.open is not None
        if attempt.expired and has_answer(request) and attempt.expired & _aimed(request, attempt):
            raise ServiceError("pause_expired", "the answer came after its deadline", facts=self._facts(run, state))
        if request.expected_turn is not None and request.expected_turn != run.turn + (0 if joins else 1):
            message = f"expected turn {request.expected_turn}, but turn {run.turn} is the last"
            raise ServiceError("turn_mismatch", message, facts=self._facts(run, state))
        nothing_to_do = (state.ended and request.command == "stop") or (
            request.command == "pause" and not state.ended and (state.held_at is not None or state.pausing)
        )
        if nothing_to_do:
            return TurnReply(run_id=run.id, turn=run.turn, body=self._world.render(self._facts(run, state)))
        if state.ended:
            late = state.termination_source == "expired" and has_answer(request)
            code: Code = "pause_expired" if late else "run_ended"
            raise ServiceError(code, f"the run has ended: {state.ended}", facts=self._facts(run, state))
        return None

    def _command(self, request: TurnRequest, run: Run, state: ExecutorState, attempt: _Attempt) -> AnyCommand:
        now, held = self._world.now(), state.held_at is not None
        if request.command == "stop":
            return Stop(now=now)
        if request.command == "pause":
            return Pause(now=now)
        if request.command == "resume" and not held and not (has_answer(request) and at_rest(state)):
            code = "turn_in_progress" if has_answer(request) else "not_paused"
            raise self._refused(RefusedError(code, "the run is not paused"), run, state)
        if not has_answer(request):
            if request.command == "resume":
                return Resume(now=now, variables=self._variables(request))
            if at_rest(state) and not held:
                raise ServiceError(
                    "missing_answer", "the run waits for an answer, and none was given", facts=self._facts(run, state)
                )
        if held and request.command != "resume":
            raise self._refused(RefusedError("run_paused", "the run is paused; resume it first"), run, state)
        if not at_rest(state):
            raise self._refused(RefusedError("turn_in_progress", "the run is not waiting for input"), run, state)
        if held and not questions(state):
            raise ServiceError("unknown_pause", "the run asks nothing; resume it without an answer", run_id=run.id)
        try:
            answers = resolve(request, state, attempt.aim, self._world.checker, self._world.limits.text_bytes)
        except ServiceError as error:
            error.facts, error.run_id = self._facts(run, state), run.id
            raise
        make = Resume if held else Answer
        return make(now=now, answers=answers, variables=self._variables(request))

    def _variables(self, request: TurnRequest) -> dict[str, Value]:
        check_sizes(request.variables, self._world.limits.text_bytes, "runtime_variables")
        return dict(request.variables)

    def _refused(self, error: RefusedError, run: Run, state: ExecutorState) -> ServiceError:
        code = _REFUSALS.get(error.code, "turn_in_progress")
        busy = 1 if code == "turn_in_progress" else None
        return ServiceError(code, str(error), facts=self._facts(run, state), retry_after=busy)

    def _facts(self, run: Run, state: ExecutorState) -> TurnFacts:
        return facts_of(run, state, run.turn, b"")


_UNKNOWN = "the outcome is unknown: retry with the same key"


def _aimed(request: TurnRequest, attempt: _Attempt) -> set[str]:
    return set(request.answers) if request.answers is not None else set(attempt.aim or ())


def _accepted(request: TurnRequest, commit_id: str) -> AcceptedCommand:
    return AcceptedCommand(request.body_hash, commit_id, request.key)
