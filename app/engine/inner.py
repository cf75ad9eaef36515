"""Graphs that a node executes within its run: its body, once for each item or round, and other workflows. Each is a frame;
a side visit of the node waits for it, and gets what comes of it.
"""

from __future__ import annotations

from app.engine.context import NodeContext
from app.engine.graph import graph_key
from app.engine.kind import Body, Child, NodeError, Succeeded
from app.engine.state import Failed, Frame, Received
from app.engine.values import Value
from app.engine.walk import OpenFrame, OpenVisit, Walk


def begin(walk: Walk, frame: OpenFrame, side: OpenVisit, work: Body | Child) -> None:
    """Opens the frame that `side` waits for. What cannot be executed is a failure of the side visit."""
    if 1 + _levels(frame) > walk.limits.levels:
        walk.fail("limit", "limit", f"graphs may lie in each other {walk.limits.levels} levels deep")
    elif len(walk.frames) >= walk.limits.frames:
        walk.fail("limit", "limit", f"a run may execute {walk.limits.frames} graphs at once")
    elif isinstance(work, Child):
        _begin_child(walk, frame, side, work)
    else:
        _begin_body(walk, frame, side, work)


def _levels(frame: OpenFrame) -> int:
    levels = 0
    while frame.outer is not None:
        frame, levels = frame.outer, levels + 1
    return levels


def _begin_body(walk: Walk, frame: OpenFrame, side: OpenVisit, work: Body) -> None:
    assert side.node.body is not None, "a graph is compiled with its bodies"
    inner = Frame(
        path=f"{frame.path}{side.node.id}[{work.index}]/",
        graph=f"{frame.key}/{side.node.id}",
        variables=work.variables,
        parent=side.number,
        transcript=work.transcript,
        index=work.index,
        values=work.values,
    )
    walk.open(frame, side, OpenFrame(inner, side.node.body))


def _begin_child(walk: Walk, frame: OpenFrame, side: OpenVisit, work: Child) -> None:
    version = walk.origin.versions.get(work.workflow_id) if work.version is None else work.version
    key = None if version is None else graph_key(work.workflow_id, version)
    if key is None or key not in walk.graphs:
        message = f"workflow {work.workflow_id} is not among those that the run was given when it began"
        walk.wake(frame, side, Failed("child_failed", message))
        return
    graph = walk.graphs[key]
    inputs, faults = graph.start.kind.accept(work.inputs)
    if faults:
        misfits = "; ".join(f"{fault.path}: {fault.message}" for fault in faults)
        walk.wake(frame, side, Failed("invalid_value", f"its inputs do not fit: {misfits}"))
        return
    inner = Frame(path=f"{frame.path}{side.node.id}/", graph=key, inputs=inputs, parent=side.number)
    walk.open(frame, side, OpenFrame(inner, graph))


def end_one(walk: Walk) -> bool:
    """Ends the innermost frame in which nothing is left to do. False: there is none but the run's own."""
    for inner in reversed(walk.frames):
        if inner.outer is not None and inner.holder is not None and not inner.visits and not inner.arrivals:
            _complete(walk, inner, inner.outer, inner.holder)
            return True
    return False


def _complete(walk: Walk, inner: OpenFrame, outer: OpenFrame, side: OpenVisit) -> None:
    result: Value = inner.results
    if inner.index is not None:
        try:
            result = side.node.kind.body_ended(NodeContext(walk, inner, side), inner.results)
        except NodeError as error:
            fail(walk, inner, error.error_type, error.error_message)
            return
    walk.close(inner, "ok")
    walk.wake(outer, side, Received(Succeeded(result)))


def fail(walk: Walk, inner: OpenFrame, error_type: str, message: str) -> None:
    """A node in it failed, or what comes of it cannot be told: the frame is over, the node that holds it is told."""
    assert inner.outer is not None and inner.holder is not None, "a failure of the run's own frame is the run's"
    outer, side = inner.outer, inner.holder
    walk.close(inner, "error", error_type, message)
    walk.wake(outer, side, Failed(error_type, message))
