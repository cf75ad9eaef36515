"""Runs that kill every process which takes them, and clients that do not give up meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Self

import httpx

from tests.engine.graphs import edge, node, source
from tests.system.caller import Json, taken
from tests.system.servers import Cluster, Server
from tests.system.supervisor import Supervisor

CLAIMS = 5
CLAIM_SECONDS = 12.0  # a lease of 10 s and 2 s of clock skew
MARGIN_SECONDS = 30.0
ARMED = "armed"


def expiring_into_death(seconds: float, while_flag: str | None = None) -> Json:
    return source(
        [
            node("start", "start"),
            node("q", "ask", prompt="Dare?", expires_in_seconds=seconds, on_expiry="branch"),
            node("trap", "deadly", while_flag=while_flag),
            node("end", "end"),
        ],
        [edge("start", "q"), edge("q", "end"), edge("q", "trap", "expired"), edge("trap", "end")],
    )


async def persistent(servers: list[Server], workflow: str, run: str | None, *, key: str, **given: object) -> Json:
    """The turn, repeated under its key, by the servers in turn, until one lives long enough to answer."""
    for server in itertools.cycle(servers):
        try:
            reply = await server.execute(workflow, run, key=key, **given)
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        if reply.status_code != 503:
            return taken(reply, 200, 202)
    raise AssertionError("unreachable")


async def until(servers: list[Server], run: str, status: str, seconds: float) -> Json:
    """The run once it has the status. Raises TimeoutError."""
    end = time.monotonic() + seconds
    for server in itertools.cycle(servers):
        try:
            reply = await server.client.get(f"/v1/workflow-runs/{run}")
            if reply.status_code == 200 and reply.json()["status"] == status:
                return dict(reply.json())
        except httpx.TransportError:
            pass
        if time.monotonic() > end:
            break
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{run} is not {status} after {seconds:g} s")


class Case:
    """A poisoned run with servers of its own, until it has failed."""

    def __init__(self, folder: Path, graph: Json) -> None:
        self.cluster = Cluster(folder, processes=2)
        self.graph = graph
        self.deaths = 0
        self.run: Json = {}
        self.turn: Json = {}
        self.again: Json = {}
        self.begun: list[Json] = []
        self.struck: list[Json] = []

    async def happen(self) -> Self:
        async with self.cluster as cluster:
            workflow = await cluster.servers[0].workflow(self.graph)
            async with Supervisor(cluster) as supervisor:
                started = await persistent(cluster.servers, workflow, None, key="k", wait_seconds=0)
                run, seconds = started["run_id"], CLAIMS * CLAIM_SECONDS + MARGIN_SECONDS
                self.run = await until(cluster.servers, run, "failed", seconds)
            self.deaths = supervisor.deaths
            self.begun, self.struck = cluster.trace("begun", run=run), cluster.trace("struck")
            server = next(server for server in cluster.servers if server.is_alive)
            self.turn = await server.turn(run, self.run["turn_number"])
            self.again = await persistent([server], workflow, None, key="k")
        return self
