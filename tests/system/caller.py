"""A client of one server: turns, runs and workflows over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from tests.hidden import Hidden

Json = dict[str, Any]


class Caller:
    """Calls a server under one key. Every call may raise httpx.TransportError while the server is away."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.url = ""
        self.hidden = Hidden()
        self._client: httpx.AsyncClient | None = None

    async def at(self, url: str) -> None:
        """The server is there. The same client stays in use as long as the server keeps its address."""
        if url == self.url:
            return
        await self.close()
        self.url = url
        # shorter than the server's 5 s, so that no request meets a connection that is being closed
        limits = httpx.Limits(max_connections=500, max_keepalive_connections=100, keepalive_expiry=2.0)
        headers = {"Authorization": f"Bearer {self.key}"}
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=60.0,
            limits=limits,
            event_hooks={"request": [self.hidden.note], "response": [self.hidden.check]},
        )

    @property
    def client(self) -> httpx.AsyncClient:
        """With the key in its headers."""
        assert self._client is not None, "the server has not been started"
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    # ---- workflows

    async def workflow(self, graph: Json, name: str = "Of a test") -> str:
        """A new one; its id."""
        return str(taken(await self.client.post("/v1/workflows", json={"name": name, "graph": graph}), 201)["id"])

    # ---- turns

    async def execute(
        self, workflow_id: str, run_id: str | None = None, *, key: str | None = None, query: str = "", **run_input: Any
    ) -> httpx.Response:
        """A turn. `key`: its Idempotency-Key; `run_input` by its fields (`message`, `command`, `wait_seconds`, …)."""
        body: Json = {"run_input": run_input} if run_id is None else {"run_id": run_id, "run_input": run_input}
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.client.post(f"/v1/workflows/{workflow_id}/execute{query}", json=body, headers=headers)

    async def started(self, workflow_id: str, **run_input: Any) -> Json:
        """The reply of a first turn, closed or accepted."""
        return taken(await self.execute(workflow_id, **run_input), 200, 202)

    async def turn(self, run_id: str, number: int) -> Json:
        return taken(await self.client.get(f"/v1/workflow-runs/{run_id}/turns/{number}"))

    async def run(self, run_id: str) -> Json:
        return taken(await self.client.get(f"/v1/workflow-runs/{run_id}"))

    async def until_closed(self, run_id: str, number: int, seconds: float = 20.0) -> Json:
        """The turn once it is closed, looked for every 0.1 s. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while (turn := await self.turn(run_id, number))["status"] == "running" or turn["closed_at"] is None:
            if time.monotonic() > until:
                raise TimeoutError(f"turn {number} of {run_id} is not closed after {seconds:g} s: {turn}")
            await asyncio.sleep(0.1)
        return turn

    async def until_closed_after(self, run_id: str, number: int, seconds: float = 20.0) -> Json:
        """The same of a turn that may not have been opened yet."""
        until = time.monotonic() + seconds
        while (await self.run(run_id))["turn_number"] < number:
            if time.monotonic() > until:
                raise TimeoutError(f"{run_id} has no turn {number} after {seconds:g} s")
            await asyncio.sleep(0.1)
        return await self.until_closed(run_id, number, seconds)

    async def until_status(self, run_id: str, status: str, seconds: float = 20.0) -> Json:
        """The run once it has the status, looked for every 0.1 s. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while (run := await self.run(run_id))["status"] != status:
            if time.monotonic() > until:
                raise TimeoutError(f"{run_id} is not {status} after {seconds:g} s: {run}")
            await asyncio.sleep(0.1)
        return run


def taken(reply: httpx.Response, *statuses: int) -> Json:
    """The body of a reply that has one of the statuses (200 when none is given)."""
    assert reply.status_code in (statuses or (200,)), f"{reply.request.url}: {reply.status_code} {reply.text}"
    body: Json = reply.json()
    return body


def refused(reply: httpx.Response) -> tuple[int, str]:
    """Status and error code."""
    return reply.status_code, reply.json()["error"]


async def acknowledged(
    server: Caller, workflow_id: str, run_id: str | None, *, key: str, **given: Any
) -> httpx.Response:
    """The turn, repeated under its key as long as the answer is 503."""
    while True:
        reply = await server.execute(workflow_id, run_id, key=key, **given)
        if reply.status_code != 503:
            return reply
        assert int(reply.headers["Retry-After"]) > 0, "a 503 says when to come again"
        await asyncio.sleep(0.1)


async def available(server: Caller, path: str) -> httpx.Response:
    """What is there, asked for as long as the answer is 503."""
    while (reply := await server.client.get(path)).status_code == 503:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return reply
