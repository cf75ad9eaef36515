"""Commits by other processes into a run whose effects one process is performing: stop, pause, timers."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from tests.system import graphs
from tests.system.caller import Json, refused, taken
from tests.system.servers import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")
CANCELLED_SECONDS = 1.0


def types(turn: Json) -> list[str]:
    return [event["type"] for event in turn["events"]]


def finished(turn: Json) -> list[str]:
    return [event["node_id"] for event in turn["events"] if event["type"] == "end_node_run"]


async def test_stop_from_another_process_cancels_the_effect_within_a_second(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.working(sleep_seconds=100))
    took = []
    for _ in range(3):
        waiting = asyncio.ensure_future(server.execute(workflow, key=None))
        run = (await _begun(pair, len(took) + 1, workflow))["id"]
        asked_at = time.time()
        stopped = taken(await other.execute(workflow, run, command="stop"))
        assert (stopped["status"], stopped["is_completed"], stopped["turn_number"]) == ("cancelled", True, 1)
        assert types(stopped)[-1] == "end_workflow"
        assert taken(await waiting) == stopped, "both callers get the turn's record"
        cancelled = await pair.traced("cancelled", run=run)
        took.append(cancelled[0]["at"] - asked_at)
        assert (await server.run(run))["termination_source"] == "stopped"
    # the bound holds for each; the median of three leaves room for a machine that is busy with other things
    assert statistics.median(took) < CANCELLED_SECONDS, took


async def _begun(pair: Cluster, count: int, workflow: str) -> Json:
    """The newest of `count` runs of the workflow, once its effect has begun."""
    while True:
        found = taken(await pair.servers[1].client.get(f"/v1/workflow-runs?workflow_id={workflow}"))
        if found["total"] == count and pair.trace("begun", run=found["items"][0]["id"]):
            return dict(found["items"][0])
        await asyncio.sleep(0.02)


async def test_a_result_that_comes_after_the_stop_is_dropped(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working(sleep_while=hold.name))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    await pair.traced("begun", run=run)
    server.freeze()  # so that it cannot be told before its effect has ended
    try:
        stopped = taken(await other.execute(workflow, run, command="stop"))
        hold.unlink()
    finally:
        server.thaw()
    await pair.traced("ended", "cancelled", run=run)
    await asyncio.sleep(1.0)
    turn = await server.turn(run, 1)
    assert turn["events"] == stopped["events"]
    assert (turn["status"], turn["outputs"], "work" in finished(turn)) == ("cancelled", {}, False)


async def test_stop_again_is_answered_with_the_final_state_and_uses_no_turn(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.working(sleep_seconds=100))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    taken(await other.execute(workflow, run, command="stop"))
    for process in pair.servers:
        again = taken(await process.execute(workflow, run, command="stop"))
        assert (again["status"], again["turn_number"], again["events"]) == ("cancelled", 1, [])
        assert refused(await process.execute(workflow, run, message="x")) == (409, "run_ended")


async def test_pause_from_another_process_holds_once_the_once_effect_has_settled(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working_then_asking(sleep_while=hold.name, value="kept"))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    await pair.traced("begun", run=run)
    accepted = taken(await other.execute(workflow, run, command="pause", wait_seconds=0), 202)
    assert (accepted["status"], accepted["turn_number"]) == ("running", 1)
    pausing = asyncio.ensure_future(other.execute(workflow, run, command="pause"))
    await asyncio.sleep(1.0)
    assert (await server.run(run))["status"] == "running"
    hold.unlink()
    held = await server.until_closed(run, 1)
    assert (held["status"], held["events"][-1]["type"]) == ("paused", "pause_event")
    assert taken(await pausing)["status"] in ("running", "paused")
    assert refused(await server.execute(workflow, run, message="x")) == (409, "run_paused")
    resumed = taken(await server.execute(workflow, run, command="resume"))
    assert (resumed["status"], resumed["turn_number"]) == ("waiting_for_user_input", 2)
    assert taken(await other.execute(workflow, run, message="a"))["outputs"] == {"result": "kept", "answer": "a"}
    assert len(pair.trace("begun", run=run)) == 1, "the once-effect was not repeated"


async def test_pause_cancels_a_replayable_effect_at_once_and_resume_runs_it_again(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working(once=False, sleep_while=hold.name))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    await pair.traced("begun", run=run)
    assert taken(await other.execute(workflow, run, command="pause"))["status"] == "paused"
    await pair.traced("cancelled", run=run)
    hold.unlink()
    resumed = taken(await other.execute(workflow, run, command="resume"))
    assert (resumed["status"], resumed["turn_number"]) == ("completed", 2)
    begun = pair.trace("begun", run=run)
    assert [line["key"] for line in begun] == [f"{run}:work#2.1"] * 2
    assert begun[0]["pid"] == server.pid


async def test_a_timer_fires_into_a_turn_whose_effect_is_in_flight_elsewhere(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working_beside_a_timer(1.0, sleep_while=hold.name))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    await pair.traced("begun", run=run)
    server.freeze()  # shorter than its lease: only the other can fire the timer
    try:
        await asyncio.sleep(3.5)
        open_turn = await other.turn(run, 1)
    finally:
        server.thaw()
    assert (open_turn["status"], finished(open_turn)) == ("running", ["start", "nap", "woken"])
    await asyncio.sleep(1.0)
    hold.unlink()
    closed = await other.until_closed(run, 1)
    assert (closed["status"], closed["outputs"]) == ("completed", {"result": "done"})
    assert finished(closed) == ["start", "nap", "woken", "work", "end"]
    assert [line["what"] for line in pair.trace(run=run)] == ["begun", "ended"], "its owner kept it"


async def test_many_effects_and_timers_of_one_run_settle_once_each(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.busy(8))
    runs = [server.started(workflow) for _ in range(5)] + [other.started(workflow) for _ in range(5)]
    for reply in await asyncio.gather(*runs):
        assert reply["status"] == "completed"
        assert sorted(finished(reply)) == sorted(["start", "end", "nap", *(f"work{n}" for n in range(8))])
        begun = sorted(line["key"] for line in pair.trace("begun", run=reply["run_id"]))
        assert len(begun) == len(set(begun)) == 8
        assert [event["seq"] for event in reply["events"]] == list(range(1, len(reply["events"]) + 1))
