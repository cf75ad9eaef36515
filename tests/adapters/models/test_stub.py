"""The stub as a process of its own: it tells what it saw and takes a plan."""

from __future__ import annotations

import asyncio
import sys

import httpx

from app.ports import Endpoint
from tests.adapters.models.calling import API_KEY, KEY, LOCAL, call, models


async def test_the_stub_is_steered_from_outside() -> None:
    command = [sys.executable, "-m", "tests.stub_provider", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(base_url=url.removesuffix("/v1"), trust_env=False) as control:
            await control.post("/stub/plan", json=[{"text": "planned"}])
            endpoint = Endpoint(name="ours", base_url=url, api_key=API_KEY, model="m-1", allowed=LOCAL)
            said = [(await models().complete(endpoint, call("hi"), KEY)).text for _ in range(2)]
            told = (await control.get("/stub/seen")).json()
    finally:
        process.kill()
        await process.communicate()
    assert said == ["planned", "said: hi"]
    assert (told["by_key"], told["by_prompt"], told["planned"]) == ({KEY: 2}, {"hi": 2}, 0)
    assert [seen["closed"] for seen in told["seen"]] == [False, False]
