"""Runs over HTTP: reading, forking and deleting them."""

from typing import Any

from litestar import Response, delete, get, post

from app.api import ids
from app.api.auth import needs, workspace_of
from app.api.describe import described
from app.api.errors import run_headers
from app.api.fields import Fields, json_object
from app.api.idempotency import HEADER, body_hash, idempotency_key
from app.api.interactive import schemas
from app.api.interactive.requests import (
    Reply,
    about,
    about_run,
    moment,
    number_of,
    page_of,
    run_exists,
    run_id_of,
    run_shown,
    shaped,
    shown,
)
from app.api.interactive.views import page_view, run_reply, run_view, turn_row, turn_view
from app.api.services import ApiRequest, services_of
from app.services.errors import Detail, ServiceError
from app.services.runs import RunRecord, Search

RUNS = "/v1/workflow-runs"
RUN = "/v1/workflow-runs/{run_id:str}"
LONGEST_SEARCH = 200  # characters, as many as a name has at most


@get(RUNS, guards=[needs("read")], opt=described("List runs", "read", None, schemas.RunPage, query="runs"))
async def list_runs(request: ApiRequest) -> Reply:
    page, size = page_of(request)
    found, total = await services_of(request).runs.list(
        workspace_of(request), page=page, size=size, **await _filters(request)
    )
    return shown(page_view([run_view(record) for record in found], total, page, size))


async def _filters(request: ApiRequest) -> dict[str, Any]:
    query = request.query_params
    status = query.get("status")
    if status is not None and status not in schemas.STATUSES:
        detail = Detail("status", f"must be one of {', '.join(schemas.STATUSES)}")
        raise ServiceError("invalid_value", "status is unknown", details=[detail])
    return {
        "status": status,
        "workflow_id": await _workflow(request, query.get("workflow_id")),
        "start": moment(request, "start"),
        "end": moment(request, "end"),
        "search": _search(query.get("search")),
    }


def _search(text: str | None) -> Search | None:
    """What a search may be the id of, in any form, a run's or a workflow's. Blank: nothing is looked for."""
    text = (text or "").strip()
    if len(text) > LONGEST_SEARCH:
        detail = Detail("search", f"must have at most {LONGEST_SEARCH} characters")
        raise ServiceError("invalid_value", "search is too long", details=[detail])
    if not text:
        return None
    try:
        named = ids.decode_id(text.lower(), handles=True)
    except ServiceError:  # a UUID that is none of ours
        named = None
    return Search(text=text, id=named, number=ids.number(text))


async def _workflow(request: ApiRequest, text: str | None) -> str | None:
    """A workflow to filter by, in any form of its id; one that does not exist has no runs."""
    if text is None:
        return None
    number = ids.number(text)
    try:
        if number is None:
            return ids.workflow_id(text)
        return await services_of(request).workflows.id_of_number(workspace_of(request), number)
    except ServiceError as error:
        if error.code != "not_found":
            raise
        return ids.NOBODY


@get(RUN, guards=[needs("read")], opt=described("Read a run", "read", None, schemas.Run))
async def read(request: ApiRequest) -> Reply:
    run_id = await run_id_of(request)
    return _run(await services_of(request).runs.facts(workspace_of(request), run_id))


def _run(record: RunRecord) -> Reply:
    return about_run(run_reply(record), record.run.id, record.run.turn)


@delete(
    RUN,
    guards=[needs("run")],
    opt=described("Delete a run that has ended", "run", None, None, status=204, errors=(409,)),
)
async def remove(request: ApiRequest) -> Response[None]:
    record = await run_exists(request, await run_id_of(request))
    await services_of(request).runs.delete(workspace_of(request), record.run.id)
    return Response(None, status_code=204, headers=run_headers(record.run.id, record.run.turn))


@get(
    RUN + "/turns",
    guards=[needs("read")],
    opt=described("List the turns", "read", None, schemas.TurnPage, query="page"),
)
async def list_turns(request: ApiRequest) -> Reply:
    record = await run_exists(request, await run_id_of(request))
    page, size = page_of(request)
    found = await services_of(request).runs.turns(workspace_of(request), record.run.id)
    rows = [turn_row(turn) for turn in found[(page - 1) * size : page * size]]
    return run_shown(page_view(rows, len(found), page, size), record.run.id, record.run.turn)


@get(
    RUN + "/turns/{number:str}",
    guards=[needs("read")],
    opt=described("Read a turn, also while it is open", "read", None, schemas.Turn),
)
async def read_turn(request: ApiRequest) -> Reply:
    run_id = await run_id_of(request)
    number = await shaped(number_of(request, "turn_number"), lambda: run_exists(request, run_id))
    record = await about(request, run_id, services_of(request).runs.turn(workspace_of(request), run_id, number))
    return about_run(turn_view(record), run_id, number)


@post(
    RUN + "/fork",
    guards=[needs("run")],
    opt=described(
        "Make a new run, paused, from the state after a turn",
        "run",
        schemas.Fork,
        schemas.Run,
        status=201,
        keyed=True,
        errors=(409, 410),
    ),
)
async def fork(request: ApiRequest) -> Reply:
    run_id = await run_id_of(request)
    number, key, hashed = await shaped(_fork(request, run_id), lambda: run_exists(request, run_id))
    forks, workspace = services_of(request).forks, workspace_of(request)
    made = forks.fork(workspace, run_id, number, key=key, body_hash=hashed, render=run_reply)
    reply = await about(request, run_id, made)
    return about_run(reply.body, reply.run_id, reply.turn, status=201, replayed=reply.replayed)


async def _fork(request: ApiRequest, run_id: str) -> tuple[int, str | None, str]:
    fields = Fields(await json_object(request))
    fields.only(("turn_number",))
    fields.required("turn_number")
    number = fields.integer("turn_number", 1)
    fields.done()
    key = idempotency_key(request.headers.get(HEADER))
    return number or 0, key, body_hash(f"POST /v1/workflow-runs/{run_id}/fork", fields.body)


HANDLERS: list[Any] = [list_runs, read, remove, list_turns, read_turn, fork]
