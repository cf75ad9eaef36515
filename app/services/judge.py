"""What a request means to a run as it stands: a refusal, a reply that uses no turn, or a command for the engine.

The order is the contract's: turn fence, ended, paused or busy, the pause, the answer.
"""

from __future__ import annotations

from app.engine.messages import Answer, AnyCommand, Pause, Resume, Stop
from app.engine.state import ExecutorState, at_rest, questions
from app.engine.step import RefusedError
from app.engine.values import Value
from app.ports import Run
from app.services.answers import check_open, has_answer, pause_ids, resolve
from app.services.commits import facts_of
from app.services.errors import Code, ServiceError
from app.services.facts import TurnFacts, TurnReply, TurnRequest
from app.services.given import check_sizes
from app.services.world import World

_REFUSALS: dict[str, Code] = {
    "run_paused": "run_paused",
    "not_paused": "not_paused",
    "pause_already_answered": "pause_already_answered",
    "run_ended": "run_ended",
    "missing_answer": "missing_answer",
    "invalid_answer": "invalid_answer",
    "pause_expired": "pause_expired",
    "already_voted": "already_voted",
    "not_an_approver": "not_an_approver",
    "self_approval": "self_approval",
    "graph_mismatch": "graph_mismatch",
    "unstorable_value": "invalid_value",
}


class Tries:
    """One command over its tries: the pauses that it aims at, fixed at the first read at rest, and `commits`, the ids of
    what it wrote, each with the fence of a lease that it took and that nobody performs yet."""

    def __init__(self) -> None:
        self.aim: tuple[str, ...] | None = None
        self.commits: dict[str, int | None] = {}
        self.doubts = 0

    def take_aim(self, state: ExecutorState) -> None:
        if self.aim is None and at_rest(state) and not state.ended:
            self.aim = pause_ids(state)


class Judge:
    """Raises ServiceError, always with the run as it stands."""

    def __init__(self, world: World) -> None:
        self._world = world

    def finished(self, request: TurnRequest, run: Run, state: ExecutorState) -> TurnReply | None:
        """The reply of a command that needs no turn; None: it needs one. Raises turn_mismatch, run_ended, pause_expired."""
        joins = request.command in ("stop", "pause") and run.open is not None
        if request.expected_turn is not None and request.expected_turn != run.turn + (0 if joins else 1):
            message = f"expected turn {request.expected_turn}, but turn {run.turn} is the last"
            raise ServiceError("turn_mismatch", message, facts=self.facts(run, state))
        is_stopped = bool(state.ended) and request.command == "stop"
        is_paused = not state.ended and (state.held_at is not None or state.pausing)
        if is_stopped or (request.command == "pause" and is_paused):
            return TurnReply(run_id=run.id, turn=run.turn, body=self._world.render(self.facts(run, state)))
        if state.ended:
            late = state.termination_source == "expired" and has_answer(request)
            code: Code = "pause_expired" if late else "run_ended"
            raise ServiceError(code, f"the run has ended: {state.ended}", facts=self.facts(run, state))
        return None

    def command(self, request: TurnRequest, run: Run, state: ExecutorState, tries: Tries) -> AnyCommand:
        """What the engine is to do. Raises what the contract's table names."""
        now, held, answered = self._world.now(), state.held_at is not None, has_answer(request)
        if request.command == "stop":
            return Stop(now=now)
        if request.command == "pause":
            return Pause(now=now)
        if request.command == "resume" and not answered:
            if held:
                return Resume(now=now, variables=self._variables(request, run, state))
            raise self.refused(RefusedError("not_paused", "the run is not paused"), run, state)
        if held and request.command != "resume":
            raise self.refused(RefusedError("run_paused", "the run is paused; resume it first"), run, state)
        if not at_rest(state):
            raise self._busy(request, run, state, tries)
        if not answered:
            message = "the run waits for an answer, and none was given"
            raise ServiceError("missing_answer", message, facts=self.facts(run, state))
        return self._answer(request, run, state, tries)

    def _busy(self, request: TurnRequest, run: Run, state: ExecutorState, tries: Tries) -> ServiceError:
        """An answer to a pause that is known to be closed will not become right by waiting."""
        try:
            check_open(request.answers if request.answers is not None else tries.aim or (), state)
        except ServiceError as error:
            return self._with_run(error, run, state)
        return self.refused(RefusedError("turn_in_progress", "the run is not waiting for input"), run, state)

    def _answer(self, request: TurnRequest, run: Run, state: ExecutorState, tries: Tries) -> AnyCommand:
        make = Answer if state.held_at is None else Resume
        try:
            if not questions(state):
                raise ServiceError("unknown_pause", "the run asks nothing; resume it without an answer")
            answers = resolve(request, state, tries.aim, self._world.checker, self._world.limits.text_bytes)
        except ServiceError as error:
            raise self._with_run(error, run, state) from None
        return make(now=self._world.now(), answers=answers, variables=self._variables(request, run, state))

    def _variables(self, request: TurnRequest, run: Run, state: ExecutorState) -> dict[str, Value]:
        try:
            check_sizes(request.variables, self._world.limits.text_bytes, "runtime_variables")
        except ServiceError as error:
            raise self._with_run(error, run, state) from None
        return dict(request.variables)

    def refused(self, error: RefusedError, run: Run, state: ExecutorState) -> ServiceError:
        """The engine's refusal as one of ours."""
        code = _REFUSALS.get(error.code, "turn_in_progress")
        busy = 1 if code == "turn_in_progress" else None
        return ServiceError(code, str(error), facts=self.facts(run, state), retry_after=busy)

    def _with_run(self, error: ServiceError, run: Run, state: ExecutorState) -> ServiceError:
        error.facts, error.run_id = self.facts(run, state), run.id
        return error

    def facts(self, run: Run, state: ExecutorState) -> TurnFacts:
        """The run as it stands, without events."""
        return facts_of(run, state, run.turn, ())
