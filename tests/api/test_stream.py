"""The events of a run as a stream, as far as it ends by itself: those that stay open are for real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from app.api.interactive.stream import COMMENT, frames
from app.engine.messages import RunStarted
from app.ports import StoreUnavailableError
from app.services.reading import Frame
from tests.api.sites import NOBODY, Site, handle, said

RUNS = "/v1/workflow-runs"


async def ended_run(site: Site) -> tuple[str, list[dict[str, Any]]]:
    """An ended run and the events of its turns."""
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, message="Ada")
    turns = [(await site.get(f"{RUNS}/{run_id}/turns/{number}")).json() for number in (1, 2)]
    return run_id, [event for turn in turns for event in turn["events"]]


def events_in(reply: httpx.Response) -> list[dict[str, Any]]:
    """The events; that `id` and `event` agree with them is checked."""
    found = []
    for part in reply.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in part.splitlines() if not line.startswith(":"))
        if fields:
            event = msgspec.json.decode(fields["data"])
            assert (fields["id"], fields["event"]) == (str(event["seq"]), event["type"])
            found.append(event)
    return found


async def test_a_stream_has_every_event_of_a_run_across_turns(site: Site) -> None:
    run_id, events = await ended_run(site)
    reply = await site.get(f"{RUNS}/{run_id}/events", key="read")
    assert (reply.status_code, *handle(reply)) == (200, run_id, "2")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert events_in(reply) == [{**event, "run_id": run_id} for event in events]


async def test_a_stream_resumes_behind_a_cursor(site: Site) -> None:
    run_id, events = await ended_run(site)
    last = events[-1]["seq"]
    for given, after in (
        ({"headers": {"Last-Event-ID": "5"}}, 5),
        ({"params": {"after": "7"}}, 7),
        ({"headers": {"Last-Event-ID": "5"}, "params": {"after": "7"}}, 5),
        ({"params": {"after": str(last)}}, last),
        ({"params": {"after": "0"}}, 0),
    ):
        reply = await site.get(f"{RUNS}/{run_id}/events", **given)
        assert [event["seq"] for event in events_in(reply)] == list(range(after + 1, last + 1))


@pytest.mark.parametrize("cursor", ["x", "-1", "1.0", "999999", "9" * 16])
async def test_a_cursor_that_is_unknown_or_in_the_future_is_refused(site: Site, cursor: str) -> None:
    _, run_id = await site.started()
    for given in ({"headers": {"Last-Event-ID": cursor}}, {"params": {"after": cursor}}):
        reply = await site.get(f"{RUNS}/{run_id}/events", **given)
        assert (*said(reply), *handle(reply)) == (400, "invalid_request", run_id, "1")
    assert said(await site.get(f"{RUNS}/{NOBODY}/events?after={cursor}")) == (404, "not_found")


@pytest.mark.parametrize("error", [StoreUnavailableError(), RuntimeError("secret")])
async def test_a_stream_that_breaks_just_ends(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    async def breaking() -> AsyncIterator[list[Frame] | None]:
        yield [Frame(RunStarted(seq=1, at=1.0), "1")]
        yield None
        raise error

    scope: Any = {"state": {}}
    found = [chunk async for chunk in frames(scope, "f" * 24, breaking())]
    assert [chunk.partition(b"\n")[0] for chunk in found] == [b": open", b"id: 1", COMMENT.partition(b"\n")[0]]
    assert ("error_id" in scope["state"]) is isinstance(error, RuntimeError)
    capsys.readouterr()
