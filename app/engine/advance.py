"""Walks until every branch waits, or the run is over or about to be held.

The order is fixed: the visit with the lowest number goes first; a join that waits for all fires when nothing that could
still reach it is under way; a frame without visits and arrivals is over. What can never move is a failure of the run.
"""

from __future__ import annotations

from heapq import heappop

from app.engine import inner, messages as said, rich
from app.engine.context import NodeContext
from app.engine.kind import Await, Fail, Leave, NodeError, Outcome, Succeeded
from app.engine.outcomes import settle
from app.engine.state import Entering, Failed, Received
from app.engine.walk import OpenFrame, OpenVisit, Walk

RENDER_SECONDS = 30.0  # of one attempt, waiting for a free renderer included


def advance(walk: Walk) -> None:
    """Executes whatever can be executed now."""
    while not walk.ended and not walk.pausing:
        if walk.ready:
            _, frame, visit = heappop(walk.ready)
            _execute(walk, frame, visit)
        elif not _fire_join(walk) and not inner.end_one(walk):
            _conclude(walk)
            return


def _execute(walk: Walk, frame: OpenFrame, visit: OpenVisit) -> None:
    if visit.holder is not None:
        _notice(walk, frame, visit, visit.holder)
    else:
        frame.last_node_id = visit.node.id
        if isinstance(visit.wait, Entering) and not visit.failures and not _count(walk, frame, visit):
            return
        settle(walk, frame, visit, _outcome(walk, frame, visit))
    if walk.event_bytes > walk.limits.events_bytes and not walk.ended:
        walk.fail("limit", "limit", f"a turn may make {walk.limits.events_bytes} bytes of events")
    if not walk.ended and walk.tokens() > walk.limits.run_tokens:
        walk.fail("limit", "token_limit", f"a run may use {walk.limits.run_tokens} tokens")


def _notice(walk: Walk, frame: OpenFrame, side: OpenVisit, number: int) -> None:
    """A side visit has ended: its holder is told."""
    holder = next(visit for visit in frame.visits if visit.number == number)
    context = NodeContext(walk, frame, holder)
    walk.remove(frame, side)
    assert isinstance(side.wait, (Failed, Received)), "a side visit is never entered"
    ended = _failure(side.wait) if isinstance(side.wait, Failed) else side.wait.reply
    if side.part is None:
        holder.node.kind.noticed(context, ended)
        return
    try:
        outcome = holder.node.kind.part_ended(context, side.part, ended)
    except NodeError as error:
        outcome = Fail(error.error_type, error.error_message)
    settle(walk, frame, holder, outcome)


def _failure(wait: Failed) -> Fail:
    return Fail(wait.error_type, wait.error_message, details=wait.details)


def _count(walk: Walk, frame: OpenFrame, visit: OpenVisit) -> bool:
    """Counts the execution; False: a bound was crossed and the run is over."""
    path = frame.path + visit.node.id
    walk.executed += 1
    walk.executions += 1
    executions = _executions(walk, frame)
    executed = walk.since_input[path] = walk.since_input.get(path, 0) + 1
    if executions > walk.limits.turn_executions:
        walk.abort(f"a turn may execute {walk.limits.turn_executions} nodes, and so may each item or round in it")
        return False
    if executed > walk.limits.node_executions:
        walk.abort(f"node {path!r} may be executed {walk.limits.node_executions} times without input from outside")
        return False
    walk.emit_of(frame, visit, said.NodeStarted)
    return True


def _executions(walk: Walk, frame: OpenFrame) -> int:
    """Counts one more for the item or round in which the frame is, else for the run."""
    one: OpenFrame | None = frame
    while one is not None and one.index is None:
        one = one.outer
    if one is None:
        return walk.executions - walk.inner_executions
    walk.inner_executions += 1
    one.executions += 1
    return one.executions


def _outcome(walk: Walk, frame: OpenFrame, visit: OpenVisit) -> Outcome:
    wait = visit.wait
    if visit.node.disabled:
        return Leave()
    try:
        if visit.node.rich and visit.rendered is None:
            return _render(walk, frame, visit)
        context = NodeContext(walk, frame, visit)
        if isinstance(wait, Failed):
            if wait.call is not None:
                walk.emit_of(
                    frame,
                    visit,
                    said.ModelFailed,
                    call_seq=wait.call.seq,
                    error_type=wait.error_type,
                    error_message=wait.error_message,
                )
            return visit.node.kind.failed(context, _failure(wait))
        if isinstance(wait, Received):
            return visit.node.kind.receive(context, wait.reply)
        return visit.node.kind.enter(context)
    except NodeError as error:
        return Fail(error.error_type, error.error_message)


def _render(walk: Walk, frame: OpenFrame, visit: OpenVisit) -> Outcome:
    """The node's rich texts are rendered outside, all at once, before it is entered."""
    match visit.wait:
        case Entering():
            request = rich.request_of(visit.node.rich, NodeContext(walk, frame, visit), walk.limits.text_bytes)
            return Await("render", request, once=False, timeout_seconds=RENDER_SECONDS)
        case Failed(error_type=error_type, error_message=message, details=details):
            return Fail(error_type, message, details=details)
        case Received(reply=Succeeded(result=list() as texts)) if len(texts) == len(visit.node.rich):
            visit.rendered = dict(zip(visit.node.rich, texts, strict=True))
            return visit.node.kind.enter(NodeContext(walk, frame, visit))
        case _:
            return Fail("invalid_output", "the renderer of templates gave no list of as many texts")


def _fire_join(walk: Walk) -> bool:
    """Every token at a join is consumed by one execution, when no other can come."""
    for frame in walk.frames:
        for node_id in frame.arrivals:
            before = frame.graph.ancestors(node_id)
            under_way = any(visit.node.id in before for visit in frame.visits)
            if not under_way and not any(other in before for other in frame.arrivals):
                del frame.arrivals[node_id]
                walk.arrive(frame, frame.graph.nodes[node_id])
                return True
    return False


def _conclude(walk: Walk) -> None:
    """Nothing is ready and no join fires: the run waits, is complete, or stuck."""
    stuck = any(frame.arrivals and not frame.visits for frame in walk.frames)
    if any(frame.visits for frame in walk.frames) and not stuck:
        return
    if stuck:
        walk.fail("execution_error", "stuck", "nothing in this run can move any more")
    else:
        walk.complete()
