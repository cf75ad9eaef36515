"""A process that is frozen past its lease has lost its runs: what it brings when it wakes up is dropped."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.system import graphs
from tests.system.caller import taken
from tests.system.meanwhile import meanwhile
from tests.system.servers import Cluster

TAKEOVER_SECONDS = 15.0


@meanwhile
async def test_a_frozen_owner_is_replaced_and_what_it_brings_later_is_dropped(folder: Path) -> None:
    async with Cluster(folder, processes=2) as cluster:
        await _freeze(cluster)


async def _freeze(two: Cluster) -> None:
    owner, heir = two.servers
    late, settled = two.hold(), two.hold()
    slow = await owner.workflow(graphs.working_then_asking(sleep_while=late.name, value="pid"))
    quick = await owner.workflow(graphs.working_then_asking(sleep_while=settled.name, value="pid"))
    runs = {name: (await owner.started(name, wait_seconds=0))["run_id"] for name in (slow, quick)}
    await two.traced("begun", count=2)
    owner.freeze()
    frozen_at = time.time()
    settled.unlink()  # this one ends in the frozen process, too, as soon as it wakes
    begun = (await two.traced("begun", count=4, seconds=TAKEOVER_SECONDS + 5))[2:]
    assert max(line["at"] for line in begun) - frozen_at < TAKEOVER_SECONDS
    assert {(line["pid"], line["key"]) for line in begun} == {(heir.pid, f"{run}:work#2.1") for run in runs.values()}
    before = await heir.until_closed(runs[quick], 1)
    owner.thaw()
    await asyncio.sleep(2.0)
    late.unlink()
    for workflow, run in runs.items():
        await heir.until_closed(run, 1)
        events = (await owner.turn(run, 1))["events"]
        finished = [event["run_output"] for event in events if event.get("node_id") == "work" and "run_output" in event]
        assert finished == [str(heir.pid)], "one result, and not that of the owner that was frozen"
        last = taken(await owner.execute(workflow, run, message="a"))
        assert (last["status"], last["outputs"]) == ("completed", {"result": str(heir.pid), "answer": "a"})
    assert await owner.turn(runs[quick], 1) == before
    ended = [(line["key"].partition(":")[0], line["pid"]) for line in two.trace("ended")]
    assert ended.count((runs[slow], heir.pid)) == 1
    assert (runs[slow], owner.pid) not in ended, "it was cancelled when its owner saw that the lease was gone"
