"""Every exception in the words of the dialect: `{message, error, details?, run?}` and a status. Never a traceback."""

import uuid
from typing import Any, Final

import structlog
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import Scope

from app.api.fields import UnsupportedMediaTypeError
from app.api.interactive.views import reply_of
from app.api.services import ApiRequest
from app.engine.state import UnknownFormatError
from app.engine.values import UnstorableValueError, to_json
from app.ports import StoreUnavailableError
from app.services.errors import Code, ServiceError

STATUSES: Final[dict[Code, int]] = {
    "not_found": 404,
    "invalid_request": 400,
    "invalid_input": 422,
    "invalid_graph": 422,
    "invalid_answer": 422,
    "invalid_value": 422,
    "missing_answer": 422,
    "ambiguous_answer": 422,
    "unknown_pause": 422,
    "idempotency_mismatch": 422,
    "too_large": 422,
    "not_an_approver": 403,
    "self_approval": 403,
    "run_ended": 409,
    "run_active": 409,
    "run_paused": 409,
    "not_paused": 409,
    "turn_in_progress": 409,
    "turn_mismatch": 409,
    "pause_already_answered": 409,
    "pause_expired": 409,
    "already_voted": 409,
    "version_conflict": 409,
    "graph_mismatch": 409,
    "state_gone": 410,
    "limit_reached": 429,
    "unavailable": 503,
}
_retried: Final[frozenset[Code]] = frozenset({"turn_in_progress", "limit_reached", "unavailable"})
# status -> code, and a message where Litestar's own may show more than we want
STATUS_WORDS: Final[dict[int, tuple[str, str | None]]] = {
    400: ("invalid_request", "the request is not valid"),
    401: ("unauthorized", None),
    403: ("forbidden", None),
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take this method"),
    413: ("body_too_large", "the body is too large"),
    415: ("unsupported_media_type", "the body must be application/json"),
}
_log = structlog.get_logger("antiphon.api")


def answer(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response[bytes]:
    """A JSON reply; integers of any size."""
    return Response(to_json(body), status_code=status, media_type="application/json", headers=headers)


def run_headers(run_id: str, turn: int) -> dict[str, str]:
    """The handle of a run, in every reply about it."""
    return {"X-Run-Id": run_id, "X-Turn-Number": str(turn)}


def note_run(request: ApiRequest, run_id: str, turn: int) -> None:
    """From now on an error is about this run, which the caller may see."""
    request.scope["state"]["run"] = (run_id, turn)


def error_id_of(scope: Scope) -> str | None:
    """The id of an unexpected error that was answered."""
    found: str | None = scope["state"].get("error_id")
    return found


def _refused(
    request: ApiRequest, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> Response[bytes]:
    noted = request.scope["state"].get("run")
    return answer(status, body, (run_headers(*noted) if noted else {}) | (headers or {}))


def _body(message: str, code: str) -> dict[str, Any]:
    return {"message": message, "error": code}


def on_service_error(request: ApiRequest, error: ServiceError) -> Response[bytes]:
    """Refused by a service or by a parser."""
    body = _body(error.message, error.code)
    headers: dict[str, str] = {}
    if error.details:
        body["details"] = [{"path": detail.path, "message": detail.message} for detail in error.details]
    if error.run_id is not None:
        headers["X-Run-Id"] = error.run_id
    if error.facts is not None:
        body["run"] = reply_of(error.facts)
        headers |= run_headers(error.facts.run_id, error.facts.turn)
    if error.retry_after is not None or error.code in _retried:
        headers["Retry-After"] = str(error.retry_after or 1)
    return _refused(request, STATUSES[error.code], body, headers)


def on_store_unavailable(request: ApiRequest, _: StoreUnavailableError) -> Response[bytes]:
    """The database is away."""
    body = _body("the database cannot be reached; try again", "unavailable")
    return _refused(request, 503, body, {"Retry-After": "1"})


def on_newer_state(request: ApiRequest, _: UnknownFormatError) -> Response[bytes]:
    """A newer server has the run; it will do."""
    body = _body("a newer server has written this run; try again", "unavailable")
    return _refused(request, 503, body, {"Retry-After": "60"})


def on_unstorable(request: ApiRequest, error: UnstorableValueError) -> Response[bytes]:
    """Something in the body is no value that can be kept: half a surrogate pair, an integer of thousands of digits."""
    return _refused(request, 422, _body(f"a value cannot be kept: {error}", "invalid_value"))


def on_media_type(request: ApiRequest, _: UnsupportedMediaTypeError) -> Response[bytes]:
    code, message = STATUS_WORDS[415]
    return _refused(request, 415, _body(message or "", code))


def on_http_error(request: ApiRequest, error: HTTPException) -> Response[bytes]:
    """What Litestar refuses, and what our guards do."""
    if error.status_code >= 500:
        return on_unexpected(request, error)
    code, message = STATUS_WORDS.get(error.status_code, ("invalid_request", None))
    return _refused(request, error.status_code, _body(message or error.detail, code), dict(error.headers or {}))


def log_unexpected(scope: Scope, error: Exception) -> str:
    """Logs it once, with where it was raised. Returns the id to look for."""
    error_id = scope["state"]["error_id"] = uuid.uuid4().hex
    path = scope.get("path_template", "unmatched")
    _log.error("unexpected error", error_id=error_id, path=path, exc_info=error)
    return error_id


def on_unexpected(request: ApiRequest, error: Exception) -> Response[bytes]:
    """500 with an id under which the log has the rest."""
    error_id = log_unexpected(request.scope, error)
    return _refused(request, 500, _body(f"something went wrong; the log has it under {error_id}", "internal_error"))


HANDLERS: Final[dict[Any, Any]] = {
    ServiceError: on_service_error,
    StoreUnavailableError: on_store_unavailable,
    UnstorableValueError: on_unstorable,
    UnknownFormatError: on_newer_state,
    UnsupportedMediaTypeError: on_media_type,
    HTTPException: on_http_error,
    Exception: on_unexpected,
}
