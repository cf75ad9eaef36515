"""One step under way: the state thawed, the events so far, and the few moves that everything else is made of.

Lives for the length of one `step` and is never shared. Tokens become visits; a visit that has something to do stands in
`ready`, by its number; a token at a join that waits for all is only counted, in `arrivals`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappush
from typing import Any

import msgspec

from app.engine import messages as said
from app.engine.graph import Edge, Graph, Node, graph_at
from app.engine.state import (
    Ending,
    Entering,
    ExecutorState,
    Failed,
    Limits,
    Received,
    Visit,
    Wait,
    Working,
)
from app.engine.talk import Spent, Usage
from app.engine.thawed import OpenFrame as OpenFrame, OpenVisit as OpenVisit
from app.engine.values import Value

EVENT_BYTES = 64  # what an event takes at least
LATENCIES_KEPT = 1_000  # of the model calls of a turn
Ready = Entering | Received | Failed


class Walk:
    """The mutable side of one step. `graphs` may lack those of frames that will only be ended."""

    def __init__(self, graphs: Mapping[str, Graph], state: ExecutorState, now: float, limits: Limits) -> None:
        self.origin = state.origin
        self.turn = state.turn
        self.message = state.message
        self.now = now
        self.limits = limits
        self.graphs = graphs
        self.frames = [OpenFrame(frame, graph_at(graphs, frame.graph)) for frame in state.frames]
        self._link()
        self.ready = [
            (v.number, f, v) for f in self.frames for v in f.visits if isinstance(v.wait, (Entering, Received, Failed))
        ]
        heapify(self.ready)
        self.events: list[said.AnyEvent] = []
        self.event_bytes = 0  # of what users brought; the rest is small
        self.next_seq = state.next_seq
        self.next_visit = state.next_visit
        self.next_pause = state.next_pause
        self.expired = state.expired
        self.executions = state.executions
        self.inner_executions = state.inner_executions
        self.executed = 0  # in this step
        self.since_input = dict(state.since_input)
        self.pausing = state.pausing
        self.held_at = state.held_at
        self.working_since = state.working_since
        self.worked_seconds = state.worked_seconds
        self.spent = dict(state.spent)
        self.latencies = state.latencies
        self.tool_calls = state.tool_calls
        self.ended: Ending | None = None
        self.termination_source: str | None = None
        self.error_type = ""
        self.error: str | None = None
        self.outputs: dict[str, Value] = {}

    # ---- events

    def emit(self, event: Callable[..., said.AnyEvent], **fields: Any) -> None:
        """Appends an event under the next number."""
        self.events.append(event(seq=self.next_seq, at=self.now, **fields))
        self.next_seq += 1
        if len(self.frames) > 1:  # items are many
            self.event_bytes += EVENT_BYTES

    def emit_of(self, frame: OpenFrame, visit: OpenVisit, event: Callable[..., said.AnyEvent], **fields: Any) -> None:
        """An event of a node's visit; of a side visit, one of its holder's."""
        node, number = visit.node, visit.number if visit.holder is None else visit.holder
        self.emit(event, node_id=node.id, node_name=node.name, path=frame.path + node.id, visit=number, **fields)

    # ---- tokens

    def arrive(self, frame: OpenFrame, node: Node) -> None:
        """A token arrives at a node and is executed."""
        visit = OpenVisit(node, Visit(node_id=node.id, number=self.next_visit))
        self.next_visit += 1
        frame.visits.append(visit)
        heappush(self.ready, (visit.number, frame, visit))

    def wake(self, frame: OpenFrame, visit: OpenVisit, wait: Ready) -> None:
        """A waiting visit has something to do."""
        visit.wait = wait
        heappush(self.ready, (visit.number, frame, visit))

    def put_beside(self, frame: OpenFrame, holder: OpenVisit, wait: Wait, part: str | None = None) -> OpenVisit:
        """A side visit: it waits for something else than its holder does."""
        number = self.next_visit
        side = OpenVisit(
            holder.node, Visit(node_id=holder.node.id, number=number, wait=wait, holder=holder.number, part=part)
        )
        frame.visits.append(side)
        self.next_visit += 1
        return side

    def remove(self, frame: OpenFrame, visit: OpenVisit) -> None:
        """The visit is over, and so are its side visits, whatever they wait for or have got."""
        beside = [one for one in frame.visits if one.holder == visit.number]
        for inner in [one for one in self.frames if one.holder in beside]:
            self.close(inner, "cancelled")
        for one in (visit, *beside):
            frame.visits.remove(one)
        if beside:
            self.ready = [entry for entry in self.ready if entry[2] not in beside]
            heapify(self.ready)

    def leave(self, frame: OpenFrame, visit: OpenVisit, handle: str) -> None:
        """The visit is over, its token goes along every edge of `handle`; without one the branch ends."""
        self.remove(frame, visit)
        edges = frame.graph.leaving(visit.node.id, handle)
        for edge in edges:
            self._take(frame, visit.node, edge)
        if len(edges) > 1 and _branches(frame) > self.limits.branches:
            self.fail("limit", "limit", f"a run may have {self.limits.branches} parallel branches")

    def _take(self, frame: OpenFrame, source: Node, edge: Edge) -> None:
        target = frame.graph.nodes[edge.target]
        self.emit(
            said.EdgeTaken,
            edge_id=edge.id,
            source=source.id,
            source_name=source.name,
            target=target.id,
            target_name=target.name,
            handle=edge.source_handle,
            conditional=edge.source_handle != "out",
            path=frame.path,
        )
        if target.join == "all":
            frame.arrivals[target.id] = frame.arrivals.get(target.id, 0) + 1
        else:
            self.arrive(frame, target)

    # ---- frames within frames

    def _link(self) -> None:
        if len(self.frames) == 1:
            return
        holders = {visit.number: (frame, visit) for frame in self.frames for visit in frame.visits}
        for frame in self.frames:
            if frame.parent in holders:
                frame.within(*holders[frame.parent])

    def open(self, frame: OpenFrame, side: OpenVisit, inner: OpenFrame) -> None:
        """A graph begins to be executed within `frame`; `side` waits for it."""
        inner.within(frame, side)
        self.frames.append(inner)
        if inner.index is None:
            self.emit(said.FrameStarted, path=inner.path)
        else:
            self.emit_of(frame, side, said.ItemStarted, index=inner.index)
        self.arrive(inner, inner.graph.start)

    def close(self, inner: OpenFrame, status: str, error_type: str | None = None, message: str | None = None) -> None:
        """A frame within another is over, and so are those within it."""
        for one in [one for one in self.frames if one.outer is inner]:
            self.close(one, "cancelled")
        if inner.index is None:
            self.emit(said.FrameEnded, path=inner.path, last_node_id=inner.last_node_id)
        elif inner.outer is not None and inner.holder is not None:
            error = {"error_type": error_type, "error_message": message}
            self.emit_of(inner.outer, inner.holder, said.ItemFinished, index=inner.index, status=status, **error)
        self.frames.remove(inner)
        self.ready = [entry for entry in self.ready if entry[1] is not inner]
        heapify(self.ready)
        for path in [path for path in self.since_input if path.startswith(inner.path)]:
            del self.since_input[path]

    # ---- models

    def spend(self, name: str, usage: Usage, seconds: float) -> None:
        """Counts an answered call of a model, `provider/model`."""
        self.spent[name] = self.spent.get(name, Spent()).plus(usage, seconds)
        self.latencies = (*self.latencies, seconds)[-LATENCIES_KEPT:]

    def tokens(self) -> int:
        return sum(spent.usage.total_tokens for spent in self.spent.values())

    # ---- endings

    def complete(self) -> None:
        """Every branch has ended."""
        self._end("completed")
        self.outputs = self.frames[0].results

    def cancel(self) -> None:
        """Stopped by command."""
        self._end("cancelled", "stopped")

    def fail(self, source: str, error_type: str, message: str) -> None:
        """The run fails; `source` is its termination_source."""
        self._end("failed", source, message)
        self.error_type = error_type

    def abort(self, why: str) -> None:
        """It executed too much: maybe it would never end."""
        self.emit(said.Warned, message=why)
        self._end("aborted_looping_risk", "looping_risk", why)

    def _end(self, ending: Ending, source: str | None = None, error: str | None = None) -> None:
        self.ended, self.termination_source, self.error = ending, source, error
        self.pausing, self.held_at = False, None
        self.ready.clear()
        for frame in self.frames:
            frame.visits.clear()
            frame.arrivals.clear()

    # ---- the frozen side

    def _worked(self) -> float:
        return self.worked_seconds + (0.0 if self.working_since is None else max(0.0, self.now - self.working_since))

    def set_work_clock(self) -> None:
        """The clock of outside work runs while an effect is in flight and the run is not held. Fails the run when it is
        to run beyond the turn's bound."""
        waits = [visit.wait for frame in self.frames for visit in frame.visits]
        runs = self.held_at is None and any(isinstance(wait, Working) for wait in waits)
        if runs and self.working_since is None:
            self.working_since = self.now
        if runs and self._worked() >= self.limits.turn_seconds:
            self.fail("limit", "limit", f"a turn may work for {self.limits.turn_seconds:g} seconds")
            runs = False
        if not runs:
            self.worked_seconds, self.working_since = self._worked(), None

    def freeze(self, before: ExecutorState) -> ExecutorState:
        """The state as it is now."""
        return msgspec.structs.replace(
            before,
            frames=tuple([frame.freeze() for frame in (self.frames[:1] if self.ended else self.frames)]),
            next_seq=self.next_seq,
            next_visit=self.next_visit,
            next_pause=self.next_pause,
            expired=self.expired,
            executions=self.executions,
            inner_executions=self.inner_executions,
            since_input=self.since_input,
            worked_seconds=self.worked_seconds,
            working_since=self.working_since,
            spent=self.spent,
            latencies=self.latencies,
            tool_calls=self.tool_calls,
            pausing=self.pausing,
            held_at=self.held_at,
            ended=self.ended,
            termination_source=self.termination_source,
            error=self.error,
            outputs=self.outputs,
        )


def _branches(frame: OpenFrame) -> int:
    return sum(visit.holder is None for visit in frame.visits) + sum(frame.arrivals.values())
