"""`GET /v1/workflow-runs/{id}/events`: every event of a run as Server-Sent Events, resumable by number."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, cast

import msgspec
from litestar import get
from litestar.response import Stream
from litestar.types import Scope

from app.api.auth import needs, workspace_of
from app.api.describe import described
from app.api.errors import log_unexpected, run_headers
from app.api.interactive.events import event_of
from app.api.interactive.requests import run_exists, run_id_of
from app.api.services import ApiRequest, services_of
from app.engine.values import to_json
from app.ports import StoreUnavailableError
from app.services.cursors import TextDelta, TextReset, cursor_of
from app.services.errors import ServiceError
from app.services.reading import Frame

COMMENT = b": still here\n\n"


@get(
    "/v1/workflow-runs/{run_id:str}/events",
    guards=[needs("read")],
    opt=described("Follow the events of a run", "read", None, None, query="events", stream=True),
)
async def events(request: ApiRequest) -> Stream:
    """`id` is `seq`, with open texts behind it. Resumes behind `Last-Event-ID`, else behind `?after=`. Ends with the run."""
    record = await run_exists(request, await run_id_of(request))
    run = record.run
    behind = cursor_of(request.headers.get("last-event-id") or request.query_params.get("after"))
    if behind.after >= run.next_seq:  # checked here, so that the reply need not wait for the first event
        raise ServiceError("invalid_request", f"there is no event {behind.after} yet")
    headers = run_headers(run.id, run.turn) | {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    found = services_of(request).runs.follow(workspace_of(request), run.id, behind)
    return Stream(frames(request.scope, run.id, found), media_type="text/event-stream", headers=headers)


def frame(run_id: str, one: Frame) -> bytes:
    """One event, or text of a model; JSON has no line breaks of its own. Every frame names the run, the first one must."""
    item = one.item
    if isinstance(item, TextDelta):
        words = {"type": "text_delta", **msgspec.structs.asdict(item)}
    elif isinstance(item, TextReset):
        words = {"type": "text_reset", **msgspec.structs.asdict(item)}
    else:
        words = event_of(run_id, item)
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        one.cursor.encode(),
        words["type"].encode(),
        to_json({**words, "run_id": run_id}),
    )


async def frames(scope: Scope, run_id: str, found: AsyncIterator[Sequence[Frame] | None]) -> AsyncIterator[bytes]:
    """The bytes of the stream. The source is closed when the reader leaves. The reply has begun with 200: whatever goes
    wrong now ends it, and the reader comes back with `Last-Event-ID`."""
    yield b": open\n\n"
    try:
        async with aclosing(cast(Any, found)) as source:
            async for batch in source:
                yield COMMENT if batch is None else b"".join(frame(run_id, one) for one in batch)
    except (ServiceError, StoreUnavailableError):  # deleted, or the database is away
        return
    except Exception as error:
        log_unexpected(scope, error)


HANDLERS: list[Any] = [events]
