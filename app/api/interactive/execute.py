"""`POST /v1/workflows/{id}/execute`: one turn."""

from typing import Any

from litestar import post

from app.api.auth import caller_of, needs, workspace_of
from app.api.describe import described
from app.api.fields import json_object
from app.api.idempotency import HEADER, body_hash, idempotency_key
from app.api.ids import decode_id
from app.api.interactive.execute_schemas import Execute
from app.api.interactive.parse import Call, named_run, parse_execute, wait_of
from app.api.interactive.requests import (
    Reply,
    about,
    about_run,
    run_exists,
    shaped,
    workflow_exists,
    workflow_id_of,
)
from app.api.interactive.schemas import TurnReplyBody
from app.api.services import ApiRequest, services_of
from app.services.errors import ServiceError
from app.services.facts import TurnReply

PATH = "/v1/workflows/{workflow_id:str}/execute"
_summary = "Execute a workflow: start a run or take its next turn"


@post(
    PATH,
    guards=[needs("run")],
    status_code=200,
    opt=described(
        _summary, "run", Execute, TurnReplyBody, also=(202,), query="version", keyed=True, errors=(409, 410, 429)
    ),
)
async def execute(request: ApiRequest) -> Reply:
    """Starts a run, or answers, pauses, resumes or stops one."""
    workflow_id = await workflow_id_of(request)
    body = await shaped(json_object(request), lambda: workflow_exists(request, workflow_id))
    call = _call(request, workflow_id, body)
    try:
        turn = parse_execute(body, call)
    except ServiceError:
        replay = await _replay(request, body, call)
        if replay is None:
            await _exists(request, workflow_id, body)
            raise
        return _reply(replay)
    return _reply(await about(request, None, services_of(request).turns.execute(turn)))


def _reply(reply: TurnReply) -> Reply:
    status = 202 if reply.accepted else 200
    return about_run(reply.body, reply.run_id, reply.turn, status=status, replayed=reply.replayed)


def _call(request: ApiRequest, workflow_id: str, body: dict[str, Any]) -> Call:
    version = request.query_params.get("version") if request.scope["query_string"] else None
    return Call(
        workspace=workspace_of(request),
        workflow_id=workflow_id,
        caller=caller_of(request),
        version=version,
        key=request.headers.get(HEADER),
        body_hash=body_hash(f"POST /v1/workflows/{workflow_id}/execute", body, version),
    )


async def _replay(request: ApiRequest, body: dict[str, Any], call: Call) -> TurnReply | None:
    """A keyed start looks its key up before it is refused."""
    if call.key is None or named_run(body) is not None:
        return None
    try:
        key = idempotency_key(call.key)
    except ServiceError:
        return None
    if key is None:
        return None
    turns = services_of(request).turns
    found = turns.replay_start(call.workspace, call.workflow_id, key, call.body_hash, wait_of(body))
    return await about(request, None, found)


async def _exists(request: ApiRequest, workflow_id: str, body: dict[str, Any]) -> None:
    """Raises not_found for what a misshapen request names: the run, else the workflow."""
    named = named_run(body)
    run_id = decode_id(named) if isinstance(named, str) else None
    if run_id is None:
        await workflow_exists(request, workflow_id)
        return
    record = await services_of(request).runs.facts(workspace_of(request), run_id)
    if record.run.workflow_id != workflow_id:
        raise ServiceError("not_found", "no such run")
    await run_exists(request, run_id)
