"""Parameters, headers and refusals, as the OpenAPI document shows them: the same ones for every operation."""

from typing import Any, Final

from app.api.errors import STATUS_WORDS, STATUSES
from app.api.fields import MAX_INT
from app.api.interactive import examples
from app.api.interactive.requests import MAX_PAGE
from app.api.interactive.schemas import STATUSES as RUN_STATUSES

Json = dict[str, Any]

RUN_ID: Final = "66b0c9a2f1d3e4a5b6c7d8e9"
WORKFLOW_ID: Final = "66b0c8f0f1d3e4a5b6c7d8e0"
_uuid: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_number: Final = "[1-9][0-9]{0,17}"
_time: Final = r"^\d{1,12}(\.\d{1,9})?$"


def _parameter(name: str, place: str, schema: Json, example: Any, description: str) -> Json:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": schema,
        "example": example,
    }


def _text(pattern: str) -> Json:
    return {"type": "string", "pattern": pattern}


def _integer(least: int, most: int = MAX_INT) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most}


_workflow_id: Final = _text(f"^([0-9a-f]{{24}}|wf_[0-9a-f]{{24}}|{_number}|{_uuid})$")
PATH: Final[dict[str, Json]] = {
    "workflow_id": _parameter(
        "workflow_id", "path", _workflow_id, WORKFLOW_ID, "A workflow: its id, number, handle or UUID."
    ),
    "run_id": _parameter(
        "run_id", "path", _text(f"^([0-9a-f]{{24}}|{_number}|{_uuid})$"), RUN_ID, "A run: its id, number or UUID."
    ),
    "pause_id": _parameter(
        "pause_id", "path", _text("^pause_[1-9][0-9]{0,8}$"), "pause_1", "An open pause of the run."
    ),
    "token": _parameter(
        "token", "path", _text("^[A-Za-z0-9_-]{68}$"), "ZrDJovHT5KW2x9jp" * 4 + "AAAB", "A link's token."
    ),
    "name": _parameter(
        "name", "path", _text("^[A-Za-z_][A-Za-z0-9_-]{0,63}$"), "crm_token", "The name of a secret or a provider."
    ),
    "other": _parameter("other", "path", _integer(0), 2, "The number of the version to compare with."),
    "number": _parameter("number", "path", _integer(0), 1, "The number of a version (from 0) or turn (from 1)."),
}
_page: Final = [
    _parameter("page", "query", {**_integer(1, MAX_PAGE), "default": 1}, 1, "Counted from 1."),
    _parameter("size", "query", {**_integer(1, 100), "default": 20}, 20, "Items on a page."),
]
QUERIES: Final[dict[str, list[Json]]] = {
    "version": [
        _parameter("version", "query", _integer(0), 0, "The version; by default the active one."),
    ],
    "page": _page,
    "runs": [
        *_page,
        _parameter(
            "status", "query", {"type": "string", "enum": list(RUN_STATUSES)}, "completed", "Only runs that stand so."
        ),
        _parameter("workflow_id", "query", _workflow_id, WORKFLOW_ID, "Only runs of this workflow."),
        _parameter(
            "start", "query", _text(_time), "1767225600", "Created at or after: unix seconds, or an ISO 8601 time."
        ),
        _parameter("end", "query", _text(_time), "1798761600", "Created at or before: unix seconds or ISO 8601."),
        _parameter(
            "search",
            "query",
            {"type": "string", "maxLength": 200},
            "greet",
            "Only runs with this id or number, and those of workflows with this in their name, or as their id.",
        ),
    ],
    "events": [
        _parameter("after", "query", _integer(0, 10**15 - 1), 0, "Only events with a higher `seq`."),
        _parameter("Last-Event-ID", "header", _text(r"^\d{1,15}$"), "0", "The same; it goes before `after`."),
    ],
}
HEADERS: Final[dict[str, Json]] = {
    "Idempotency-Key": _parameter(
        "Idempotency-Key",
        "header",
        {**_text("^[!-~]([ -~]*[!-~])?$"), "minLength": 1, "maxLength": 255},
        "order-4711",
        "The same key and body get the same reply; the key with another body is refused.",
    ),
    "If-Match": _parameter(
        "If-Match", "header", _text(r'^"\d{1,18}"$'), '"0"', "Only if this version is still the active one."
    ),
}


