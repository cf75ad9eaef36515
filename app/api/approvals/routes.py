"""`/a/{token}`: looking shows the form and changes nothing; posting it votes as the approver whose link it is.

No key is needed: the token is one. It is not logged, and no page sends it on.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

from litestar import get, post
from litestar.exceptions import HTTPException
from litestar.response.base import ASGIResponse

from app.api.approvals import page
from app.api.approvals.form import Errors, Typed, errors_of, typed, untouched, vote_of
from app.api.describe import Shape, described
from app.api.services import ApiRequest, services_of
from app.engine.values import UnstorableValueError
from app.ports import StoreUnavailableError
from app.services.approvals import Opened
from app.services.errors import Code, ServiceError
from app.services.links import PAGE

FORM: Final = "application/x-www-form-urlencoded"
_gone: Final[dict[Code, tuple[str, str]]] = {
    "pause_already_answered": ("Decided", "This has been decided already. There is nothing left to vote on."),
    "already_voted": ("You have voted", "Your vote has been counted before. There is nothing left to do."),
    "pause_expired": ("Too late", "Nobody decided this in time. There is nothing left to vote on."),
    "run_ended": ("Over", "What this was about has ended. There is nothing left to vote on."),
}
_barred: Final[dict[Code, tuple[str, str]]] = {
    "self_approval": ("Not yours to decide", "You started this yourself, so that others have to decide it."),
    "not_an_approver": ("Not yours to decide", "You are not among those who decide this."),
}
_wrong: Final = frozenset[Code]({"invalid_answer", "invalid_value", "too_large", "missing_answer"})
_wait: Final[dict[Code, str]] = {
    "run_paused": "this is on hold for now; try again later",
    "turn_in_progress": "this is busy just now; try again in a moment",
    "turn_mismatch": "this has changed meanwhile; try again",
    "limit_reached": "there is too much going on just now; try again in a moment",
}


class VoteForm(Shape, frozen=True, kw_only=True):
    """The form of the page: fields by their places, `f0`, `f1` and so on."""

    examples: ClassVar[dict[str, Any]] = {"vote": {"action": "approve", "reason": "", "f0": "250"}}

    action: str
    reason: str = ""


@get(
    PAGE + "{token:str}",
    opt=described(
        "Look at what a link asks to decide", None, None, None, also=(403, 404, 410, 422, 503), media="text/html"
    ),
)
async def look(request: ApiRequest) -> ASGIResponse:
    async def shown() -> ASGIResponse:
        opened = await services_of(request).approvals.look(request.path_params["token"])
        return _form(200, opened, untouched(opened.ballot.fields))

    return await _answered(shown)


@post(
    PAGE + "{token:str}",
    status_code=200,
    opt=described(
        "Vote by a link",
        None,
        VoteForm,
        None,
        also=(400, 403, 404, 409, 410, 413, 415, 422, 429, 503),
        takes=FORM,
        media="text/html",
    ),
)
async def vote(request: ApiRequest) -> ASGIResponse:
    return await _answered(lambda: _vote(request))


async def _vote(request: ApiRequest) -> ASGIResponse:
    token, approvals = request.path_params["token"], services_of(request).approvals
    opened = await approvals.look(token)
    body = await request.body()
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return _notice(415, "Not understood", "Only the form of this page can be sent here.")
    fields = opened.ballot.fields
    try:
        given = typed(body, fields)
    except ValueError:
        return _notice(422, "Not understood", "There is more in this form than it has fields.")
    try:
        await approvals.vote(token, vote_of(given, fields))
    except ServiceError as error:
        if error.code in _wrong:
            errors = errors_of(error.details, opened.question.pause_id, fields)
            return _form(422, opened, given, errors if error.details else Errors(whole=(error.message,)))
        if error.code in _wait:
            return _form(
                429 if error.code == "limit_reached" else 409, opened, given, Errors(whole=(_wait[error.code],))
            )
        raise
    except UnstorableValueError:
        return _form(422, opened, given, Errors(whole=("there is something in it that cannot be kept",)))
    chosen = next((action.title for action in opened.ballot.actions if action.id == given.action), given.action or "")
    return _notice(200, "Thank you", f"Your vote has been counted: {chosen}.")


async def _answered(work: Callable[[], Awaitable[ASGIResponse]]) -> ASGIResponse:
    """What comes of it, or a page that says why not."""
    try:
        return await work()
    except ServiceError as error:
        if error.code in _gone:
            return _notice(410, *_gone[error.code])
        if error.code in _barred:
            return _notice(403, *_barred[error.code])
        if error.code == "not_found":
            return _notice(404, "Not found", "There is nothing behind this link. Maybe it was not copied as a whole.")
        if error.code == "unavailable":
            return _unavailable()
        return _notice(409, "Not possible", "This cannot be decided as things stand. Ask who has sent you the link.")
    except StoreUnavailableError:
        return _unavailable()
    except HTTPException as error:  # of the body: too large, or it ended early
        return _notice(error.status_code, "Not understood", "What was sent is too large, or came only in part.")


def _unavailable() -> ASGIResponse:
    return _notice(503, "Not now", "Try again in a moment. Sending the form twice does no harm.", {"Retry-After": "1"})


def _notice(status: int, title: str, text: str, headers: dict[str, str] | None = None) -> ASGIResponse:
    return _html(status, page.notice(title, text), headers)


def _form(status: int, opened: Opened, given: Typed, errors: Errors | None = None) -> ASGIResponse:
    return _html(status, page.form(opened, given, errors or Errors()))


def _html(status: int, text: str, headers: dict[str, str] | None = None) -> ASGIResponse:
    return ASGIResponse(
        body=text.encode(errors="replace"),
        status_code=status,
        media_type="text/html",
        headers={**page.HEADERS, **(headers or {})},
    )


HANDLERS: list[Any] = [look, vote]
