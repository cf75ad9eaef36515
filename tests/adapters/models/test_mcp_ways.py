"""Which way a question to a server of tools takes: guarded addresses, closed connections, nothing in logs."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from app.adapters.addresses import AddressGuard
from app.engine.talk import Tool
from tests.adapters.models.asking import KEY, TOKEN, echo, failure, server_of, servers, stub_does, tools
from tests.adapters.test_addresses import Names
from tests.stub_http import Stub
from tests.stub_mcp import Do, StubMcp, Ways

# ---- where it goes


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_an_inner_address_is_refused_unless_it_is_allowed(mcp: StubMcp, host: str) -> None:
    url = f"http://{host}:{mcp.port}/mcp"
    for asked in (tools, echo):
        found = await failure(asked(mcp, url=url, allowed=()))
        assert (found.error_type, found.retryable, mcp.seen) == ("blocked_address", False, [])


@pytest.mark.parametrize("rule", ["127.0.0.1", "127.0.0.0/8", "place"])
async def test_what_is_allowed_is_reached(mcp: StubMcp, rule: str) -> None:
    assert await echo(mcp, allowed=(mcp.place if rule == "place" else rule,)) == "said: hello"
    assert await echo(mcp, allowed=(), guard=AddressGuard([mcp.place])) == "said: hello"


async def test_every_exchange_is_judged_by_what_the_name_resolves_to_then(mcp: StubMcp) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.1"], ["10.255.255.1"])
    url = f"http://tools.example:{mcp.port}/mcp"
    found = await failure(echo(mcp, url=url, guard=AddressGuard((), names)))
    assert found.error_type == "blocked_address"
    assert mcp.methods == ["server/discover", "initialize"]
    assert {dict(seen.headers)["host"] for seen in mcp.seen} == {f"tools.example:{mcp.port}"}


async def test_a_server_that_is_not_there(mcp: StubMcp) -> None:
    found = await failure(echo(mcp, url="http://127.0.0.1:9/mcp"))
    assert (found.error_type, found.message, found.retryable) == (
        "http_connection",
        "the request failed: ConnectError",
        True,
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_not_followed(mcp: StubMcp, elsewhere: Stub, status: int) -> None:
    for location in (elsewhere.url, f"http://localhost:{mcp.port}/mcp"):
        mcp.plan = [Do(on="initialize", status=status, body="", headers={"Location": location})]
        found = await failure(echo(mcp))
        assert (found.error_type, found.message) == ("provider_error", f"the server answered {status}")
        assert (found.retryable, elsewhere.asked, mcp.calls) == (False, [], [])


async def test_a_redirect_to_a_path_with_a_slash_is_followed(mcp: StubMcp) -> None:
    mcp.ways = Ways(slash=True, sessions=True)
    assert await echo(mcp) == "said: hello"
    assert {seen.key for seen in mcp.calls} == {KEY}


async def test_redirects_end(mcp: StubMcp) -> None:
    mcp.plan = [Do(on="initialize", status=307, body="", headers={"Location": "/mcp"}) for _ in range(9)]
    found = await failure(echo(mcp))
    assert (found.error_type, found.message) == ("http_connection", "there were more than 5 redirects")


@pytest.mark.parametrize("url", ["", "x", "ftp://127.0.0.1/", "http://", "http://[::1", "http://127.0.0.1:0/", "\x00"])
async def test_an_address_that_is_none(mcp: StubMcp, url: str) -> None:
    assert (await failure(tools(mcp, url=url))).error_type == "invalid_value"


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nY: b"}, {"X": "ä"}, {"Host": "x"}, {"a b": "c"}, {"Content-Length": "1"}]
)
async def test_a_header_that_cannot_be_sent(mcp: StubMcp, headers: dict[str, str]) -> None:
    found = await failure(tools(mcp, headers=headers))
    assert (found.error_type, mcp.seen) == ("invalid_value", [])


# ---- when it ends

CUT_OFF: list[tuple[bool, dict[str, Any]]] = [
    (False, {"fault": "hang"}),
    (False, {"before_seconds": 30}),
    (False, {"fault": "hang_midway"}),
    (True, {"fault": "hang"}),
    (True, {"fault": "hang_midway"}),
]


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize(("streams", "do"), CUT_OFF, ids=[f"{do}-{streams}" for streams, do in CUT_OFF])
async def test_who_cancels_closes_the_connection(mcp: StubMcp, streams: bool, do: dict[str, Any], modern: bool) -> None:
    mcp.ways = Ways(streams=streams, modern=modern, sessions=not modern)
    task = asyncio.create_task(stub_does(mcp, **do))
    await asyncio.wait_for(mcp.arrived.wait(), 10)
    await asyncio.sleep(0.1)
    task.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 0.5
    await asyncio.wait_for(mcp.client_closed.wait(), 1)
    assert mcp.calls[0].closed
    await nobody_is_left(mcp)


@pytest.mark.parametrize("method", ["server/discover", "initialize", "notifications/initialized", "tools/list"])
async def test_a_time_limit_closes_the_connection_too(mcp: StubMcp, method: str) -> None:
    await tools(mcp)  # loads the library
    mcp.plan = [Do(on=method, fault="hang")]
    ours, started = servers(), time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await ours.list(server_of(mcp))
    assert time.monotonic() - started < 1
    await asyncio.wait_for(mcp.client_closed.wait(), 1)
    await nobody_is_left(mcp)


async def test_a_failure_leaves_nothing_open(mcp: StubMcp) -> None:
    mcp.ways = Ways(streams=True)
    await failure(stub_does(mcp, fault="endless"))
    await asyncio.wait_for(mcp.client_closed.wait(), 1)
    await failure(stub_does(mcp, events=["{broken"], fault="hang_midway"))
    await nobody_is_left(mcp)


async def nobody_is_left(mcp: StubMcp) -> None:
    async with asyncio.timeout(1):
        while mcp.open or len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_many_at_once_do_not_mix(mcp: StubMcp) -> None:
    mcp.ways = Ways(streams=True, sessions=True)
    ours = servers()

    async def one(at: int) -> Any:
        return await ours.call(server_of(mcp), "echo", {"text": str(at)}, f"key-{at}")

    assert await asyncio.gather(*map(one, range(20))) == [f"said: {at}" for at in range(20)]
    assert {(seen.key, seen.params["arguments"]["text"]) for seen in mcp.calls} == {
        (f"key-{at}", str(at)) for at in range(20)
    }
    assert (len(mcp.calls), mcp.opened, mcp.sessions) == (20, 20, set())


# ---- what of the surroundings is used


async def test_nothing_of_the_environment_is_used(
    mcp: StubMcp, elsewhere: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, elsewhere.url)
    assert await echo(mcp) == "said: hello"
    assert elsewhere.asked == []


async def test_nothing_of_a_message_is_logged(
    mcp: StubMcp, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    await echo(mcp)  # loads the library
    with caplog.at_level(logging.DEBUG):
        for streams in (False, True):
            mcp.ways = Ways(streams=streams, sessions=True)
            await echo(mcp, "a pr1vate text")
            await failure(stub_does(mcp, result={"pr1vate": 1}))
            await failure(stub_does(mcp, events=["pr1vate"]))
            await failure(stub_does(mcp, status=401, body="pr1vate"))
            await failure(stub_does(mcp, fault="drop"))
    shown = caplog.text + "".join(capsys.readouterr())
    for word in ("pr1vate", TOKEN, "session-1", mcp.place):
        assert word not in shown


async def test_no_failure_quotes_a_reply_of_a_wrong_form(mcp: StubMcp) -> None:
    found = await failure(stub_does(mcp, result={"content": [{"pr1vate": 1}]}))
    assert "pr1vate" not in f"{found.message}{found.details}"


# ---- the library, and the stub as a process

HEAVY = ("pydantic_ai", "openai", "httpx2", "mcp", "mcp_types")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_the_library_is_not_loaded_with_the_server() -> None:
    found = run(
        "import sys, app.bootstrap.wiring, app.adapters.models.mcp_client\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert found == "[]"


def test_the_first_question_loads_it_while_others_go_on() -> None:
    found = run(
        """
