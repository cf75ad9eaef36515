"""`GET …/versions/{a}/diff/{b}`: what differs between two versions of a workflow."""

from typing import Any

import msgspec
from litestar import get

from app.api.auth import needs, workspace_of
from app.api.describe import described
from app.api.fields import digits
from app.api.interactive import diff_schemas as schemas
from app.api.interactive.requests import Reply, number_of, shaped, shown, workflow_exists, workflow_id_of
from app.api.interactive.workflows import VERSION
from app.api.services import ApiRequest, services_of
from app.services.differences import Change, Differences, EdgeChanged, NodeChanged
from app.services.workflows import VersionDiff

Json = dict[str, Any]


@get(
    VERSION + "/diff/{other:str}",
    guards=[needs("read")],
    opt=described("Compare two versions", "read", None, schemas.VersionDiff),
)
async def diff(request: ApiRequest) -> Reply:
    workflow_id = await workflow_id_of(request)
    before, after = await shaped(_numbers(request), lambda: workflow_exists(request, workflow_id))
    found = await services_of(request).workflows.diff(workspace_of(request), workflow_id, before, after)
    return shown(diff_view(found))


async def _numbers(request: ApiRequest) -> tuple[int, int]:
    number = await number_of(request, "version_number")
    return number, digits(request.path_params["other"], "other_version_number")


def diff_view(found: VersionDiff) -> Json:
    return {
        "workflow_id": found.workflow_id,
        "from_version": found.before,
        "to_version": found.after,
        "equivalent": found.is_equivalent,
        **_differences(found.differences),
        "truncated": found.is_cut,
    }


def _differences(found: Differences) -> Json:
    nodes, edges = found.nodes, found.edges
    return {
        "nodes": {"added": nodes.added, "removed": nodes.removed, "changed": [_node(one) for one in nodes.changed]},
        "edges": {"added": edges.added, "removed": edges.removed, "changed": [_edge(one) for one in edges.changed]},
        "changes": [_change(one) for one in found.changes],
    }


def _node(found: NodeChanged) -> Json:
    shown: Json = {"id": found.id, "changes": [_change(one) for one in found.changes]}
    return shown if found.body is None else {**shown, "body": _differences(found.body)}


def _edge(found: EdgeChanged) -> Json:
    return {"edge": found.edge, "changes": [_change(one) for one in found.changes]}


def _change(found: Change) -> Json:
    """Without `from` or `to` where there was or is nothing."""
    sides = {"from": found.before, "to": found.after}
    return {"path": found.path} | {name: value for name, value in sides.items() if value is not msgspec.UNSET}


HANDLERS: list[Any] = [diff]