def _header(schema: Json, example: Any, description: str, *, required: bool = False) -> Json:
    return {"description": description, "required": required, "schema": schema, "example": example}


RUN_HEADERS: Final = {
    "X-Run-Id": _header(_text("^[0-9a-f]{24}$"), RUN_ID, "The run that the reply is about.", required=True),
    "X-Turn-Number": _header(_integer(0), 1, "The turn, counted from 1.", required=True),
}
REPLAYED: Final = {
    "Idempotency-Replayed": _header(
        {"type": "string", "enum": ["true"]}, "true", "The stored reply of the first call."
    ),
}
TAG: Final = {"ETag": _header(_text(r'^"\d+"$'), '"0"', "The active version, for If-Match.", required=True)}
_retry_after: Final = {"Retry-After": _header(_integer(1), 1, "Seconds to wait before the next try.")}
_optional_run: Final = {name: {**header, "required": False} for name, header in RUN_HEADERS.items()}

_messages: Final = {
    "invalid_request": "the body is no valid JSON",
    "unauthorized": "a valid API key is needed",
    "forbidden": "this needs a key with the scope edit",
    "not_found": "no such run",
    "turn_in_progress": "the run is not waiting for input",
    "state_gone": "the state after this turn is no longer kept",
    "invalid_value": "the request is not valid",
    "limit_reached": "as many runs are at work as are allowed",
    "unavailable": "the database cannot be reached; try again",
}
_shown: Final = {409: "turn_in_progress", 422: "invalid_value"}
_refusals: Final = {
    400: "The request makes no sense.",
    401: "There is no valid API key.",
    403: "The key may not do this.",
    404: "There is no such thing in this workspace.",
    409: "It cannot be done as things stand.",
    410: "What is needed is no longer kept.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value does not fit; `details` has each with its path.",
    429: "As many runs are at work as are allowed.",
    503: "The database does not answer.",
}


TEXTS: Final = {
    "text/event-stream": examples.EVENTS,
    "text/plain": 'antiphon_requests_seconds_count{method="GET",path="/v1/workflows",status="200"} 1.0\n',
    "text/html": "<!doctype html>…",
}

# The text as a whole, and each of its events: tools differ in what the schema of a stream is of.
STREAM: Final[Json] = {
    "type": ["string", "object"],
    "description": "Server-sent events. `data` of each is JSON.",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
    "required": ["id", "event", "data"],
}


def meaning(status: int) -> str:
    """Of a refusal with this status."""
    return _refusals[status]


def codes(status: int) -> list[str]:
    """What `error` may say in a refusal with this status."""
    found = [code for code, its_status in STATUSES.items() if its_status == status]
    general = STATUS_WORDS.get(status)
    return sorted({*found, general[0]} if general else set(found))


def refusal(status: int) -> Json:
    """A response with an error body."""
    known = codes(status)
    error = _shown.get(status, known[0])
    body: Json = {"message": _messages.get(error, _refusals[status]), "error": error}
    if status == 422:
        body["details"] = [{"path": "run_input.wait_seconds", "message": "must be a number from 0 to 600"}]
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"error": {"enum": known}}}]}
    return {
        "description": _refusals[status],
        "headers": _optional_run | (_retry_after if status in (409, 429, 503) else {}),
        "content": {"application/json": {"schema": schema, "examples": {error: {"value": body}}}},
    }


def refusals() -> Json:
    """All of them, by their names in the document."""
    return {refusal_name(status): refusal(status) for status in _refusals}


def refusal_name(status: int) -> str:
    return f"Refused{status}"
