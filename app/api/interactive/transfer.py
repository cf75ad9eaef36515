"""Workflows made of others over HTTP: clones, and files that one workspace gives and another takes."""

from typing import Any

from litestar import get, post

from app.api.auth import needs, workspace_of
from app.api.describe import described
from app.api.fields import Fields, digits, json_object
from app.api.interactive import transfer_schemas as schemas, workflow_schemas
from app.api.interactive.export_file import file_of, parse_file
from app.api.interactive.requests import Reply, shaped, shown, workflow_exists, workflow_id_of
from app.api.interactive.workflows import NAME, WORKFLOW, WORKFLOWS, workflow_reply
from app.api.services import ApiRequest, services_of


@post(
    WORKFLOW + "/clone",
    guards=[needs("edit")],
    opt=described("Clone a workflow", "edit", schemas.Clone, workflow_schemas.Workflow, status=201, tagged=True),
)
async def clone(request: ApiRequest) -> Reply:
    workflow_id = await workflow_id_of(request)
    name = await shaped(_name(request), lambda: workflow_exists(request, workflow_id))
    return workflow_reply(await services_of(request).workflows.clone(workspace_of(request), workflow_id, name), 201)


async def _name(request: ApiRequest) -> str | None:
    fields = Fields(await json_object(request))
    fields.only(("name",))
    name = fields.text("name", longest=NAME, empty=False)
    fields.done()
    return name


@get(
    WORKFLOW + "/export",
    guards=[needs("read")],
    opt=described("Export a workflow with all that it can reach", "read", None, schemas.ExportFile, query="version"),
)
async def export(request: ApiRequest) -> Reply:
    workflow_id = await workflow_id_of(request)
    version = await shaped(_version(request), lambda: workflow_exists(request, workflow_id))
    found = await services_of(request).exports.export(workspace_of(request), workflow_id, version)
    return shown(file_of(found))


async def _version(request: ApiRequest) -> int | None:
    given = request.query_params.get("version")
    return None if given is None else digits(given, "version")


@post(
    WORKFLOWS + "/import",
    guards=[needs("edit")],
    opt=described(
        "Make workflows of an export", "edit", schemas.ExportFile, workflow_schemas.Workflow, status=201, tagged=True
    ),
)
async def take_in(request: ApiRequest) -> Reply:
    found, places = parse_file(await json_object(request))
    return workflow_reply(await services_of(request).imports.take_in(workspace_of(request), found, places), 201)


HANDLERS: list[Any] = [clone, export, take_in]
