"""Which way a request takes: guarded addresses, closed connections, nothing of the environment, nothing in logs."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from typing import Any

import pytest

from app.adapters.addresses import AddressGuard
from app.engine.talk import Message
from tests.adapters.models.calling import API_KEY, KEY, call, complete, endpoint, failure, models, saying
from tests.adapters.test_addresses import Names
from tests.stub_http import Stub, stub
from tests.stub_provider import Say, StubProvider

# ---- where it goes


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_an_inner_address_is_refused_unless_it_is_allowed(
    provider: StubProvider, host: str, stream: bool
) -> None:
    url = f"http://{host}:{provider.port}/v1"
    found = await failure(provider, call(stream=stream), base_url=url, allowed=())
    assert (found.error_type, found.retryable, provider.seen) == ("blocked_address", False, [])


@pytest.mark.parametrize("rule", ["127.0.0.1", "127.0.0.0/8", "place"])
async def test_what_is_allowed_is_reached(provider: StubProvider, rule: str) -> None:
    allowed = (provider.place if rule == "place" else rule,)
    assert (await complete(provider, allowed=allowed)).text == "said: hello"


async def test_what_the_operator_allows_to_all_is_reached(provider: StubProvider) -> None:
    guard = AddressGuard([provider.place])
    assert (await complete(provider, allowed=(), guard=guard)).text == "said: hello"


async def test_a_name_is_judged_by_what_it_resolves_to_and_that_is_used(provider: StubProvider) -> None:
    url = f"http://models.example:{provider.port}/v1"
    blocked = AddressGuard((), Names(["127.0.0.1"]))
    assert (await failure(provider, base_url=url, allowed=(), guard=blocked)).error_type == "blocked_address"
    names = Names(["127.0.0.1"], ["10.255.255.1"])
    await complete(provider, base_url=url, guard=AddressGuard((), names))
    assert names.asked == [("models.example", provider.port)]
    assert dict(provider.seen[0].headers)["host"] == f"models.example:{provider.port}"


async def test_a_redirect_is_not_followed(provider: StubProvider) -> None:
    async with stub() as elsewhere:
        found = await failure(provider, call(saying(status=307, body="", headers={"Location": elsewhere.url})))
        assert (found.error_type, found.retryable, elsewhere.asked) == ("provider_error", False, [])


# ---- when it ends


CUT_OFF = [
    (False, {"fault": "hang"}),
    (False, {"before_seconds": 30}),
    (False, {"fault": "hang_midway"}),
    (True, {"fault": "hang"}),
    (True, {"fault": "hang_midway"}),
    (True, {"fault": "endless", "delay_seconds": 0.01}),
    (True, {"delay_seconds": 30}),
]


@pytest.mark.parametrize(("stream", "say"), CUT_OFF, ids=[f"{say}-{stream}" for stream, say in CUT_OFF])
async def test_who_cancels_closes_the_connection(provider: StubProvider, stream: bool, say: dict[str, Any]) -> None:
    task = asyncio.create_task(complete(provider, call(saying(text="a b c d", **say), stream=stream)))
    await asyncio.wait_for(provider.arrived.wait(), 10)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(provider.client_closed.wait(), 1)
    assert provider.seen[0].closed


async def test_a_time_limit_closes_the_connection_too(provider: StubProvider) -> None:
    with pytest.raises(TimeoutError):
        await complete(provider, call(saying(text="a", fault="hang_midway"), stream=True), seconds=2)
    async with asyncio.timeout(1):
        await provider.client_closed.wait()


async def test_nothing_is_waited_for_after_the_last_word(provider: StubProvider) -> None:
    ours, said = models(), call(saying(text="a b", fault="hang_at_end"), stream=True)
    await ours.complete(endpoint(provider), call(), KEY)  # loads the libraries
    seconds: list[float] = []
    for _ in range(5):
        started = time.monotonic()
        assert (await ours.complete(endpoint(provider), said, KEY)).text == "a b"
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.08  # the library would wait for 0.1
    async with asyncio.timeout(1):
        await provider.client_closed.wait()


async def test_pieces_come_while_the_provider_speaks(provider: StubProvider) -> None:
    ours, at = models(), []
    await ours.complete(endpoint(provider), call(), KEY)  # loads the libraries
    started = time.monotonic()
    asked = call(saying(text="a b c d", delay_seconds=0.2), stream=True)
    await ours.complete(endpoint(provider), asked, KEY, lambda _piece: at.append(time.monotonic() - started))
    assert len(at) == 4
    assert at[0] < at[3] - 0.5


async def test_each_failure_closes_the_connection(provider: StubProvider) -> None:
    """A bomb is cut off while it comes, so the provider sees us leave."""
    await failure(provider, call(saying(text="", pieces=["x" * 100_000] * 8, fault="endless"), stream=True))
    async with asyncio.timeout(1):
        await provider.client_closed.wait()


async def test_many_at_once_do_not_mix(provider: StubProvider) -> None:
    ours = models()

    async def one(at: int) -> tuple[str, list[str]]:
        heard: list[str] = []
        answer = await ours.complete(endpoint(provider), call(f"number {at}", stream=True), f"key-{at}", heard.append)
        return answer.text, heard

    answers = await asyncio.gather(*(one(at) for at in range(20)))
    assert answers == [(f"said: number {at}", ["said:", " number", f" {at}"]) for at in range(20)]
    assert provider.by_key == {f"key-{at}": 1 for at in range(20)}
    assert provider.by_prompt == {f"number {at}": 1 for at in range(20)}


# ---- what of the surroundings is used


async def test_nothing_of_the_environment_is_used(
    provider: StubProvider, elsewhere: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, elsewhere.url)
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: from-the-environment\nAuthorization: from-the-environment")
    for key in (API_KEY, ""):
        await complete(provider, call(stream=True), api_key=key)
    assert elsewhere.asked == []
    assert "from-the-environment" not in str(provider.seen)


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_of_a_request_or_reply_is_logged(
    provider: StubProvider, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], stream: bool
) -> None:
    said = "a pr1vate prompt"
    await complete(provider)  # loads the libraries
    with caplog.at_level(logging.DEBUG):
        await complete(provider, call(said, stream=stream))
        provider.plan = [Say(status=400, body=f"no {said}"), Say(body=f"garbled {said}")]
        for _ in range(2):
            await failure(provider, call(said, stream=stream))
    shown = caplog.text + "".join(capsys.readouterr())
    assert "pr1vate" not in shown
    assert API_KEY not in shown
    assert "/v1/chat" not in shown


async def test_no_failure_has_a_cause_that_quotes(provider: StubProvider) -> None:
    found = await failure(provider, call(saying(body='{"choices": [{"pr1vate": 1}]}')))
    assert found.__cause__ is None
    assert found.__suppress_context__
    assert "pr1vate" not in found.message


# ---- when the libraries are loaded

HEAVY = ("pydantic_ai", "openai", "httpx2", "mcp", "genai_prices")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_the_libraries_are_not_loaded_with_the_server() -> None:
    found = run(
        "import sys, app.bootstrap, app.adapters.models.client, app.services.performing.model\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert found == "[]"


def test_the_first_request_loads_them_while_others_go_on() -> None:
    found = run(
        """
import asyncio, time
from tests.adapters.models.calling import *
from tests.stub_provider import stub_provider

async def main():
    longest, before = 0.0, time.monotonic()
    async with stub_provider() as provider:
        task = asyncio.create_task(complete(provider))
        while not task.done():
            await asyncio.sleep(0.005)
            now = time.monotonic()
            longest, before = max(longest, now - before), now
        print(task.result().text, longest < 0.5)

asyncio.run(main())
"""
    )
    assert found == "said: hello True"


async def test_a_conversation_of_many_messages_is_no_burden(provider: StubProvider) -> None:
    messages: list[Any] = []
    for at in range(500):
        messages += [Message(role="user", text=f"q{at} " * 20), Message(role="assistant", text="a" * 100)]
    ours = models()
    await ours.complete(endpoint(provider), call(), KEY)
    started = time.monotonic()
    await ours.complete(endpoint(provider), call(messages=(*messages, Message(role="user", text="end"))), KEY)
    assert time.monotonic() - started < 1
