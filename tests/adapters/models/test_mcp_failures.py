"""Everything that servers of tools do wrong, over real sockets: each becomes one clear failure, at once."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.adapters.models.asking import echo, failure, stub_does, tools
from tests.stub_mcp import Do, StubMcp, Ways

BOTH = pytest.mark.parametrize("streams", [False, True], ids=["json", "events"])
UNREADABLE = "the reply cannot be read"
CUT_OFF = "the reply ended before the answer did"
TOO_LARGE = "the replies are larger than 8388608 bytes together"

REFUSALS = [
    (400, "provider_error", False),
    (401, "provider_error", False),
    (403, "provider_error", False),
    (404, "provider_error", False),
    (405, "provider_error", False),
    (408, "provider_error", True),
    (425, "provider_error", True),
    (429, "rate_limited", True),
    (500, "provider_error", True),
    (502, "provider_error", True),
    (503, "provider_error", True),
    (302, "provider_error", False),
]


@pytest.mark.parametrize(("status", "kind", "retryable"), REFUSALS)
@pytest.mark.parametrize("method", ["tools/call", "initialize", "server/discover"])
async def test_a_refusal_tells_its_status_and_body(
    mcp: StubMcp, method: str, status: int, kind: str, retryable: bool
) -> None:
    refusal = Do(on=method, status=status, body="because", headers={"Content-Type": "text/plain", "Retry-After": "7"})
    mcp.plan = [refusal]
    if method == "server/discover" and status in (400, 404, 405, 500):
        assert await echo(mcp) == "said: hello"  # an older server that says so
        return
    found = await failure(echo(mcp))
    assert (found.error_type, found.retryable, found.message) == (kind, retryable, f"the server answered {status}")
    assert found.details == {"status_code": status, "body": "because"}
    assert found.retry_after_seconds == 7
    assert mcp.methods[-1] == method


async def test_a_session_that_is_gone_may_be_tried_again(mcp: StubMcp) -> None:
    mcp.ways = Ways(sessions=True)
    found = await failure(stub_does(mcp, status=404, body="gone"))
    assert (found.error_type, found.retryable, found.message) == ("provider_error", True, "the server answered 404")


@pytest.mark.parametrize("status", [200, 400, 404])
@BOTH
async def test_an_error_of_the_protocol_is_final(mcp: StubMcp, status: int, streams: bool) -> None:
    mcp.ways = Ways(streams=streams and status == 200)
    for code in (-32602, -32000, -32700, 5):
        found = await failure(stub_does(mcp, status=status, error={"code": code, "message": "unknown tool"}))
        assert (found.error_type, found.retryable) == ("provider_error", False)
        assert found.message == "the server reports an error: unknown tool"


async def test_an_error_without_an_id_answers_too(mcp: StubMcp) -> None:
    for status in (200, 400):
        body = '{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "bad"}}'
        found = await failure(stub_does(mcp, status=status, body=body))
        assert found.message == "the server reports an error: bad"


@pytest.mark.parametrize(
    ("fault", "streams", "kind", "message"),
    [
        ("drop", False, "http_connection", UNREADABLE),
        ("drop_midway", False, "http_connection", UNREADABLE),
        ("end_early", False, "http_connection", UNREADABLE),
        ("drop_midway", True, "http_connection", UNREADABLE),
        ("end_early", True, "http_connection", CUT_OFF),
        ("huge", False, "too_large", TOO_LARGE),
        ("bomb", False, "too_large", TOO_LARGE),
        ("endless", True, "too_large", TOO_LARGE),
    ],
)
@pytest.mark.parametrize("method", ["tools/call", "initialize"])
async def test_a_reply_that_is_none(
    mcp: StubMcp, method: str, fault: Any, streams: bool, kind: str, message: str
) -> None:
    mcp.ways = Ways(streams=streams)
    mcp.plan = [Do(on=method, fault=fault)]
    found = await failure(echo(mcp))
    assert (found.error_type, found.message, found.retryable) == (kind, message, kind != "too_large")
    assert mcp.methods.count(method) == 1


async def test_a_stream_that_breaks_after_an_event_with_an_id_is_not_waited_for(mcp: StubMcp) -> None:
    await echo(mcp)  # loads the library
    mcp.ways = Ways(streams=True)
    started = time.monotonic()
    found = await failure(stub_does(mcp, ends="event-1", retry_seconds=60, fault="drop_midway"))
    assert (found.error_type, found.message) == ("http_connection", UNREADABLE)
    assert time.monotonic() - started < 2


async def test_pages_are_too_large_together(mcp: StubMcp) -> None:
    large = {"type": "object", "x": "y" * 60_000}
    mcp.ways = Ways(tools=[{"name": f"t{at}", "inputSchema": large} for at in range(200)], page_size=10)
    found = await failure(tools(mcp))
    assert (found.error_type, found.message) == ("too_large", TOO_LARGE)


async def test_a_server_that_asks_back_for_ever(mcp: StubMcp) -> None:
    pings = [{"jsonrpc": "2.0", "id": at, "method": "ping"} for at in range(1_000, 1_500)]
    found = await failure(stub_does(mcp, events=pings, fault="hang_midway"))
    assert (found.error_type, found.message) == ("provider_error", "the server wants more than 150 exchanges")


async def test_a_stream_that_is_never_finished_but_often_read_on(mcp: StubMcp) -> None:
    mcp.plan = [Do(on="GET", ends="again", retry_seconds=0) for _ in range(300)]
    found = await failure(stub_does(mcp, ends="again", retry_seconds=0))
    assert found.message == "the server wants more than 150 exchanges"


async def test_a_stream_that_cannot_be_read_on(mcp: StubMcp) -> None:
    mcp.plan = [Do(on="GET", status=405, body="")]
    found = await failure(stub_does(mcp, ends="event-1"))
    assert (found.error_type, found.message, found.retryable) == ("http_connection", CUT_OFF, True)


def message(**fields: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", **fields})


BODIES = [
    ("", "it is no JSON object"),
    ("{", "it is no JSON object"),
    ("[" * 100_000, "it is no JSON object"),
    ("null", "it is no JSON object"),
    ("[]", "it is no JSON object"),
    ("{}", "it answers something else"),
    (message(method="notifications/x"), "it answers something else"),
    (message(id=999, result={"content": []}), "it answers something else"),
    (message(id=True, result={"content": []}), "it answers something else"),
    (message(error="x"), "its error has a wrong form"),
    (message(error={"code": "x", "message": "y"}), "its error has a wrong form"),
    (message(error={"code": 1}), "its error has a wrong form"),
]


@pytest.mark.parametrize(("body", "why"), BODIES, ids=[body[:60] for body, _ in BODIES])
async def test_a_message_of_a_wrong_form(mcp: StubMcp, body: str, why: str) -> None:
    found = await failure(stub_does(mcp, body=body))
    assert (found.error_type, found.message, found.retryable) == ("provider_error", f"{UNREADABLE}: {why}", True)


@pytest.mark.parametrize(
    "result", [5, {}, {"content": 5}, {"content": [{"type": "x"}]}, {"content": [], "isError": {}}]
)
@BOTH
async def test_a_result_of_a_wrong_form(mcp: StubMcp, result: Any, streams: bool) -> None:
    mcp.ways = Ways(streams=streams)
    found = await failure(stub_does(mcp, result=result))
    assert (found.error_type, found.message, found.retryable) == (
        "provider_error",
        f"{UNREADABLE}: it has a wrong form",
        True,
    )
    assert len(mcp.calls) == 1


@pytest.mark.parametrize("event", ["{broken", "5", "[" * 100_000, '"text"', "\x00"])
async def test_an_event_of_a_wrong_form(mcp: StubMcp, event: str) -> None:
    mcp.ways = Ways(streams=True)
    found = await failure(stub_does(mcp, events=[event], fault="hang_midway"))
    assert (found.error_type, found.message) == ("provider_error", f"{UNREADABLE}: it has a wrong form")


@pytest.mark.parametrize("media", ["text/html", "text/plain", ""])
@pytest.mark.parametrize("method", ["tools/call", "initialize", "server/discover"])
async def test_a_page_instead_of_a_message(mcp: StubMcp, method: str, media: str) -> None:
    mcp.plan = [Do(on=method, body="<html>Welcome</html>", headers={"Content-Type": media})]
    found = await failure(echo(mcp))
    assert (found.error_type, found.retryable) == ("provider_error", True)
    assert found.message == f"{UNREADABLE}: it is neither JSON nor a stream of events"


@pytest.mark.parametrize("status", [201, 202, 204])
async def test_a_call_that_is_taken_but_not_answered(mcp: StubMcp, status: int) -> None:
    found = await failure(stub_does(mcp, status=status, body=""))
    assert found.message == f"{UNREADABLE}: there is no answer in it"


async def test_a_session_that_cannot_be_named(mcp: StubMcp) -> None:
    mcp.plan = [Do(on="initialize", headers={"Mcp-Session-Id": "sess\u00e4"})]
    found = await failure(echo(mcp))
    assert (found.error_type, found.message) == ("provider_error", f"{UNREADABLE}: its session cannot be named")


async def test_a_version_that_nobody_knows(mcp: StubMcp) -> None:
    result = {"protocolVersion": "1999-01-01", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
    mcp.plan = [Do(on="initialize", result=result)]
    found = await failure(echo(mcp))
    assert (found.error_type, found.message) == ("provider_error", f"{UNREADABLE}: it has a wrong form")


async def test_tools_of_a_wrong_form(mcp: StubMcp) -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"x": deep}
    for schema in (5, None, deep):
        mcp.ways = Ways(tools=[{"name": "x", "inputSchema": schema}])
        found = await failure(tools(mcp))
        assert (found.error_type, found.retryable) == ("provider_error", True)
        assert found.message == f"{UNREADABLE}: it has a wrong form"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", 10**5_000], ids=["nan", "inf", "half", "big"])
async def test_arguments_that_cannot_be_sent(mcp: StubMcp, value: Any) -> None:
    found = await failure(echo(mcp, value))
    assert (found.error_type, found.retryable, mcp.seen) == ("invalid_value", False, [])
