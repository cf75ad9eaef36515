"""Everything that a run can reach is fixed at its start: its own version, and those of the workflows that its nodes run."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from app.engine.graph import Graph, graph_key
from app.ports import Pinned, WorkflowHead
from app.services.errors import Detail, ServiceError
from app.services.world import World

MOST_PINNED: Final = 100  # versions


class Reach(msgspec.Struct, frozen=True):
    """`graphs` by their keys; `versions`: of the workflows that are run without naming one, those active now."""

    graphs: dict[str, Graph]
    pinned: tuple[Pinned, ...]
    versions: dict[str, int]


async def reach_of(world: World, head: WorkflowHead, version: int, graph: Graph) -> Reach:
    """From a version on. Raises ServiceError (invalid_graph) when a workflow is gone or has faults."""
    graphs = {graph_key(head.id, version): graph}
    pinned = [Pinned(head.id, version, graph.hash)]
    versions: dict[str, int] = {}
    waiting = deque(graph.children)
    while waiting:
        child_id, wanted = waiting.popleft()
        if wanted is None and child_id not in versions:
            versions[child_id] = await _active(world, head.workspace, child_id)
        number = versions[child_id] if wanted is None else wanted
        if graph_key(child_id, number) in graphs:
            continue
        is_there = wanted is None or await _is_there(world, head, child_id)
        child = await world.graphs.get(child_id, number) if is_there else None
        if child is None:
            raise _refused(child_id, f"version {number} of workflow {child_id} is not there or has faults")
        if len(pinned) >= MOST_PINNED:
            raise _refused(child_id, f"a run may reach {MOST_PINNED} versions of workflows")
        graphs[graph_key(child_id, number)] = child
        pinned.append(Pinned(child_id, number, child.hash))
        waiting += child.children
    return Reach(graphs, tuple(pinned), versions)


async def _active(world: World, workspace: str, workflow_id: str) -> int:
    head = await world.workflows.head(workflow_id)
    if head is None or head.deleted_at or head.workspace != workspace:
        raise _refused(workflow_id, f"workflow {workflow_id} is not there")
    return head.active_version


async def _is_there(world: World, parent: WorkflowHead, workflow_id: str) -> bool:
    """A named version of another tenant's workflow is none. A deleted one's stay usable."""
    head = await world.workflows.head(workflow_id)
    return head is not None and head.workspace == parent.workspace


def _refused(workflow_id: str, why: str) -> ServiceError:
    return ServiceError(
        "invalid_graph", "a workflow that this one runs cannot be run", details=[Detail(workflow_id, why)]
    )
