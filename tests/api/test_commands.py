"""Pausing, resuming and stopping runs over HTTP."""

from __future__ import annotations

import asyncio

from tests.api import graphs
from tests.api.sites import Site, handle, said, types


async def test_pause_holds_a_waiting_run_and_resume_goes_on(site: Site) -> None:
    workflow_id, run_id = await site.started()
    paused = await site.execute(workflow_id, run_id, command="pause")
    body = paused.json()
    assert (paused.status_code, *handle(paused), body["status"]) == (200, run_id, "2", "paused")
    assert (body["is_waiting_for_input"], body["is_completed"], body["next_input_hint"]) == (False, False, None)
    assert types(paused)[-1] == "pause_event"
    resumed = await site.execute(workflow_id, run_id, command="resume")
    assert (resumed.json()["status"], resumed.json()["turn_number"]) == ("waiting_for_user_input", 3)
    assert types(resumed)[-1] == "workflow_ready_for_input"
    assert (await site.execute(workflow_id, run_id, message="Ada")).json()["status"] == "completed"


async def test_resume_may_bring_the_answer(site: Site) -> None:
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, command="pause")
    reply = await site.execute(workflow_id, run_id, command="resume", message="Ada")
    assert (reply.json()["status"], reply.json()["outputs"]) == ("completed", {"greeting": "Hello, Ada!"})


async def test_pausing_twice_uses_no_turn(site: Site) -> None:
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, command="pause")
    again = await site.execute(workflow_id, run_id, command="pause")
    assert (again.status_code, *handle(again), again.json()["status"]) == (200, run_id, "2", "paused")
    assert again.json()["events"] == []


async def test_pause_of_a_running_run_joins_its_turn(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.waiting(), wait_seconds=0)
    paused = await site.execute(workflow_id, run_id, command="pause", expected_turn=1)
    assert (paused.json()["status"], paused.json()["turn_number"]) == ("paused", 1)
    resumed = await site.execute(workflow_id, run_id, command="resume", wait_seconds=0)
    assert (resumed.status_code, resumed.json()["status"], resumed.json()["turn_number"]) == (202, "running", 2)


async def test_stop_cancels_a_waiting_a_paused_and_a_running_run(site: Site) -> None:
    for graph, commands in ((graphs.asking(), []), (graphs.asking(), ["pause"]), (graphs.waiting(), [])):
        workflow_id, run_id = await site.started(graph, wait_seconds=0)
        for command in commands:
            await site.execute(workflow_id, run_id, command=command)
        reply = await site.execute(workflow_id, run_id, command="stop")
        body = reply.json()
        assert (reply.status_code, body["status"], body["is_completed"]) == (200, "cancelled", True)
        assert types(reply)[-1] == "end_workflow"
        run = (await site.get(f"/v1/workflow-runs/{run_id}")).json()
        assert (run["status"], run["termination_source"]) == ("cancelled", "stopped")


async def test_stop_of_an_ended_run_changes_nothing(site: Site) -> None:
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, message="Ada")
    for expected in ("completed", "completed"):
        reply = await site.execute(workflow_id, run_id, command="stop")
        body = reply.json()
        assert (reply.status_code, *handle(reply)) == (200, run_id, "2")
        assert (body["status"], body["events"], body["turn_number"]) == (expected, [], 2)


async def test_a_pause_in_vain_under_a_key_is_judged_anew(site: Site) -> None:
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, command="pause")
    await site.execute(workflow_id, run_id, command="pause", idempotency_key="again")
    await site.execute(workflow_id, run_id, command="resume")
    reply = await site.execute(workflow_id, run_id, command="pause", idempotency_key="again")
    assert (reply.json()["turn_number"], "idempotency-replayed" in reply.headers) == (4, False)


async def test_over_the_limit_of_runs_at_work_a_start_is_put_off(site: Site) -> None:
    workflow_id = await site.workflow(graphs.waiting())
    limited = await site.patch(f"/v1/workflows/{workflow_id}/concurrency", {"max_concurrent_runs": 1})
    assert (limited.status_code, limited.json()["max_concurrent_runs"]) == (200, 1)
    first = await site.execute(workflow_id, wait_seconds=0)
    refused = await site.execute(workflow_id, wait_seconds=0)
    assert (first.status_code, *said(refused)) == (202, 429, "limit_reached")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await site.execute(workflow_id, first.json()["run_id"], command="stop")).status_code == 200
    for _ in range(20):  # the place is given back behind the reply
        if (after := await site.execute(workflow_id, wait_seconds=0)).status_code != 429:
            break
        await asyncio.sleep(0.05)
    assert after.status_code == 202
