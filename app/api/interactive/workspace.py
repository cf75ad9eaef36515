"""The workspace of the key over HTTP."""

from typing import Any

from litestar import get, patch

from app.api.auth import needs, workspace_of
from app.api.describe import described
from app.api.fields import Fields, json_object
from app.api.interactive import workflow_schemas as schemas
from app.api.interactive.requests import Reply, shown
from app.api.interactive.workflows import MOST_RUNS, NAME
from app.api.services import ApiRequest, services_of
from app.ports import Workspace

WORKSPACE = "/v1/workspace"


def _workspace(found: Workspace) -> Reply:
    return shown(
        {
            "id": found.id,
            "name": found.name,
            "max_concurrent_runs": found.max_concurrent_runs,
            "created_at": found.created_at,
        }
    )


@get(WORKSPACE, guards=[needs("admin")], opt=described("Read the workspace", "admin", None, schemas.Workspace))
async def read(request: ApiRequest) -> Reply:
    return _workspace(await services_of(request).keys.workspace_by_id(workspace_of(request)))


@patch(
    WORKSPACE,
    guards=[needs("admin")],
    opt=described("Rename the workspace, or limit its runs", "admin", schemas.WorkspaceChange, schemas.Workspace),
)
async def update(request: ApiRequest) -> Reply:
    fields = Fields(await json_object(request))
    fields.only(("name", "max_concurrent_runs"))
    name = fields.text("name", longest=NAME, empty=False)
    limit = fields.integer("max_concurrent_runs", 1, MOST_RUNS)
    fields.done()
    changed = await services_of(request).keys.update_workspace(
        workspace_of(request),
        name=name,
        limit_given="max_concurrent_runs" in fields.body,
        max_concurrent_runs=limit,
    )
    return _workspace(changed)


HANDLERS: list[Any] = [read, update]
