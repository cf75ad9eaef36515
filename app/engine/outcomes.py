"""What becomes of a visit: it leaves, ends its branch, waits for outside work, a timer or a person, or fails."""

from __future__ import annotations

from typing import assert_never

import msgspec

from app.engine import inner, messages as said
from app.engine.context import NodeContext
from app.engine.graph import Retry
from app.engine.kind import (
    Ask,
    Await,
    Beside,
    Body,
    Child,
    EndBranch,
    Fail,
    Leave,
    NodeError,
    Outcome,
    Part,
    Sleep,
    Woke,
)
from app.engine.state import Asking, BackingOff, Effect, Entering, Gathering, Question, Received, Sleeping, Working
from app.engine.talk import MODEL
from app.engine.values import UnstorableValueError, Value, measure, pack
from app.engine.walk import OpenFrame, OpenVisit, Walk

SANDBOXES = frozenset({"code", "render"})
DEFAULT_RETRIES = {  # by operation (graph.md, Retry); whatever else is tried once
    MODEL: Retry(max_attempts=3, delay_seconds=1, backoff=2),
    "code": Retry(max_attempts=2),
    "render": Retry(max_attempts=2),
    "keep_results": Retry(max_attempts=10, delay_seconds=1, backoff=1.5),
    "kept_results": Retry(max_attempts=10, delay_seconds=1, backoff=1.5),
}


def settle(walk: Walk, frame: OpenFrame, visit: OpenVisit, outcome: Outcome) -> None:
    """Does what the node wants next."""
    match outcome:
        case Leave(output=output, handle=handle):
            _leave(walk, frame, visit, output, handle)
        case EndBranch(outputs=outputs):
            _end_branch(walk, frame, visit, outputs)
        case Await():
            bound = visit.node.timeout_seconds
            if outcome.operation == "render" and bound is not None:
                bound = min(bound, outcome.timeout_seconds)  # a long bound is for what the node does then
            visit.wait = Working(_effect(walk, frame, visit, outcome, bound))
        case Sleep(until=until) if until <= walk.now:
            walk.wake(frame, visit, Received(Woke()))
        case Sleep(until=until):
            visit.wait = Sleeping(until, walk.now)
        case Ask():
            _ask(walk, frame, visit, outcome)
        case Beside(parts=parts):
            visit.wait = Gathering()
            for part in parts:
                if not walk.ended:
                    _begin(walk, frame, visit, part)
        case Fail():
            _fail(walk, frame, visit, outcome)
        case _:
            assert_never(outcome)


def _begin(walk: Walk, frame: OpenFrame, visit: OpenVisit, part: Part) -> None:
    match part.work:
        case Await():
            walk.put_beside(frame, visit, Working(_effect(walk, frame, visit, part.work)), part.name)
        case Ask():
            _ask(walk, frame, walk.put_beside(frame, visit, Gathering(), part.name), part.work)
        case Body() | Child():
            inner.begin(walk, frame, walk.put_beside(frame, visit, Gathering(), part.name), part.work)
        case _:
            assert_never(part.work)


def _leave(walk: Walk, frame: OpenFrame, visit: OpenVisit, output: Value, handle: str) -> None:
    if fault := _count_bytes(walk, output):
        _fail(walk, frame, visit, fault)
        return
    frame.outputs[visit.node.id] = output
    walk.emit_of(frame, visit, said.NodeFinished, output=output, handle=handle, skipped=visit.node.disabled)
    walk.leave(frame, visit, handle)


def _end_branch(walk: Walk, frame: OpenFrame, visit: OpenVisit, outputs: dict[str, Value]) -> None:
    if fault := _count_bytes(walk, outputs):
        _fail(walk, frame, visit, fault)
        return
    frame.results.update(outputs)
    walk.remove(frame, visit)
    walk.emit_of(frame, visit, said.NodeFinished, output=outputs)


def _count_bytes(walk: Walk, output: Value) -> Fail | None:
    """Counts an output among the events' bytes. A Fail: it cannot be one."""
    if output is None:
        return None
    try:
        size = measure(output)
    except UnstorableValueError as error:
        return Fail("invalid_value", f"its output cannot be kept: {error}")
    if size > walk.limits.output_bytes:
        return Fail("too_large", f"its output is over {walk.limits.output_bytes} bytes")
    walk.event_bytes += size
    return None


def _effect(walk: Walk, frame: OpenFrame, visit: OpenVisit, wanted: Await, bound: float | None = None) -> Effect:
    """The visit's next one. `bound`: in seconds, instead of what is wanted."""
    visit.effects += 1
    seq = None
    if wanted.operation == MODEL:
        seq = walk.next_seq
        walk.emit_of(frame, visit, said.ModelCalled, streamed=wanted.streamed)
    return Effect(
        id=f"{frame.path}{visit.node.id}#{visit.number}.{visit.effects}",
        operation=wanted.operation,
        request=wanted.request,
        once=wanted.once,
        timeout_seconds=wanted.timeout_seconds if bound is None else bound,
        seq=seq,
        since=0.0 if seq is None else walk.now,
    )


