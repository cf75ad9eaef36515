"""Workflows and their versions over HTTP."""

from typing import Any

from litestar import delete, get, patch, post

from app.api.auth import needs, workspace_of
from app.api.describe import described
from app.api.fields import Fields, digits, json_object
from app.api.interactive import workflow_schemas as schemas
from app.api.interactive.requests import (
    Reply,
    number_of,
    page_of,
    shaped,
    shown,
    workflow_exists,
    workflow_id_of,
)
from app.api.interactive.views import page_view, version_view, workflow_view
from app.api.services import ApiRequest, services_of
from app.services.workflows import LONGEST_NAME, VersionRecord, WorkflowRecord

WORKFLOWS = "/v1/workflows"
WORKFLOW = "/v1/workflows/{workflow_id:str}"
VERSIONS = WORKFLOW + "/versions"
VERSION = VERSIONS + "/{number:str}"
NAME = LONGEST_NAME
MOST_RUNS = 1_000_000


def workflow_reply(record: WorkflowRecord, status: int = 200) -> Reply:
    return shown(workflow_view(record), status, {"ETag": f'"{record.head.active_version}"'})


def _version(record: VersionRecord, status: int = 200) -> Reply:
    return shown(version_view(record), status)


@post(
    WORKFLOWS,
    guards=[needs("edit")],
    opt=described("Create a workflow", "edit", schemas.NewWorkflow, schemas.Workflow, status=201, tagged=True),
)
async def create(request: ApiRequest) -> Reply:
    fields = Fields(await json_object(request))
    fields.only(("name", "description", "graph"))
    fields.required("name", "graph")
    name = fields.text("name", longest=NAME, empty=False)
    description = fields.text("description") or ""
    graph = fields.object("graph")
    fields.done()
    return workflow_reply(
        await services_of(request).workflows.create(workspace_of(request), name or "", description, graph), 201
    )


@get(
    WORKFLOWS,
    guards=[needs("read")],
    opt=described("List workflows", "read", None, schemas.WorkflowPage, query="page"),
)
async def list_workflows(request: ApiRequest) -> Reply:
    page, size = page_of(request)
    found, total = await services_of(request).workflows.list(workspace_of(request), page, size)
    return shown(page_view([workflow_view(record) for record in found], total, page, size))


@get(WORKFLOW, guards=[needs("read")], opt=described("Read a workflow", "read", None, schemas.Workflow, tagged=True))
async def read(request: ApiRequest) -> Reply:
    workflow_id = await workflow_id_of(request)
    return workflow_reply(await services_of(request).workflows.get(workspace_of(request), workflow_id))


@patch(
    WORKFLOW,
    guards=[needs("edit")],
    opt=described(
        "Edit a workflow; a new graph becomes a new active version",
        "edit",
        schemas.WorkflowChange,
        schemas.Workflow,
        errors=(409,),
        headers=("If-Match",),
        tagged=True,
    ),
)
async def update(request: ApiRequest) -> Reply:
    workflow_id = await workflow_id_of(request)
    changes = await shaped(_changes(request), lambda: workflow_exists(request, workflow_id))
    return workflow_reply(await services_of(request).workflows.update(workspace_of(request), workflow_id, **changes))


async def _changes(request: ApiRequest) -> dict[str, Any]:
    fields = Fields(await json_object(request))
    fields.only(("name", "description", "graph"))
    found = {
        "name": fields.text("name", longest=NAME, empty=False),
        "description": fields.text("description"),
        "source": fields.object("graph"),
    }
    fields.done()
    tag = request.headers.get("if-match", "*").strip().removeprefix("W/").strip('"')
    return {**found, "if_match": None if tag == "*" else digits(tag, "If-Match")}


@delete(WORKFLOW, guards=[needs("edit")], opt=described("Delete a workflow", "edit", None, None, status=204))
async def remove(request: ApiRequest) -> None:
    await services_of(request).workflows.delete(workspace_of(request), await workflow_id_of(request))


@patch(
    WORKFLOW + "/concurrency",
    guards=[needs("edit")],
    opt=described("Limit the runs at work at once", "edit", schemas.Concurrency, schemas.ConcurrencyReply),
)
async def set_limit(request: ApiRequest) -> Reply:
    workflow_id = await workflow_id_of(request)
    limit = await shaped(_limit(request), lambda: workflow_exists(request, workflow_id))
    record = await services_of(request).workflows.set_limit(workspace_of(request), workflow_id, limit)
    words = "there is no limit" if limit is None else f"at most {limit} runs are at work at once"
    return shown({"workflow_id": record.head.id, "max_concurrent_runs": limit, "message": words})


