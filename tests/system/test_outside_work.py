"""A turn with outside work: accepted at once, seen from every process, and finished whether or not anybody waits."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.system import graphs
from tests.system.caller import refused, taken
from tests.system.servers import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_wait_seconds_0_answers_202_and_a_get_of_the_turn_brings_its_result(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working(sleep_while=hold.name, value=[1, 2]))
    reply = await server.execute(workflow, wait_seconds=0)
    accepted = taken(reply, 202)
    run = accepted["run_id"]
    assert (reply.headers["X-Run-Id"], reply.headers["X-Turn-Number"]) == (run, "1")
    assert (accepted["status"], accepted["is_completed"], accepted["turn_number"]) == ("running", False, 1)
    seen = await other.turn(run, 1)
    assert (seen["status"], seen["cause"], seen["closed_at"]) == ("running", "command", None)
    hold.unlink()
    closed = await other.until_closed(run, 1)
    assert (closed["status"], closed["outputs"]) == ("completed", {"result": [1, 2]})


async def test_the_same_key_waits_for_the_turn_under_way_in_another_process(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working(sleep_while=hold.name))
    taken(await server.execute(workflow, key="k", wait_seconds=0), 202)
    waits = [asyncio.ensure_future(one.execute(workflow, key="k", wait_seconds=30)) for one in (server, other)]
    await asyncio.sleep(0.5)
    hold.unlink()
    replies = await asyncio.gather(*waits)
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].content == replies[1].content
    assert [reply.headers["Idempotency-Replayed"] for reply in replies] == ["true", "true"]
    assert len(pair.trace("begun", run=replies[0].json()["run_id"])) == 1


async def test_a_turn_longer_than_wait_seconds_answers_202_and_goes_on(pair: Cluster) -> None:
    server = pair.servers[0]
    hold = pair.hold()
    workflow = await server.workflow(graphs.working(sleep_while=hold.name))
    accepted = taken(await server.execute(workflow, wait_seconds=1), 202)
    hold.unlink()
    assert (await server.until_closed(accepted["run_id"], 1))["status"] == "completed"


async def test_a_turn_goes_on_when_its_client_has_gone(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working_then_asking(sleep_while=hold.name))
    with pytest.raises(httpx.ReadTimeout):
        body = {"run_input": {"wait_seconds": 60}}
        await server.client.post(f"/v1/workflows/{workflow}/execute", json=body, timeout=1.0)
    found = taken(await other.client.get(f"/v1/workflow-runs?workflow_id={workflow}"))["items"]
    assert [run["status"] for run in found] == ["running"]
    hold.unlink()
    closed = await other.until_closed(found[0]["id"], 1)
    assert (closed["status"], closed["pauses"][0]["prompt"]) == ("waiting_for_user_input", "Well?")


async def test_an_answer_to_a_busy_run_is_refused_and_on_busy_wait_lets_it_proceed(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working_then_asking(sleep_while=hold.name))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    reply = await other.execute(workflow, run, message="early")
    assert refused(reply) == (409, "turn_in_progress")
    assert int(reply.headers["Retry-After"]) > 0
    assert (reply.json()["run"]["status"], reply.json()["run"]["turn_number"]) == ("running", 1)
    patient = asyncio.ensure_future(other.execute(workflow, run, message="patient", on_busy="wait", key="k"))
    await asyncio.sleep(1.0)
    assert not patient.done()
    hold.unlink()
    last = taken(await patient)
    assert (last["status"], last["turn_number"]) == ("completed", 2)
    assert last["outputs"] == {"result": "done", "answer": "patient"}


async def test_on_busy_wait_gives_up_after_wait_seconds(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working_then_asking(sleep_while=hold.name))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    reply = await other.execute(workflow, run, message="x", on_busy="wait", wait_seconds=1, key="k")
    assert refused(reply) == (409, "turn_in_progress")
    hold.unlink()
    assert (await other.until_closed(run, 1))["status"] == "waiting_for_user_input"


async def test_a_retry_after_a_delay_is_performed_by_whichever_process_finds_it_due(pair: Cluster) -> None:
    server, _ = pair.servers
    retry = {"max_attempts": 4, "delay_seconds": 0.5}
    workflow = await server.workflow(graphs.working(fail_attempts=3, retry=retry, value="at last"))
    started = await server.started(workflow)
    assert (started["status"], started["outputs"]) == ("completed", {"result": "at last"})
    begun = [(line["key"], line["attempt"]) for line in pair.trace("begun", run=started["run_id"])]
    assert begun == [(f"{started['run_id']}:work#2.1", attempt) for attempt in (1, 2, 3, 4)]


async def test_a_failure_that_cannot_be_repeated_fails_the_run(pair: Cluster) -> None:
    server = pair.servers[0]
    retry = {"max_attempts": 4, "delay_seconds": 0}
    workflow = await server.workflow(graphs.working(fail_attempts=1, retryable=False, retry=retry))
    failed = await server.started(workflow)
    assert (failed["status"], failed["is_completed"]) == ("failed", True)
    assert len(pair.trace("begun", run=failed["run_id"])) == 1
