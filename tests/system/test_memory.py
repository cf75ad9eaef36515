"""A paused run costs no memory."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import psutil
from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorClient

from tests.system import graphs
from tests.system.caller import taken
from tests.system.servers import Cluster, Server

RUNS = 10_000
MOST_BYTES = 10_000_000
AT_ONCE = 16


async def start_many(server: Server, workflow: str, count: int) -> list[str]:
    """Runs by HTTP, each paused after two turns."""
    left = iter(range(count))
    made: list[str] = []

    async def start() -> None:
        for _ in left:
            run = (await server.started(workflow, key=None))["run_id"]
            taken(await server.execute(workflow, run, message="a"))
            made.append(run)

    await asyncio.gather(*(start() for _ in range(AT_ONCE)))
    return made


async def touch(server: Server, workflow: str, run: str) -> None:
    taken(await server.execute(workflow, run, message="b"))
    assert (await server.run(run))["turn_number"] == 3


async def copy_many(uri: str, run: str, count: int) -> list[str]:
    """As many runs in the store, as alike as the start of each by itself would make them."""
    client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(uri)
    try:
        runs = client["antiphon"]["workflow_runs"]
        document = await runs.find_one({"_id": ObjectId(run)})
        numbers = itertools.count(1_000_000)
        copies = [{**document, "_id": ObjectId(), "number": next(numbers)} for _ in range(count)]
        for copy in copies:
            copy.pop("start_key", None)
        for first in range(0, count, 500):
            await runs.insert_many(copies[first : first + 500])
        return [str(copy["_id"]) for copy in copies]
    finally:
        client.close()


async def settled_rss(server: Server) -> int:
    """The least of a few looks: what is garbage by then is gone."""
    process, looks = psutil.Process(server.pid), []
    for _ in range(8):
        await asyncio.sleep(0.25)
        looks.append(process.memory_info().rss)
    return min(looks)


async def test_ten_thousand_more_paused_runs_cost_less_than_ten_megabytes(tmp_path: Path, long_form: bool) -> None:
    """Short: 10,000 in the store, 300 of them answered and read over HTTP. Long: all are made over HTTP."""
    async with Cluster(tmp_path, own_database=False, probing=False) as cluster:
        server = cluster.servers[0]
        workflow = await server.workflow(graphs.asking_for_ever())
        warm = await start_many(server, workflow, 300)  # pools, caches and histograms have their size by then
        before = await settled_rss(server)
        if long_form:
            made = await start_many(server, workflow, RUNS)
        else:
            made = await copy_many(cluster.uri, warm[0], RUNS)
        touched = made[:: len(made) // 300]
        for first in range(0, len(touched), AT_ONCE):
            await asyncio.gather(*(touch(server, workflow, run) for run in touched[first : first + AT_ONCE]))
        total = taken(await server.client.get("/v1/workflow-runs?status=waiting_for_user_input"))["total"]
        assert total == RUNS + len(warm)
        grown = await settled_rss(server) - before
        assert grown < MOST_BYTES, f"{grown / 1e6:.1f} MB"
