"""What the handlers share: ids and pages out of a request, the order of checks, and JSON replies."""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from litestar.response.base import ASGIResponse

from app.api import ids
from app.api.auth import workspace_of
from app.api.errors import note_run, run_headers
from app.api.fields import digits
from app.api.services import ApiRequest, services_of
from app.engine.values import to_json
from app.ports import StoreUnavailableError
from app.services.errors import Detail, ServiceError
from app.services.runs import RunRecord

JSON: Final = "application/json"
MAX_PAGE: Final = 1_000_000_000
_seconds: Final = re.compile(r"\d{1,12}(\.\d{1,9})?")
Reply = ASGIResponse  # what Litestar makes of a Response in the end: a tenth of a request's time saved
T = TypeVar("T")


async def workflow_id_of(request: ApiRequest) -> str:
    """The id in the path, from any of its forms. Raises invalid_value, not_found."""
    text = request.path_params["workflow_id"]
    number = ids.number(text)
    if number is None:
        return ids.workflow_id(text)
    return await services_of(request).workflows.id_of_number(workspace_of(request), number)


async def run_id_of(request: ApiRequest) -> str:
    """The id in the path, from any of its forms. Raises invalid_value, not_found."""
    text = request.path_params["run_id"]
    number = ids.number(text)
    if number is None:
        return ids.run_id(text)
    return await services_of(request).runs.id_of_number(workspace_of(request), number)


async def number_of(request: ApiRequest, field: str) -> int:
    """A version or turn number in the path. Raises invalid_value. A coroutine for `shaped`."""
    return digits(request.path_params["number"], field)


def page_of(request: ApiRequest) -> tuple[int, int]:
    """`page` from 1 and `size` up to 100. Raises invalid_value with both faults."""
    found, faults = [], []
    for name, default, most in (("page", 1, MAX_PAGE), ("size", 20, 100)):
        try:
            found.append(digits(request.query_params.get(name, str(default)), name, 1, most))
        except ServiceError as error:
            faults += error.details
    if faults:
        raise ServiceError("invalid_value", "the page is not valid", details=faults)
    return found[0], found[1]


async def shaped(parsing: Awaitable[T], exists: Callable[[], Awaitable[object]]) -> T:
    """What parsing brings. A misshapen request for something that does not exist is answered for the latter."""
    try:
        return await parsing
    except Exception:
        await exists()
        raise


async def workflow_exists(request: ApiRequest, workflow_id: str) -> None:
    """Raises not_found."""
    await services_of(request).workflows.get(workspace_of(request), workflow_id)


async def run_exists(request: ApiRequest, run_id: str) -> RunRecord:
    """The run, from now on what an error is about. Raises not_found."""
    record = await services_of(request).runs.facts(workspace_of(request), run_id)
    note_run(request, record.run.id, record.run.turn)
    return record


async def about(request: ApiRequest, run_id: str | None, work: Awaitable[T]) -> T:
    """What a service brings. If it refuses, the answer says which run that is about, and its turn."""
    try:
        return await work
    except ServiceError as error:
        run_id = error.run_id or run_id
        if run_id is not None and error.facts is None and error.code != "unavailable":
            with suppress(ServiceError, StoreUnavailableError):
                await run_exists(request, run_id)
        raise


def shown(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """A JSON reply."""
    return ASGIResponse(body=to_json(body), status_code=status, media_type=JSON, headers=headers)


def about_run(body: bytes, run_id: str, turn: int, *, status: int = 200, replayed: bool = False) -> Reply:
    """A reply about a run, with its handle in the headers."""
    headers = run_headers(run_id, turn)
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return ASGIResponse(body=body, status_code=status, media_type=JSON, headers=headers)


def run_shown(body: dict[str, Any], run_id: str, turn: int, *, status: int = 200, replayed: bool = False) -> Reply:
    """The same, from a value."""
    return about_run(to_json(body), run_id, turn, status=status, replayed=replayed)


def moment(request: ApiRequest, name: str) -> float | None:
    """A time in the query: unix seconds, or ISO 8601 (UTC unless it says otherwise)."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text) if not _seconds.fullmatch(text) else None
        if found is None:
            return float(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        detail = Detail(name, "must be unix seconds or an ISO 8601 time")
        raise ServiceError("invalid_value", f"{name} is no time", details=[detail]) from None
