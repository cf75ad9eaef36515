"""A run that kills every process which takes it is failed at the fifth claim, and delays no other run meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from pathlib import Path

from tests.system import graphs
from tests.system.meanwhile import meanwhile
from tests.system.poison import ARMED, CLAIMS, Case, expiring_into_death, persistent, until
from tests.system.probe import flag
from tests.system.servers import Cluster
from tests.system.supervisor import Supervisor

TIMER_SECONDS = 1.0


@meanwhile
async def test_an_effect_that_kills_every_process_is_failed_at_the_fifth_claim(folder: Path) -> None:
    case = await Case(folder, graphs.working(kill=True)).happen()
    assert (case.run["termination_source"], case.run["turn_number"]) == ("stale_run_reaper", 1)
    assert case.deaths == CLAIMS, "its first process, and the first four that claimed it"
    key = f"{case.run['id']}:work#2.1"
    assert [(line["key"], line["attempt"]) for line in case.begun] == [(key, 1)] * CLAIMS
    assert (case.turn["cause"], case.turn["events"][-1]["type"]) == ("command", "workflow_error")
    assert (case.again["run_id"], case.again["status"]) == (case.run["id"], "failed")


@meanwhile
async def test_a_deadline_whose_step_kills_every_process_is_failed_at_the_fifth_claim(folder: Path) -> None:
    case = await Case(folder, expiring_into_death(1)).happen()
    assert (case.run["termination_source"], case.run["turn_number"]) == ("stale_run_reaper", 2)
    assert len(case.struck) == case.deaths == CLAIMS - 1, "the fifth claim steps nothing of it"
    assert (case.turn["cause"], case.turn["command"]) == ("reaper", None)
    assert case.turn["events"][-1]["type"] == "workflow_error"
    assert (case.again["turn_number"], case.again["status"]) == (1, "waiting_for_user_input"), "its key brings turn 1"


class Bystanders:
    """Turns of one run and timers of others, one after the other, each by whichever process is alive. What they wait is
    counted in deaths of servers meanwhile, which does not depend on how fast the machine restarts them."""

    def __init__(self, cluster: Cluster, supervisor: Supervisor, workflow: str, timed: str) -> None:
        self.servers = cluster.servers
        self.supervisor = supervisor
        self.workflow, self.timed = workflow, timed
        self.turns: list[int] = []
        self.timers: list[int] = []

    async def take_turns(self) -> None:
        run = (await persistent(self.servers, self.workflow, None, key="k1"))["run_id"]
        for turn in itertools.count(2):
            before = self.supervisor.deaths
            reply = await persistent(self.servers, self.workflow, run, key=f"k{turn}", message="x")
            assert reply["turn_number"] == turn
            self.turns.append(self.supervisor.deaths - before)
            await asyncio.sleep(0.2)

    async def start_timers(self) -> None:
        for number in itertools.count():
            reply = await persistent(self.servers, self.timed, None, key=f"t{number}", wait_seconds=0)
            before = self.supervisor.deaths
            await until(self.servers, reply["run_id"], "completed", 300)
            self.timers.append(self.supervisor.deaths - before)

    async def have_seen_timers(self, count: int, seconds: float) -> None:
        """Waits until so many have fired. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while len(self.timers) < count:  # noqa: ASYNC110  (it waits for another process)
                await asyncio.sleep(0.1)


async def poisoned_runs(cluster: Cluster) -> list[str]:
    """Fifty runs that do no harm until both processes are killed: from then on each kills whoever takes it."""
    server, other = cluster.servers
    effect = await server.workflow(graphs.working(kill_while=ARMED, sleep_seconds=100))
    deadline = await server.workflow(expiring_into_death(12, ARMED))
    runs = [(await server.started(deadline))["run_id"] for _ in range(25)]
    runs += [(await cluster.servers[n % 2].started(effect, wait_seconds=0))["run_id"] for n in range(25)]
    await cluster.traced("begun", count=25)
    flag(cluster.probe_dir, ARMED)
    await asyncio.gather(server.kill(), other.kill())
    return runs


async def test_fifty_such_runs_delay_no_other(tmp_path: Path, long_form: bool) -> None:
    """Short: while fifteen of them strike and three timers fire. Long: until all have failed (those whose turn takes too
    long, by its limit)."""
    async with Cluster(tmp_path, processes=2) as cluster:
        healthy = await cluster.servers[0].workflow(graphs.asking_for_ever())
        timed = await cluster.servers[0].workflow(graphs.waiting(TIMER_SECONDS))
        poisoned = await poisoned_runs(cluster)
        async with Supervisor(cluster) as supervisor:
            await cluster.traced("killing", "struck", count=1, seconds=60)
            bystanders = Bystanders(cluster, supervisor, healthy, timed)
            watching = [asyncio.ensure_future(work) for work in (bystanders.take_turns(), bystanders.start_timers())]
            if long_form:
                failed = [await until(cluster.servers, run, "failed", 900) for run in poisoned]
                assert {run["termination_source"] for run in failed} <= {"stale_run_reaper", "limit"}
            else:
                await cluster.traced("killing", "struck", count=15, seconds=120)
                await bystanders.have_seen_timers(3, seconds=120)
            for task in watching:
                task.cancel()
            ended = await asyncio.gather(*watching, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
        assert statistics.mean(bystanders.turns) < 2.0
        assert max(bystanders.turns) < 10
        assert statistics.median(bystanders.timers) < 10
        assert max(bystanders.timers) < 25
