"""Timers and deadlines: applied within two seconds of their time, or of readiness, though nobody looks."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.system import graphs
from tests.system.caller import refused, taken
from tests.system.servers import Cluster

sharing = pytest.mark.asyncio(loop_scope="session")
LATE_SECONDS = 2.0


@sharing
async def test_a_question_expires_while_nobody_looks(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.expiring(1))
    started = await server.started(workflow)
    run, expires_at = started["run_id"], started["pauses"][0]["expires_at"]
    await asyncio.sleep(1 + LATE_SECONDS)
    turn = await other.turn(run, 2)
    assert (turn["cause"], turn["status"], turn["outputs"]) == ("expiry", "completed", {"went": "expired"})
    assert 0 <= turn["closed_at"] - expires_at <= LATE_SECONDS
    assert turn["command"] is None
    assert refused(await other.execute(workflow, run, message="late")) == (409, "run_ended")


@sharing
async def test_an_expiry_without_a_branch_fails_the_run_and_a_late_answer_is_told_so(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.asking("Quick!", expires_in_seconds=1))
    run = (await server.started(workflow))["run_id"]
    ended = await other.until_status(run, "failed")
    assert (ended["termination_source"], ended["turn_number"]) == ("expired", 2)
    assert refused(await other.execute(workflow, run, message="late")) == (409, "pause_expired")


@sharing
async def test_a_timer_that_fires_at_rest_is_a_turn_with_that_cause(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.asking_beside_a_timer(1))
    started = await server.started(workflow)
    assert (started["status"], started["has_background_work"]) == ("waiting_for_user_input", True)
    due_at = started["events"][0]["timestamp"] + 1
    turn = await other.until_closed_after(started["run_id"], 2)
    assert (turn["cause"], turn["status"]) == ("timer", "waiting_for_user_input")
    assert 0 <= turn["closed_at"] - due_at <= LATE_SECONDS
    assert taken(await other.execute(workflow, started["run_id"], message="a"))["turn_number"] == 3


@sharing
async def test_a_wait_is_one_turn_and_its_caller_gets_the_result(pair: Cluster) -> None:
    server, _ = pair.servers
    workflow = await server.workflow(graphs.waiting(1.5))
    reply = taken(await server.execute(workflow, wait_seconds=20))
    assert (reply["status"], reply["turn_number"], reply["outputs"]) == ("completed", 1, {"done": True})


@sharing
async def test_a_wait_longer_than_the_callers_patience_is_accepted_at_once(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.waiting(31_536_000))
    began = time.monotonic()
    reply = taken(await server.execute(workflow, wait_seconds=600), 202)
    assert time.monotonic() - began < 10, "it did not wait for its 600 seconds"
    assert (reply["status"], reply["has_background_work"]) == ("running", True)
    await asyncio.sleep(1.0)
    turn = await other.turn(reply["run_id"], 1)
    assert (turn["status"], turn["cause"], turn["closed_at"]) == ("running", "command", None)
    stopped = taken(await other.execute(workflow, reply["run_id"], command="stop"))
    assert (stopped["status"], stopped["turn_number"]) == ("cancelled", 1)


@sharing
async def test_the_clocks_of_a_held_run_stand(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.expiring(1))
    run = (await server.started(workflow))["run_id"]
    assert taken(await other.execute(workflow, run, command="pause"))["status"] == "paused"
    await asyncio.sleep(2.5)
    assert (await other.run(run))["status"] == "paused"
    resumed = taken(await server.execute(workflow, run, command="resume"))
    assert resumed["status"] == "waiting_for_user_input"
    assert (await other.until_status(run, "completed"))["outputs"] == {"went": "expired"}


async def test_what_came_due_while_the_server_was_down_is_applied_within_two_seconds_of_readiness(
    one: Cluster,
) -> None:
    server = one.servers[0]
    expiring, timed = await server.workflow(graphs.expiring(1)), await server.workflow(graphs.waiting(1))
    runs = [(await server.started(expiring))["run_id"] for _ in range(20)]
    waits = [(await server.started(timed, wait_seconds=0))["run_id"] for _ in range(20)]
    await server.kill()
    await asyncio.sleep(1.5)
    await server.start()
    ready_at = time.time()
    for run in runs:
        turn = await server.until_closed_after(run, 2)
        assert (turn["cause"], turn["outputs"]) == ("expiry", {"went": "expired"})
        assert turn["closed_at"] - ready_at <= LATE_SECONDS
    for run in waits:
        turn = await server.until_closed(run, 1)
        assert (turn["cause"], turn["outputs"]) == ("command", {"done": True})
        assert turn["closed_at"] - ready_at <= LATE_SECONDS
