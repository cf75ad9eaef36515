"""Ctrl-C and SIGTERM: everything that the server started or adopted is gone within five seconds, and nobody is left hanging."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.system import graphs
from tests.system.caller import refused, taken
from tests.system.reading import events
from tests.system.servers import Cluster, Server

LEAVE_SECONDS = 5.0
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def is_running(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


async def leave(cluster: Cluster, server: Server, number: signal.Signals) -> None:
    """Ends it and checks what must hold at every end."""
    database = cluster.mongo_pid
    began = time.monotonic()
    assert await server.stop(number) == 0
    assert time.monotonic() - began < LEAVE_SECONDS
    assert not is_running(database)
    assert not (cluster.database_dir / "mongo.json").exists()
    assert "Traceback" not in server.log()


@BOTH
async def test_a_server_leaves_with_all_that_it_started(one: Cluster, number: signal.Signals) -> None:
    await leave(one, one.servers[0], number)


@BOTH
async def test_a_server_leaves_with_the_database_that_it_adopted(one: Cluster, number: signal.Signals) -> None:
    server = one.servers[0]
    await server.kill()
    await server.start()
    await leave(one, server, number)


@BOTH
async def test_open_requests_are_answered_202_when_accepted_and_503_when_not(
    one: Cluster, number: signal.Signals
) -> None:
    server = one.servers[0]
    working = await server.workflow(graphs.working(sleep_seconds=100))
    busy = await server.workflow(graphs.working_then_asking(sleep_seconds=100))
    run = (await server.started(busy, wait_seconds=0))["run_id"]
    accepted = asyncio.ensure_future(server.execute(working, key="k"))
    waiting = asyncio.ensure_future(server.execute(busy, run, message="x", on_busy="wait", key="w"))
    quiet = asyncio.ensure_future(events(server, run))
    await one.traced("begun", count=2)
    await asyncio.sleep(0.5)
    await leave(one, server, number)
    reply = await accepted
    assert (reply.status_code, reply.json()["status"], reply.json()["turn_number"]) == (202, "running", 1)
    reply = await waiting
    assert refused(reply) == (503, "unavailable")
    assert int(reply.headers["Retry-After"]) > 0
    assert [frame.event for frame in await quiet][-1] == "start_node_run", "the stream ended in good order"


async def test_what_a_server_gave_back_goes_on_at_once_at_the_next_start(one: Cluster) -> None:
    server = one.servers[0]
    hold = one.hold()
    workflow = await server.workflow(graphs.working(sleep_while=hold.name))
    accepted = asyncio.ensure_future(server.execute(workflow, key="k"))
    begun = await one.traced("begun")
    await leave(one, server, signal.SIGTERM)
    run = taken(await accepted, 202)["run_id"]
    assert [line["what"] for line in one.trace(run=run)] == ["begun", "cancelled"]
    await server.start()
    ready_at = time.time()
    again = (await one.traced("begun", count=2, run=run))[1]
    assert again["at"] - ready_at < 5.0, "a lease given back need not lapse"
    assert again["key"] == begun[0]["key"]
    hold.unlink()
    reply = taken(await server.execute(workflow, key="k"))
    assert (reply["run_id"], reply["status"]) == (run, "completed")


async def test_what_a_server_gave_back_goes_on_at_once_in_another_process(two: Cluster) -> None:
    server, other = two.servers
    hold = two.hold()
    workflow = await server.workflow(graphs.working(sleep_while=hold.name))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    await two.traced("begun")
    assert await server.stop() == 0
    left_at = time.time()
    again = (await two.traced("begun", count=2, run=run))[1]
    assert (again["pid"], again["at"] - left_at < 3.0) == (other.pid, True)
    hold.unlink()
    assert (await other.until_closed(run, 1))["status"] == "completed"


@BOTH
async def test_a_signal_in_the_middle_of_a_start_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    async with Cluster(tmp_path, processes=0, own_database=True, probing=False) as cluster:
        server = cluster.add_server()
        for tenths in (4, 7, 10):
            server.launch()
            await asyncio.sleep(tenths / 10)
            began = time.monotonic()
            await server.stop(number)
            assert time.monotonic() - began < LEAVE_SECONDS
            assert cluster.running_databases() == []
        await server.start()


async def test_a_second_ctrl_c_does_not_cut_the_first_one_short(one: Cluster) -> None:
    server = one.servers[0]
    workflow = await server.workflow(graphs.working(sleep_seconds=100))
    accepted = asyncio.ensure_future(server.execute(workflow))
    await one.traced("begun")
    database = one.mongo_pid
    os.kill(server.pid, signal.SIGINT)
    await asyncio.sleep(0.1)
    os.kill(server.pid, signal.SIGINT)
    assert await server.ended(LEAVE_SECONDS) == 0
    assert (await accepted).status_code == 202
    assert not is_running(database)


async def test_a_server_leaves_in_time_though_its_database_is_away(one: Cluster) -> None:
    server = one.servers[0]
    workflow = await server.workflow(graphs.working_then_asking(sleep_seconds=100))
    await server.started(workflow, wait_seconds=0)
    os.kill(one.mongo_pid, signal.SIGSTOP)  # it holds every connection and answers nothing
    asking = asyncio.ensure_future(server.client.get("/v1/workflow-runs"))
    await asyncio.sleep(0.5)
    database, began = one.mongo_pid, time.monotonic()
    await server.stop()
    assert time.monotonic() - began < LEAVE_SECONDS
    assert not is_running(database)
    reply = await asking
    assert refused(reply) == (503, "unavailable")
    assert int(reply.headers["Retry-After"]) > 0
    assert "Traceback" not in server.log()
