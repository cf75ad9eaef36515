"""Concurrency limits over two processes: exactly as many runs are at work as are allowed, and places become free again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from app.adapters.clock import SystemClock
from app.adapters.mongo.database import connect
from tests.system import graphs
from tests.system.caller import Caller, Json, refused, taken
from tests.system.meanwhile import meanwhile
from tests.system.servers import Cluster

sharing = pytest.mark.asyncio(loop_scope="session")
HERE = "/v1/workflows/{}/concurrency"


async def limited(server: Caller, graph: Json, most: int | None) -> str:
    workflow = await server.workflow(graph)
    await limit(server, workflow, most)
    return workflow


async def limit(server: Caller, workflow: str, most: int | None) -> None:
    taken(await server.client.patch(HERE.format(workflow), json={"max_concurrent_runs": most}))


async def starts(pair: Cluster, workflow: str, count: int) -> list[httpx.Response]:
    calls = (pair.servers[n % 2].execute(workflow, wait_seconds=0) for n in range(count))
    return list(await asyncio.gather(*calls))


async def until_free(server: Caller, workflow: str, seconds: float = 5.0) -> str:
    """The run that was started when there was a place again. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while (reply := await server.execute(workflow, wait_seconds=0)).status_code == 429:
        if time.monotonic() > until:
            raise TimeoutError(f"no place after {seconds:g} s")
        await asyncio.sleep(0.1)
    return str(taken(reply, 200, 202)["run_id"])


@sharing
async def test_exactly_as_many_runs_as_allowed_are_at_work_over_two_processes(pair: Cluster) -> None:
    hold = pair.hold()
    workflow = await limited(pair.servers[0], graphs.working(sleep_while=hold.name), 3)
    replies = await starts(pair, workflow, 20)
    # fewer only when starts got into each other's way; then the places that are left are taken one by one
    accepted = [reply.json()["run_id"] for reply in replies if reply.status_code == 202]
    assert len(accepted) <= 3
    for reply in replies:
        if reply.status_code != 202:
            assert refused(reply) == (429, "limit_reached")
            assert int(reply.headers["Retry-After"]) > 0
    while len(accepted) < 3:
        accepted.append(await until_free(pair.servers[len(accepted) % 2], workflow, 1.0))
    assert {reply.status_code for reply in await starts(pair, workflow, 6)} == {429}
    begun = [line["key"] for run in accepted for line in await pair.traced("begun", run=run)]
    assert len(begun) == 3
    hold.unlink()
    for run in accepted:
        await pair.servers[0].until_closed(run, 1)
    await until_free(pair.servers[1], workflow)


@sharing
async def test_a_place_is_free_again_after_an_end_a_stop_and_a_pause(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await limited(server, graphs.working(once=False, sleep_while=hold.name), 1)
    run = await until_free(server, workflow)
    assert refused(await other.execute(workflow, wait_seconds=0)) == (429, "limit_reached")
    taken(await other.execute(workflow, run, command="stop"))
    run = await until_free(other, workflow)
    assert taken(await server.execute(workflow, run, command="pause"))["status"] == "paused"
    second = await until_free(server, workflow)
    assert refused(await other.execute(workflow, run, command="resume", wait_seconds=0)) == (429, "limit_reached")
    assert (await other.run(run))["status"] == "paused"
    hold.unlink()
    await other.until_closed(second, 1)
    assert taken(await other.execute(workflow, run, command="resume"))["status"] == "completed"
    await until_free(server, workflow)


@sharing
async def test_runs_at_rest_hold_no_place(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await limited(server, graphs.asking_then_working(sleep_while=hold.name), 1)
    runs = [(await server.started(workflow))["run_id"] for _ in range(5)]
    first = taken(await server.execute(workflow, runs[0], message="a", wait_seconds=0), 202)
    reply = await other.execute(workflow, runs[1], message="a", wait_seconds=0, key="k")
    assert refused(reply) == (429, "limit_reached")
    assert reply.headers["X-Run-Id"] == runs[1]
    assert (await other.run(runs[1]))["turn_number"] == 1, "a refusal uses up no turn"
    hold.unlink()
    assert (await server.until_closed(runs[0], first["turn_number"]))["status"] == "completed"
    reply = await other.execute(workflow, runs[1], message="a", key="k")
    while reply.status_code == 429:
        reply = await other.execute(workflow, runs[1], message="a", key="k")
    assert taken(reply)["status"] == "completed"


@sharing
async def test_a_changed_limit_holds_for_the_next_start_in_every_process(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await limited(server, graphs.working(sleep_while=hold.name), 1)
    await until_free(server, workflow)
    assert {reply.status_code for reply in await starts(pair, workflow, 4)} == {429}
    await limit(other, workflow, 3)
    for process in pair.servers:
        taken(await process.execute(workflow, wait_seconds=0), 202)
    assert {reply.status_code for reply in await starts(pair, workflow, 4)} == {429}
    await limit(server, workflow, None)
    assert {reply.status_code for reply in await starts(pair, workflow, 4)} == {202}
    hold.unlink()


@sharing
async def test_a_place_taken_by_a_start_that_was_killed_before_its_run_was_stored_lapses(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await limited(server, graphs.working(), 1)
    database = await connect(pair.uri, "antiphon", SystemClock())
    try:
        until = time.time() + 2
        assert await database.slots.take(f"workflow:{workflow}", 1, "f" * 24, 1, until, time.time())
    finally:
        await database.close()
    assert {reply.status_code for reply in await starts(pair, workflow, 2)} == {429}
    await until_free(other, workflow)
    assert time.time() >= until


@meanwhile
async def test_the_place_of_a_run_whose_process_was_killed_is_kept_until_another_has_ended_it(folder: Path) -> None:
    async with Cluster(folder, processes=2) as cluster:
        dead, heir = cluster.servers
        hold = cluster.hold()
        workflow = await limited(dead, graphs.working(sleep_while=hold.name), 1)
        run = await until_free(dead, workflow)
        await cluster.traced("begun", run=run)
        await dead.kill()
        refusals: Counter[int] = Counter()
        while len(cluster.trace("begun", run=run)) == 1:
            refusals[(await heir.execute(workflow, wait_seconds=0)).status_code] += 1
            await asyncio.sleep(0.5)
        assert refusals.keys() == {429}
        hold.unlink()
        await heir.until_closed(run, 1)
        await until_free(heir, workflow)
