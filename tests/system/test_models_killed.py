"""Servers that are killed, or leave, while a model streams or code runs: another one goes on, and readers follow."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil

from tests.engine.graphs import line, node
from tests.stub_voice import Say
from tests.system.caller import Json
from tests.system.meanwhile import meanwhile
from tests.system.models import Provider, Reader, asking, cluster_of, provider, until
from tests.system.servers import Cluster, Server

TAKEOVER_SECONDS = 15.0
LEAVE_SECONDS = 5.0
FIRST = Say(text="what nobody hears the end of " * 100, delay_seconds=0.05)
SECOND = Say(text="told once more, \U0001f600 to its end", delay_seconds=0.1)


async def streaming(server: Server, stub: Provider, most: tuple[int | None, ...], other: Server) -> list[Reader]:
    """Readers of a new run whose model is being heard at `server`. The last one begins at `other`."""
    await stub.plan(FIRST, SECOND)
    run = (await server.started(await server.workflow(asking("go on", say=True)), wait_seconds=0))["run_id"]
    readers = [*(Reader([server, other], run, one) for one in most), Reader([other, server], run)]
    for reader in readers:
        reader.begin()

    async def heard() -> bool:
        return all(len(reader.deltas()) > 2 for reader in readers[:-1])

    await until(heard, 20)
    return readers


async def check_told_anew(readers: list[Reader], stub: Provider, server: Server) -> None:
    for reader in readers:
        await reader.end()
        reader.check()
        assert list(reader.texts().values()) == [SECOND.text]
        assert reader.frames[-1].data["status"] == "completed"
    assert [reader.resets() for reader in readers] == [[2]] * (len(readers) - 1) + [[]]
    keys = [seen["key"] for seen in await stub.asked("go on", 2)]
    assert keys == [f"{readers[0].run}:say#2.1"] * 2
    assert "Traceback" not in server.log()


@meanwhile
async def test_a_model_is_told_anew_by_another_server_after_kill_9(folder: Path) -> None:
    async with provider() as stub, cluster_of(folder, stub) as cluster:
        dead, heir = cluster.servers
        readers = await streaming(dead, stub, (None, 1, 4), heir)
        await dead.kill()
        began = time.monotonic()
        await stub.asked("go on", 2)
        assert time.monotonic() - began < TAKEOVER_SECONDS
        await check_told_anew(readers, stub, heir)


@meanwhile
async def test_a_server_leaves_while_a_model_streams_and_another_goes_on(folder: Path) -> None:
    async with provider() as stub, cluster_of(folder, stub) as cluster:
        leaving, heir = cluster.servers
        readers = await streaming(leaving, stub, (None, 3), heir)
        began = time.monotonic()
        assert await leaving.stop() == 0
        assert time.monotonic() - began < LEAVE_SECONDS
        await stub.asked("go on", 2, seconds=3.0)
        assert (await stub.seen())[0]["closed"], "the server that left has closed its call"
        assert "Traceback" not in leaving.log()
        await check_told_anew(readers, stub, heir)


# ---- code

LIMIT_SECONDS = 20.0
LOOP = "total = 0\nfor number in range(6_000_000):\n    total += number\noutput = [number, total]"


def computing() -> Json:
    made = node("sum", "code", code=LOOP, timeout_seconds=LIMIT_SECONDS)
    return line(made, node("end", "end", outputs={"it": "{{sum.output}}"}))


def workers(server: Server) -> list[psutil.Process]:
    """Those that run code of users."""
    found = psutil.Process(server.pid).children(recursive=True)
    return [process for process in found if any("monty" in word for word in process.cmdline())]


@meanwhile
async def test_code_goes_on_elsewhere_after_kill_9_and_leaves_no_worker_behind(folder: Path) -> None:
    async with Cluster(folder, processes=2) as cluster:
        dead, heir = cluster.servers
        run = (await dead.started(await dead.workflow(computing()), wait_seconds=0))["run_id"]
        busy = await until(lambda: _busy(dead), 20)
        await dead.kill()
        turn = await heir.until_closed(run, 1, TAKEOVER_SECONDS + 2 * LIMIT_SECONDS)
        assert turn["outputs"] == {"it": [5_999_999, 17_999_997_000_000]}
        gone, left = await asyncio.to_thread(psutil.wait_procs, busy, LIMIT_SECONDS + 2)
        assert (len(gone), left) == (len(busy), [])


async def _busy(server: Server) -> list[psutil.Process]:
    """Its workers, once one of them is at work."""
    found = workers(server)
    return found if any(sum(worker.cpu_times()[:2]) > 0.3 for worker in found) else []