import asyncio, sys, time
from tests.adapters.models.asking import *
from tests.stub_mcp import stub_mcp

async def main():
    longest, before = 0.0, time.monotonic()
    async with stub_mcp() as mcp:
        task = asyncio.create_task(echo(mcp))
        while not task.done():
            await asyncio.sleep(0.005)
            now = time.monotonic()
            longest, before = max(longest, now - before), now
        print(task.result(), longest < 0.5, "pydantic_ai" in sys.modules)

asyncio.run(main())
"""
    )
    assert found == "said: hello True False"


async def test_the_stub_runs_as_a_process_and_tells_what_came() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.stub_mcp", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        mcp = StubMcp()
        mcp.port = int(url.rpartition(":")[2].partition("/")[0])
        async with httpx.AsyncClient(base_url=f"http://{mcp.place}", trust_env=False) as http:
            await http.post("/stub/ways", json={"sessions": True, "streams": True})
            await http.post("/stub/plan", json=[{"error": {"code": 1, "message": "planned"}}])
            assert (await failure(echo(mcp))).message == "the server reports an error: planned"
            assert await echo(mcp) == "said: hello"
            seen = (await http.get("/stub/seen")).json()
        assert (seen["by_key"], seen["by_tool"], seen["planned"]) == ({KEY: 2}, {"echo": 2}, 0)
    finally:
        process.terminate()
        await process.wait()


async def test_a_real_server_of_the_library_is_understood(unused_tcp_port: int) -> None:
    """Another hand's server: it needs sessions, and answers in events."""
    code = f"""
from mcp.server.mcpserver import MCPServer
server = MCPServer("real")

@server.tool()
def add(a: int, b: int) -> int:
    "Adds."
    return a + b

server.run("streamable-http", port={unused_tcp_port})
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    mcp = StubMcp()
    mcp.port = unused_tcp_port
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    (_, writer) = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        (found,) = await tools(mcp)
        assert isinstance(found, Tool)
        assert (found.name, found.description, found.parameters["required"]) == ("add", "Adds.", ["a", "b"])
        assert await servers().call(server_of(mcp), "add", {"a": 2, "b": 3}, KEY) == {"result": 5}
        failed = await failure(servers().call(server_of(mcp), "add", {"a": "x"}, KEY))
        assert (failed.error_type, failed.retryable) == ("provider_error", False)
    finally:
        process.terminate()
        await process.wait()
