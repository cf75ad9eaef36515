"""Clients that do not give up: every turn is repeated under its key, at any server, until it is acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any, Final, Self

import httpx

from tests.engine.graphs import line, node
from tests.system import graphs
from tests.system.servers import ADMIN_KEY

Json = dict[str, Any]
TURNS: Final = 3
WITH_WORK: Final = 8  # one session in so many does outside work in its second turn
# What tells a client to come again with the same key.
AGAIN: Final = (202, 503)


def asking() -> Json:
    """Two questions."""
    return graphs.asking("One?", "Two?")


def working() -> Json:
    """Two questions, with an effect between them."""
    return line(
        node("q1", "ask", prompt="One?"),
        graphs.work("work", sleep_seconds=0.2),
        node("q2", "ask", prompt="Two?"),
        node("end", "end", outputs={"answers": ["{{q1}}", "{{q2}}"], "result": "{{work}}"}),
    )


class Patient:
    """Sends to one of several servers, which may be dead, dying or starting."""

    def __init__(self, urls: list[str], chance: random.Random) -> None:
        self.refusals = 0  # replies and connections that said "again", or nothing
        self.acknowledged = 0
        self.moved = asyncio.Condition()  # notified with every acknowledgement
        self._urls = urls
        self._chance = chance
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        self._client = httpx.AsyncClient(headers=headers, timeout=httpx.Timeout(60.0, connect=5.0), limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> Json:
        return (await self._until_answered("GET", path)).json()

    async def post(self, path: str, body: Json, key: str) -> httpx.Response:
        reply = await self._until_answered("POST", path, json=body, headers={"Idempotency-Key": key})
        async with self.moved:
            self.acknowledged += 1
            self.moved.notify_all()
        return reply

    async def _until_answered(self, method: str, path: str, **given: Any) -> httpx.Response:
        while True:
            try:
                reply = await self._client.request(method, self._chance.choice(self._urls) + path, **given)
            except httpx.TransportError:
                reply = None
            if reply is not None and reply.status_code not in AGAIN:
                assert reply.status_code == 200, f"{method} {path} {given}: {reply.status_code} {reply.text}"
                return reply
            self.refusals += 1
            await asyncio.sleep(0.05 + self._chance.random() / 10)

    async def until(self, acknowledged: int) -> None:
        """So many turns have been acknowledged."""
        async with self.moved:
            await self.moved.wait_for(lambda: self.acknowledged >= acknowledged)


class Session:
    """Three turns of one run, each with the reply that acknowledged it."""

    def __init__(self, number: int, workflow_id: str) -> None:
        self.replies: list[Json] = []
        self.answers = [f"{turn} of session {number}" for turn in ("second", "third")]
        self.workflow_id = workflow_id
        self._number = number
        self._path = f"/v1/workflows/{workflow_id}/execute"

    @property
    def run_id(self) -> str:
        found: str = self.replies[0]["run_id"]
        return found

    def requests(self) -> Iterator[Json]:
        """The bodies of its turns, each of which needs the replies so far."""
        yield {"run_input": {}}
        for answer in self.answers:
            yield {"run_id": self.run_id, "run_input": {"message": answer}}

    async def play(self, patient: Patient) -> None:
        for turn, body in enumerate(self.requests(), 1):
            reply = await patient.post(self._path, body, f"session-{self._number}-{turn}")
            self.replies.append(reply.json())