async def _limit(request: ApiRequest) -> int | None:
    fields = Fields(await json_object(request))
    fields.only(("max_concurrent_runs",))
    if "max_concurrent_runs" not in fields.body:
        fields.fault("max_concurrent_runs", "is required; null is no limit")
    limit = fields.integer("max_concurrent_runs", 1, MOST_RUNS)
    fields.done()
    return limit


@post(
    WORKFLOW + "/validate",
    guards=[needs("edit")],
    status_code=200,
    opt=described("Check a graph without saving it", "edit", schemas.GraphToCheck, schemas.Validity),
)
async def validate(request: ApiRequest) -> Reply:
    services = services_of(request)
    workspace = workspace_of(request)
    record = await services.workflows.get(workspace, await workflow_id_of(request))
    fields = Fields(await json_object(request))
    fields.only(("graph",))
    fields.done()
    graph = fields.body.get("graph")
    checked = await services.workflows.check(workspace, record.source if graph is None else graph)
    errors, warnings = (
        [{"path": fault.path, "message": fault.message} for fault in faults]
        for faults in (checked.faults, checked.warnings)
    )
    return shown({"valid": not errors, "errors": errors, "warnings": warnings})


@get(
    VERSIONS,
    guards=[needs("read")],
    opt=described("List the versions", "read", None, schemas.VersionPage, query="page"),
)
async def list_versions(request: ApiRequest) -> Reply:
    workflow_id = await workflow_id_of(request)
    page, size = await shaped(_page(request), lambda: workflow_exists(request, workflow_id))
    found, total = await services_of(request).workflows.versions(workspace_of(request), workflow_id, page, size)
    return shown(page_view([version_view(record) for record in found], total, page, size))


@post(
    VERSIONS,
    guards=[needs("edit")],
    opt=described(
        "Add a version from a graph or from another version", "edit", schemas.NewVersion, schemas.Version, status=201
    ),
)
async def create_version(request: ApiRequest) -> Reply:
    workflow_id = await workflow_id_of(request)
    wanted = await shaped(_new_version(request), lambda: workflow_exists(request, workflow_id))
    return _version(
        await services_of(request).workflows.create_version(workspace_of(request), workflow_id, **wanted), 201
    )


async def _page(request: ApiRequest) -> tuple[int, int]:
    return page_of(request)


async def _version_of(request: ApiRequest) -> tuple[str, int]:
    """The workflow and the version in the path."""
    workflow_id = await workflow_id_of(request)
    number = await shaped(number_of(request, "version_number"), lambda: workflow_exists(request, workflow_id))
    return workflow_id, number


async def _new_version(request: ApiRequest) -> dict[str, Any]:
    fields = Fields(await json_object(request))
    fields.only(("graph", "source_version_number", "name", "mark_as_active"))
    wanted = {
        "source": fields.object("graph"),
        "source_version_number": fields.integer("source_version_number"),
        "name": fields.text("name", longest=NAME, empty=False),
        "mark_as_active": fields.boolean("mark_as_active") or False,
    }
    if wanted["source"] is not None and wanted["source_version_number"] is not None:
        fields.fault("source_version_number", "stands beside a graph")
    fields.done()
    return wanted


@get(VERSION, guards=[needs("read")], opt=described("Read a version", "read", None, schemas.Version))
async def read_version(request: ApiRequest) -> Reply:
    workflow_id, number = await _version_of(request)
    return _version(await services_of(request).workflows.version(workspace_of(request), workflow_id, number))


@patch(VERSION, guards=[needs("edit")], opt=described("Rename a version", "edit", schemas.Rename, schemas.Version))
async def rename_version(request: ApiRequest) -> Reply:
    workflow_id, number = await _version_of(request)
    workflows, workspace = services_of(request).workflows, workspace_of(request)
    name = await shaped(_name(request), lambda: workflows.version(workspace, workflow_id, number))
    return _version(await workflows.rename_version(workspace, workflow_id, number, name))


async def _name(request: ApiRequest) -> str:
    fields = Fields(await json_object(request))
    fields.only(("name",))
    fields.required("name")
    name = fields.text("name", longest=NAME, empty=False)
    fields.done()
    return name or ""


@post(
    VERSION + "/activate",
    guards=[needs("edit")],
    status_code=200,
    opt=described("Make a version the active one", "edit", None, schemas.Version),
)
async def activate(request: ApiRequest) -> Reply:
    workflow_id, number = await _version_of(request)
    return _version(await services_of(request).workflows.activate(workspace_of(request), workflow_id, number))


HANDLERS: list[Any] = [
    create,
    list_workflows,
    read,
    update,
    remove,
    set_limit,
    validate,
    list_versions,
    create_version,
    read_version,
    rename_version,
    activate,
]
