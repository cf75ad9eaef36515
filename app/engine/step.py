"""`step(graphs, state, command) -> Step`: the pure function that moves a run. Deterministic, synchronous, no I/O.

A command opens a turn when the run is at rest, else it joins the one under way; the step that brings the run to rest
closes the turn with TurnEnded and one of ReadyForInput, RunPaused, RunFailed, RunEnded. A refused command raises
RefusedError and changes nothing. Stop and Abort need no graph: a run whose graph is gone can still be ended.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from app.engine import messages as said
from app.engine.advance import advance
from app.engine.ballot import bar, read
from app.engine.commands import apply
from app.engine.graph import Graph, graph_at, graph_key
from app.engine.messages import (
    Abort,
    Answer,
    AnyCommand,
    AnyEvent,
    DeadlinePassed,
    EffectFailed,
    EffectSucceeded,
    GivenAnswer,
    Pause,
    Resume,
    Start,
    Stop,
)
from app.engine.state import (
    FORMAT,
    Effect,
    ExecutorState,
    Frame,
    Limits,
    Origin,
    Question,
    Working,
    at_rest,
    effects,
    next_deadline,
    questions,
)
from app.engine.values import UnstorableValueError, Value, measure
from app.engine.walk import Walk


class RefusedError(Exception):
    """The command cannot be applied to the run as it stands. `code` as in interactive.md's table where that has one."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Step(msgspec.Struct, frozen=True):
    """The new state, the events of this step, and the effects that it made."""

    state: ExecutorState
    events: tuple[AnyEvent, ...]
    effects: tuple[Effect, ...]


def step(
    graphs: Mapping[str, Graph], state: ExecutorState | None, command: AnyCommand, limits: Limits | None = None
) -> Step:
    """Applies one command. `state` None takes only a Start. Raises RefusedError."""
    limits = limits or Limits()
    if isinstance(command, Start):
        if state is not None:
            raise RefusedError("run_started", "the run has been started")
        walk, state = _begun(graphs, command, limits)
        root = walk.frames[0]
        walk.arrive(root, root.graph.nodes[command.start_node] if command.start_node else root.graph.start)
    else:
        if state is None:
            raise RefusedError("not_started", "the run has not been started")
        if state.ended:
            raise RefusedError("run_ended", f"the run has ended: {state.ended}")
        if _is_idle(state, command, limits):
            return Step(state, (), ())
        _refuse(graphs, state, command)
        if at_rest(state):
            state = _next_turn(state, command.now)
        walk = Walk({} if isinstance(command, (Stop, Abort)) else graphs, state, command.now, limits)
        apply(walk, _storable(command))
    advance(walk)
    return _close(walk, state)


def fail_start(graphs: Mapping[str, Graph], command: Start, source: str, message: str) -> Step:
    """The run that `command` begins, failed in its first turn before its first node. Raises RefusedError."""
    walk, state = _begun(graphs, command, Limits())
    walk.fail(source, source, message)
    return _close(walk, state)


def is_due(state: ExecutorState, now: float, limits: Limits) -> bool:
    """Would a DeadlinePassed change anything?"""
    due = next_deadline(state, limits)
    return due is not None and due <= now


# ---- a turn opens


def _next_turn(state: ExecutorState, now: float) -> ExecutorState:
    return replace(
        state,
        frames=state.frames[:1] + tuple([replace(frame, executions=0) for frame in state.frames[1:]]),
        turn=state.turn + 1,
        turn_started_at=now,
        executions=0,
        inner_executions=0,
        worked_seconds=0.0,
        latencies=(),
        tool_calls=0,
    )


def _begun(graphs: Mapping[str, Graph], command: Start, limits: Limits) -> tuple[Walk, ExecutorState]:
    """Turn 1 under way, before the first node."""
    key = graph_key(command.workflow_id, command.version)
    if key not in graphs:
        raise RefusedError("graph_mismatch", f"the graph {key} is not there")
    if command.start_node is not None and command.start_node not in graphs[key].nodes:
        raise RefusedError("unknown_node", f"there is no node {command.start_node!r} to start at")
    told: list[Value] = [command.message, command.welcome, command.user, command.starter]
    _refuse_unstorable([command.inputs, command.variables, *told])
    origin = Origin(
        run_id=command.run_id,
        workflow_id=command.workflow_id,
        version=command.version,
        user=command.user,
        started_at=command.now,
        starter=command.starter,
        versions=command.versions,
    )
    state = ExecutorState(
        format=FORMAT,
        origin=origin,
        frames=(Frame(graph=key, inputs=command.inputs, variables=command.variables),),
        turn=1,
        turn_started_at=command.now,
        message=command.message,
    )
    walk = Walk(graphs, state, command.now, limits)
    walk.emit(said.RunStarted)
    walk.emit(said.FrameStarted, path="")
    if command.welcome is not None:
        walk.emit(said.Welcomed, text=command.welcome)
        walk.frames[0].remember("assistant", command.welcome)
    if command.message is not None:
        walk.emit(said.UserSpoke, text=command.message)
        walk.frames[0].remember("user", command.message)
    return walk, state


