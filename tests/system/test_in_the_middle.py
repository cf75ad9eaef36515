"""kill -9 in the middle of a turn, while effects are in flight: the run is taken over and goes on from its last commit."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.engine.graphs import line, node
from tests.system import graphs
from tests.system.caller import Json, taken
from tests.system.meanwhile import meanwhile
from tests.system.servers import Cluster, Server

TAKEOVER_SECONDS = 15.0
THRICE = {"max_attempts": 4, "delay_seconds": 0}


def chain(hold: str) -> Json:
    return line(
        graphs.work("first", value="one"),
        graphs.work("second", sleep_while=hold, value="two"),
        node("end", "end", outputs={"both": ["{{first}}", "{{second}}"]}),
    )


class Aftermath:
    """Three runs that were in flight in a process when it was killed, and what another made of them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.dead, self.heir = cluster.servers
        self.dead_pid = self.dead.pid
        self.turns: dict[str, Json] = {}
        self.workflows: dict[str, str] = {}
        self.killed_at = 0.0

    async def happen(self) -> None:
        hold = self.cluster.hold()
        held = {"sleep_while": hold.name}
        graphs_by_name = {
            "once": graphs.working(**held, value="pid"),
            "replayable": graphs.working(**held, once=False),
            "chain": chain(hold.name),
            "retried": graphs.working(**held, fail_attempts=2, retry=THRICE, value="third time"),
        }
        runs = {}
        for name, graph in graphs_by_name.items():
            workflow = self.workflows[name] = await self.dead.workflow(graph)
            reply = await self.dead.execute(workflow, key=name, wait_seconds=0)
            runs[name] = taken(reply, 202)["run_id"]
        await self.cluster.traced("begun", count=5)
        self.killed_at = time.time()
        await self.dead.kill()
        await self.cluster.traced("begun", count=9, seconds=TAKEOVER_SECONDS + 5)
        hold.unlink()
        for name, run in runs.items():
            self.turns[name] = await self.heir.until_closed(run, 1)

    def lines(self, name: str, *what: str) -> list[Json]:
        return self.cluster.trace(*what, run=self.turns[name]["run_id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    async with Cluster(tmp_path_factory.mktemp("aftermath"), processes=2) as cluster:
        found = Aftermath(cluster)
        await found.happen()
        yield found


in_the_aftermath = pytest.mark.asyncio(loop_scope="module")


@in_the_aftermath
async def test_another_process_takes_over_within_15_seconds(aftermath: Aftermath) -> None:
    for name in ("once", "replayable", "chain", "retried"):
        begun = aftermath.lines(name, "begun")
        taken_over = next(line for line in begun if line["pid"] == aftermath.heir.pid)
        assert taken_over["at"] - aftermath.killed_at < TAKEOVER_SECONDS, name
        assert aftermath.turns[name]["status"] == "completed"


@in_the_aftermath
async def test_the_result_is_that_of_the_process_that_took_over(aftermath: Aftermath) -> None:
    assert aftermath.turns["once"]["outputs"] == {"result": str(aftermath.heir.pid)}


@in_the_aftermath
async def test_a_once_effect_is_not_repeated_after_its_result_was_committed(aftermath: Aftermath) -> None:
    begun = Counter(line["key"].partition(":")[2] for line in aftermath.lines("chain", "begun"))
    assert begun == {"first#2.1": 1, "second#3.1": 2}
    assert aftermath.turns["chain"]["outputs"] == {"both": ["one", "two"]}


@in_the_aftermath
async def test_every_attempt_carries_the_same_key_and_a_takeover_is_no_attempt(aftermath: Aftermath) -> None:
    begun = [(line["key"], line["attempt"]) for line in aftermath.lines("retried", "begun")]
    key = f"{aftermath.turns['retried']['run_id']}:work#2.1"
    assert begun == [(key, 1), (key, 1), (key, 2), (key, 3)]
    assert aftermath.turns["retried"]["outputs"] == {"result": "third time"}


@in_the_aftermath
async def test_the_same_key_brings_the_turns_reply_from_the_process_that_took_over(aftermath: Aftermath) -> None:
    for name, workflow in aftermath.workflows.items():
        reply = await aftermath.heir.execute(workflow, key=name, wait_seconds=0)
        assert (reply.status_code, reply.headers["Idempotency-Replayed"]) == (200, "true")
        assert reply.json().items() <= aftermath.turns[name].items()


@meanwhile
async def test_a_restart_takes_its_own_turn_over_within_15_seconds_of_the_kill(folder: Path) -> None:
    async with Cluster(folder) as cluster:
        server = cluster.servers[0]
        hold = cluster.hold()
        workflow = await server.workflow(chain(hold.name))
        run = (await server.started(workflow, wait_seconds=0))["run_id"]
        await cluster.traced("begun", count=2)
        await server.kill()
        killed_at = time.time()
        await server.start()
        begun = await cluster.traced("begun", count=3, seconds=TAKEOVER_SECONDS + 5)
        hold.unlink()
        assert begun[2]["at"] - killed_at < TAKEOVER_SECONDS
        assert [(line["key"], line["attempt"]) for line in begun[1:]] == [(f"{run}:second#3.1", 1)] * 2
        assert (await server.until_closed(run, 1))["outputs"] == {"both": ["one", "two"]}


@pytest.mark.parametrize("effect_ends", ["while the database is away", "when it is back"])
async def test_a_turn_outlives_kill_9_of_the_database_without_repeating_its_effect(
    tmp_path: Path, effect_ends: str
) -> None:
    async with Cluster(tmp_path, own_database=False) as cluster:
        server = cluster.servers[0]
        hold = cluster.hold()
        workflow = await server.workflow(chain(hold.name))
        turn = asyncio.ensure_future(server.execute(workflow, key="k"))
        await cluster.traced("begun", count=2)
        await cluster.stop_watching()
        cluster.kill_database()
        if effect_ends == "while the database is away":
            hold.unlink()
            await cluster.traced("ended", count=2)
        await asyncio.sleep(1.0)
        await cluster.start_database()
        hold.unlink(missing_ok=True)
        run = await _run_of(server, workflow, await turn)
        assert (await server.until_closed(run, 1))["outputs"] == {"both": ["one", "two"]}
        begun = Counter(line["key"] for line in cluster.trace("begun"))
        assert begun == {f"{run}:first#2.1": 1, f"{run}:second#3.1": 1}


async def _run_of(server: Server, workflow: str, reply: Any) -> str:
    """The run of a turn whose caller may have been told to come again: under its key."""
    while reply.status_code == 503:
        reply = await server.execute(workflow, key="k")
    return str(taken(reply, 200, 202)["run_id"])