def _ask(walk: Walk, frame: OpenFrame, visit: OpenVisit, ask: Ask) -> None:
    question = Question(
        pause_id=f"pause_{walk.next_pause}",
        kind=ask.kind,
        prompt=ask.prompt,
        schema=ask.schema,
        choices=ask.choices,
        expires_at=ask.expires_at,
        ballot=ask.ballot,
    )
    walk.next_pause += 1
    walk.event_bytes += len(ask.prompt) + sum(len(choice.id) + len(choice.title) for choice in ask.choices)
    if ask.ballot is not None:
        walk.event_bytes += len(pack(ask.ballot))
    visit.wait = Asking(question, walk.now)
    walk.emit_of(frame, visit, said.QuestionOpened, **msgspec.structs.asdict(question))
    if visit.holder is not None:
        return
    frame.remember("assistant", question.prompt)
    beside = visit.node.kind.asked(NodeContext(walk, frame, visit), question.pause_id, ask)
    if beside is not None:
        walk.put_beside(frame, visit, Working(_effect(walk, frame, visit, beside)))


# ---- failures


def _fail(walk: Walk, frame: OpenFrame, visit: OpenVisit, fail: Fail) -> None:
    if fail.retryable and retry(walk, frame, visit, fail.error_type):
        return
    node = visit.node
    error: dict[str, Value] = {**fail.details, "error_type": fail.error_type, "error_message": fail.error_message}
    match node.on_error:
        case "branch":
            _go_on(walk, frame, visit, fail, error, "error")
        case "default":
            default = _default_output(walk, frame, visit)
            if isinstance(default, Fail):
                _fail_run(walk, frame, visit, default)
            else:
                _go_on(walk, frame, visit, fail, default, "out")
        case "fail":
            _fail_run(walk, frame, visit, fail)
        case _:
            assert_never(node.on_error)


def _go_on(walk: Walk, frame: OpenFrame, visit: OpenVisit, fail: Fail, output: Value, handle: str) -> None:
    frame.outputs[visit.node.id] = output
    walk.emit_of(
        frame,
        visit,
        said.NodeFinished,
        output=output,
        handle=handle,
        error_type=fail.error_type,
        error_message=fail.error_message,
    )
    walk.leave(frame, visit, handle)


def _fail_run(walk: Walk, frame: OpenFrame, visit: OpenVisit, fail: Fail) -> None:
    walk.emit_of(frame, visit, said.NodeFinished, error_type=fail.error_type, error_message=fail.error_message)
    message = f"node {frame.path + visit.node.id!r} failed: {fail.error_message}"
    if frame.outer is not None:
        inner.fail(walk, frame, fail.error_type, message)
        return
    source = "expired" if fail.error_type == "expired" else "execution_error"
    walk.fail(source, fail.error_type, message)


def _default_output(walk: Walk, frame: OpenFrame, visit: OpenVisit) -> Value | Fail:
    try:
        output = NodeContext(walk, frame, visit).value(visit.node.default_output)
    except NodeError as error:
        return Fail(error.error_type, f"default_output: {error.error_message}")
    return _count_bytes(walk, output) or output


def retry(
    walk: Walk,
    frame: OpenFrame,
    visit: OpenVisit,
    error_type: str,
    effect: Effect | None = None,
    least_delay: float = 0.0,
) -> bool:
    """Sets the next attempt up if there is one left: of `effect`, or of the node itself when None, not before
    `least_delay` seconds. While the run is about to be held no attempt starts."""
    if not has_attempt_left(visit, effect):
        return False
    policy = _policy(visit, effect)
    failed = _failed(visit, effect)
    delay = max(policy.delay_seconds * policy.backoff ** (failed - 1), least_delay)
    walk.emit_of(frame, visit, said.NodeRetried, attempt=failed, error_type=error_type, delay_seconds=delay)
    again = None
    if effect is None:
        visit.failures += 1
    else:
        telling = effect.telling + (effect.seq is not None)
        again = msgspec.structs.replace(effect, attempt=effect.attempt + 1, telling=telling)
    if delay or walk.pausing:
        visit.wait = BackingOff(walk.now + delay, again)
    else:
        start_attempt(walk, frame, visit, again)
    return True


def has_attempt_left(visit: OpenVisit, effect: Effect | None) -> bool:
    """Whether one more is allowed, of `effect` or of the node itself when None."""
    return _failed(visit, effect) < _policy(visit, effect).max_attempts


def _policy(visit: OpenVisit, effect: Effect | None) -> Retry:
    """The node's `retry`, else what its operation has by default. A sandbox fails retryably only when it crashed: it is
    tried once more in any case."""
    default = DEFAULT_RETRIES.get(effect.operation, Retry()) if effect is not None else Retry()
    policy = visit.node.retry or default
    if effect is not None and effect.operation in SANDBOXES and policy.max_attempts < default.max_attempts:
        return default
    return policy


def _failed(visit: OpenVisit, effect: Effect | None) -> int:
    return visit.failures + 1 if effect is None else effect.attempt


def start_attempt(walk: Walk, frame: OpenFrame, visit: OpenVisit, effect: Effect | None) -> None:
    """The next attempt of the effect, or of the node itself, begins."""
    if effect is None:
        walk.wake(frame, visit, Entering())
    else:
        visit.wait = Working(effect)