def _is_idle(state: ExecutorState, command: AnyCommand, limits: Limits) -> bool:
    """Nothing is due, or the effect is no longer in flight: no turn, no event, the same state."""
    match command:
        case DeadlinePassed(now=now):
            return not is_due(state, now, limits)
        case EffectSucceeded(effect_id=effect_id, attempt=attempt) | EffectFailed(effect_id=effect_id, attempt=attempt):
            return not any(effect.id == effect_id and attempt in (None, effect.attempt) for effect in effects(state))
        case _:
            return False


# ---- refusals


def _refuse(graphs: Mapping[str, Graph], state: ExecutorState, command: AnyCommand) -> None:
    held = state.held_at is not None
    match command:
        case Answer() if held:
            raise RefusedError("run_paused", "the run is paused; resume it first")
        case Answer() if not at_rest(state):
            raise RefusedError("turn_in_progress", "the run is not waiting for input")
        case Answer(answers=()):
            raise RefusedError("missing_answer", "the run waits for an answer, and none was given")
        case Pause() if held or state.pausing:
            raise RefusedError("already_paused", "the run is paused")
        case Resume() if not held:
            raise RefusedError("not_paused", "the run is not paused")
        case _:
            pass
    if isinstance(command, (Answer, Resume)):
        _refuse_answers(state, command)
    if not isinstance(command, (Stop, Abort)):
        _refuse_strange_graphs(graphs, state)


def _refuse_answers(state: ExecutorState, command: Answer | Resume) -> None:
    opened = {question.pause_id: question for _, _, question in questions(state)}
    stood = 0.0 if state.held_at is None else max(0.0, command.now - state.held_at)
    for given in command.answers:
        question = opened.pop(given.pause_id, None)
        if question is None:
            raise RefusedError("pause_already_answered", f"{given.pause_id} is not open, or answered twice")
        _refuse_misfit(state, question, given, command.now - stood)
    brought: list[Value] = [[given.value, given.text, given.voter] for given in command.answers]
    _refuse_unstorable([command.variables, *brought])


def _refuse_misfit(state: ExecutorState, question: Question, given: GivenAnswer, now: float) -> None:
    if question.expires_at is not None and question.expires_at <= now:
        raise RefusedError("pause_expired", f"{question.pause_id} has expired")
    if question.ballot is not None:
        if barred := bar(question.ballot, given.voter, state.origin.starter):
            raise RefusedError(*barred)
        if misfits := read(question.ballot, given.value)[1]:
            raise RefusedError("invalid_answer", f"{question.pause_id}: {misfits}")
    if question.choices and given.value not in [choice.id for choice in question.choices]:
        raise RefusedError("invalid_answer", f"{question.pause_id} takes one of its choices")


def _refuse_unstorable(values: list[Value]) -> None:
    try:
        measure(values)
    except UnstorableValueError as error:
        raise RefusedError("unstorable_value", str(error)) from error


def _refuse_strange_graphs(graphs: Mapping[str, Graph], state: ExecutorState) -> None:
    for frame in state.frames:
        graph = graph_at(graphs, frame.graph)
        known = graph.nodes if graph is not None else {}
        if (
            graph is None
            or not all(v.node_id in known for v in frame.visits)
            or not frame.arrivals.keys() <= known.keys()
        ):
            raise RefusedError("graph_mismatch", f"the graph {frame.graph} is not the one that the run began with")


def _storable(command: AnyCommand) -> AnyCommand:
    """A result that cannot be kept is a failure of its effect."""
    if isinstance(command, EffectSucceeded):
        try:
            measure(command.result)
        except UnstorableValueError as error:
            return EffectFailed(
                now=command.now, effect_id=command.effect_id, error_type="invalid_output", error_message=str(error)
            )
    return command


# ---- a turn closes


def _close(walk: Walk, before: ExecutorState) -> Step:
    """Freezes the walk; ends the turn when the run has come to rest."""
    if walk.pausing and not _once_in_flight(walk):
        walk.pausing, walk.held_at = False, walk.now
    walk.set_work_clock()
    state = walk.freeze(before)
    if at_rest(state):
        _end_turn(walk, state)
        state = replace(state, next_seq=walk.next_seq)
    known = {(effect.id, effect.attempt) for effect in effects(before)}
    fresh = tuple(effect for effect in effects(state) if (effect.id, effect.attempt) not in known)
    return Step(state, tuple(walk.events), fresh)


def _once_in_flight(walk: Walk) -> bool:
    waits = [visit.wait for frame in walk.frames for visit in frame.visits]
    return any(isinstance(wait, Working) and wait.effect.once for wait in waits)


def _end_turn(walk: Walk, state: ExecutorState) -> None:
    over = said.FrameEnded if state.ended else said.FramePaused
    for frame in reversed(walk.frames):  # the inner ones first
        if frame.index is None:
            walk.emit(over, path=frame.path, last_node_id=frame.last_node_id)
    walk.emit(
        said.TurnEnded,
        turn=state.turn,
        executions=state.executions,
        started_at=state.turn_started_at,
        latencies=state.latencies,
        tool_calls=state.tool_calls,
    )
    if state.ended == "failed":
        walk.emit(said.RunFailed, error_type=walk.error_type, error_message=state.error or "", spent=state.spent)
    elif state.ended:
        walk.emit(said.RunEnded, status=state.ended, outputs=state.outputs, spent=state.spent)
    else:
        walk.emit(said.ReadyForInput if state.held_at is None else said.RunPaused)
