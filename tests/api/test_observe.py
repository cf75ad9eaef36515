"""What is noted around the app: time until a reply begins, slow replies, and replies that break off."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, generate_latest

from app.api.logs import configure_logs
from app.api.observe import SLOW_SECONDS, Observed


async def observed(app: ASGIApp, registry: CollectorRegistry, **given: bool) -> list[Message]:
    """What is sent for one request to `app`."""
    sent: list[Message] = []
    scope: Any = {"type": "http", "method": "GET", "path": "/x/1", "path_template": "/x/{id}", "state": {}}

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await Observed(app, registry, **given)(scope, receive, send)
    return sent


async def begin(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def test_a_slow_reply_is_logged_and_a_long_stream_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(SLOW_SECONDS + 0.05)
        await begin(send)

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        await begin(send)
        await asyncio.sleep(SLOW_SECONDS + 0.05)

    configure_logs("INFO")
    await asyncio.gather(observed(slow, CollectorRegistry()), observed(streaming, CollectorRegistry()))
    [line] = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert line.pop("seconds") > SLOW_SECONDS
    assert set(line) == {"event", "level", "time", "method", "path", "status"}
    assert (line["event"], line["level"], line["path"], line["status"]) == ("request", "info", "/x/{id}", 200)


async def test_a_reply_that_breaks_off_is_logged_once_and_raises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        await begin(send)
        raise RuntimeError("inside")

    configure_logs("INFO")
    registry = CollectorRegistry()
    sent = await observed(breaking, registry)
    assert [message["type"] for message in sent] == ["http.response.start"]
    [line] = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["path"], "RuntimeError: inside" in line["exception"]) == (
        "unexpected error",
        "/x/{id}",
        True,
    )
    assert b'count{method="GET",path="/x/{id}",status="200"} 1.0' in generate_latest(registry)


async def test_everything_is_logged_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        await begin(send)

    configure_logs("DEBUG")
    await observed(plain, CollectorRegistry(), logs_all=True)
    [line] = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["status"]) == ("request", 200)
