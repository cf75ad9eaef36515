"""Tools of a server, listed and called over real sockets, in every way that servers speak."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from app.engine.talk import Tool
from tests.adapters.models.asking import KEY, TOKEN, echo, failure, server_of, servers, stub_does, tools
from tests.stub_mcp import LEGACY, MODERN, OBJECT, Do, StubMcp, Ways

HANDSHAKE = ["server/discover", "initialize", "notifications/initialized"]
LEFT = ["DELETE"]
WAYS = [
    (Ways(), HANDSHAKE, []),
    (Ways(streams=True), HANDSHAKE, []),
    (Ways(sessions=True), HANDSHAKE, LEFT),
    (Ways(sessions=True, streams=True), HANDSHAKE, LEFT),
    (Ways(modern=True), ["server/discover"], []),
    (Ways(modern=True, streams=True), ["server/discover"], []),
]
EVERY_WAY = pytest.mark.parametrize(("ways", "before", "after"), WAYS, ids=[str(ways[0])[:60] for ways in WAYS])
BOTH = pytest.mark.parametrize("streams", [False, True], ids=["json", "events"])

# ---- listing and calling


@EVERY_WAY
async def test_tools_are_listed(mcp: StubMcp, ways: Ways, before: list[str], after: list[str]) -> None:
    mcp.ways = ways
    assert await tools(mcp) == [
        Tool(name=name, description=f"It is {name}", parameters=OBJECT) for name in ("echo", "stub")
    ]
    assert mcp.methods == [*before, "tools/list", *after]
    assert {seen.key for seen in mcp.seen} == {None}


@EVERY_WAY
async def test_a_tool_is_called_once_with_its_key(
    mcp: StubMcp, ways: Ways, before: list[str], after: list[str]
) -> None:
    mcp.ways = ways
    assert await echo(mcp) == "said: hello"
    assert mcp.methods == [*before, "tools/call", *after]
    keys = {(seen.method, seen.key, seen.meta_key) for seen in mcp.seen if seen.key or seen.meta_key}
    assert keys == {("tools/call", KEY, KEY)}
    assert (mcp.calls[0].tool, mcp.calls[0].params["arguments"]) == ("echo", {"text": "hello"})


@EVERY_WAY
async def test_every_message_has_the_headers_that_it_needs(
    mcp: StubMcp, ways: Ways, before: list[str], after: list[str]
) -> None:
    mcp.ways = ways
    await echo(mcp, headers={"Authorization": f"Bearer {TOKEN}", "Accept": "x", "MCP-Session-Id": "mine"})
    for seen in mcp.seen:
        headers = dict(seen.headers)
        assert headers["authorization"] == f"Bearer {TOKEN}"
        assert headers["accept"] == "application/json, text/event-stream"
        assert headers["user-agent"] == "Antiphon"
        assert len(headers) == len(seen.headers)
        info = seen.params.get("clientInfo") or {"name": "antiphon"}
        assert info["name"] == "antiphon"
    later = dict(mcp.seen[-1].headers)
    assert later["mcp-protocol-version"] == (MODERN if ways.modern else LEGACY)
    assert later["mcp-session-id"] == ("session-1" if ways.sessions else "mine")


async def test_a_session_is_new_each_time_and_closed(mcp: StubMcp) -> None:
    mcp.ways = Ways(sessions=True)
    ours = servers()
    for _ in range(3):
        assert await ours.call(server_of(mcp), "echo", {"text": "x"}, KEY) == "said: x"
    assert (mcp.opened, mcp.sessions) == (3, set())


@pytest.mark.parametrize("seconds", [0, 30])
async def test_who_does_not_let_us_leave_does_not_keep_the_result(mcp: StubMcp, seconds: float) -> None:
    mcp.ways = Ways(sessions=True, leaving_seconds=seconds)
    mcp.plan = [] if seconds else [Do(on="DELETE", status=500)]
    assert await echo(mcp) == "said: hello"


async def test_a_stream_that_ends_early_is_read_on(mcp: StubMcp) -> None:
    assert await stub_does(mcp, ends="event-1", result={"content": [{"type": "text", "text": "x"}]}) == "x"
    assert Counter(mcp.methods)["tools/call"] == 1
    assert dict(mcp.seen[-1].headers)["last-event-id"] == "event-1"


@BOTH
async def test_questions_of_the_server_and_news_are_no_answer(mcp: StubMcp, streams: bool) -> None:
    mcp.ways = Ways(streams=streams)
    events = [
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "news"}},
        {"jsonrpc": "2.0", "id": 77, "method": "ping"},
        {"jsonrpc": "2.0", "id": 78, "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}},
        {"jsonrpc": "2.0", "id": 79, "method": "elicitation/create", "params": {"message": "x", "requestedSchema": {}}},
    ]
    content = [{"type": "text", "text": "done"}]
    assert await stub_does(mcp, events=events, result={"content": content}) == "done"


# ---- results

IMAGE = {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"}
RESULTS: list[tuple[dict[str, Any], Any]] = [
    ({"content": []}, ""),
    ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
    ({"content": [{"type": "text", "text": "a"}], "structuredContent": {"n": [1, None]}}, {"n": [1, None]}),
    ({"content": [], "structuredContent": {}}, {}),
    ({"content": [{"type": "text", "text": "a"}], "structuredContent": None}, "a"),
    (
        {"content": [{"type": "text", "text": "a"}, IMAGE]},
        ["a", {"type": "image", "mime_type": "image/png", "base64_length": 8}],
    ),
    (
        {"content": [{**IMAGE, "type": "audio", "mimeType": "audio/wav"}]},
        [{"type": "audio", "mime_type": "audio/wav", "base64_length": 8}],
    ),
    (
        {"content": [{"type": "resource_link", "uri": "file:///a", "name": "a"}]},
        [{"type": "resource_link", "mime_type": None, "uri": "file:///a", "name": "a"}],
    ),
    (
        {"content": [{"type": "resource", "resource": {"uri": "x://a", "mimeType": "text/plain", "text": "t"}}]},
        [{"type": "resource", "mime_type": "text/plain", "uri": "x://a", "text": "t"}],
    ),
    (
        {"content": [{"type": "resource", "resource": {"uri": "x://a", "blob": "aGVsbG8="}}]},
        [{"type": "resource", "mime_type": None, "uri": "x://a", "base64_length": 8}],
    ),
]


@pytest.mark.parametrize(("result", "value"), RESULTS, ids=[str(value)[:40] for _, value in RESULTS])
@BOTH
async def test_a_result_is_a_plain_value(mcp: StubMcp, result: Any, value: Any, streams: bool) -> None:
    mcp.ways = Ways(streams=streams)
    assert await stub_does(mcp, result=result) == value


async def test_what_a_tool_promises_of_its_result_is_not_checked_after_it_worked(mcp: StubMcp) -> None:
    promise = {"type": "object", "required": ["x"]}
    mcp.ways = Ways(tools=[{"name": "echo", "inputSchema": OBJECT, "outputSchema": promise}])
    assert await echo(mcp) == "said: hello"
    assert "tools/list" not in mcp.methods


@BOTH
async def test_a_tool_that_says_it_failed(mcp: StubMcp, streams: bool) -> None:
    mcp.ways = Ways(streams=streams)
    content = [{"type": "text", "text": "no such"}, IMAGE, {"type": "text", "text": "place"}]
    found = await failure(stub_does(mcp, result={"content": content, "isError": True}))
    assert (found.error_type, found.message, found.retryable) == ("provider_error", "no such\nplace", False)
    found = await failure(stub_does(mcp, result={"content": [], "isError": True}))
    assert found.message == "the tool failed and does not say why"


async def test_arguments_that_must_be_in_headers_too(mcp: StubMcp) -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string", "x-mcp-header": "Said"}}}
    mcp.ways = Ways(modern=True, page_size=1, tools=[{"name": name, "inputSchema": schema} for name in ("a", "echo")])
    mcp.plan = [Do(status=400, error={"code": -32020, "message": "headers"})]
    assert await echo(mcp) == "said: hello"
    assert mcp.methods == ["server/discover", "tools/call", "tools/list", "tools/list", "tools/call"]
    assert dict(mcp.seen[-1].headers)["mcp-param-said"] == "hello"


async def test_a_tool_that_wants_more_input_fails(mcp: StubMcp) -> None:
    mcp.ways = Ways(modern=True)
    asked = {"method": "elicitation/create", "params": {"mode": "form", "message": "?", "requestedSchema": OBJECT}}
    result = {"resultType": "input_required", "inputRequests": {"a": asked}, "requestState": "s"}
    found = await failure(stub_does(mcp, result=result))
    assert (found.error_type, found.retryable, len(mcp.calls)) == ("provider_error", False, 1)
    assert found.message == "the tool asks for more before it answers, which is not supported"


# ---- lists


def tool(name: str, description: str = "", schema: Any = None) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": schema or {"type": "object"}}


async def test_all_pages_are_read_up_to_a_thousand_tools(mcp: StubMcp) -> None:
    mcp.ways = Ways(tools=[tool(f"t{at}") for at in range(250)], page_size=30)
    assert [found.name for found in await tools(mcp)] == [f"t{at}" for at in range(250)]
    assert Counter(mcp.methods)["tools/list"] == 9
    mcp.ways = Ways(tools=[tool(f"t{at}") for at in range(1_500)], page_size=400)
    assert [found.name for found in await tools(mcp)] == [f"t{at}" for at in range(1_000)]
    mcp.seen.clear()
    mcp.ways = Ways(tools=[tool("same") for _ in range(300)], page_size=1)
    assert [found.name for found in await tools(mcp)] == ["same"]
    assert Counter(mcp.methods)["tools/list"] == 100


async def test_what_is_too_long_is_cut_or_left_out(mcp: StubMcp) -> None:
    fits = {"type": "object", "x": "y" * (64 * 1024 - 24)}
    mcp.ways = Ways(
        tools=[
            tool("odd name/ä", "é" * 3_000),
            tool("large", schema={"type": "object", "x": "y" * 65_536}),
            tool("fits", schema=fits),
        ]
    )
    found = await tools(mcp)
    assert found == [
        Tool(name="odd name/ä", description="é" * 2_048, parameters={"type": "object"}),
        Tool(name="fits", parameters=fits),
    ]
