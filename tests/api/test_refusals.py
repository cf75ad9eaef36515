"""Turns that are refused: with which status and code, about which run, and that nothing changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api import graphs
from tests.api.sites import NOBODY, Site, handle, said
from tests.engine.graphs import line, node


async def present(site: Site, run_id: str) -> tuple[str, int]:
    run = (await site.get(f"/v1/workflow-runs/{run_id}")).json()
    return run["status"], run["turn_number"]


@pytest.mark.parametrize("command", ["data", "resume", "pause", "stop"])
async def test_only_start_goes_without_a_run(site: Site, command: str) -> None:
    reply = await site.execute(await site.workflow(), command=command)
    assert said(reply) == (400, "invalid_request")
    assert handle(reply) == (None, None)


async def test_an_answer_must_be_given(site: Site) -> None:
    workflow_id, run_id = await site.started()
    without: list[dict[str, Any]] = [{}, {"command": "data"}, {"command": "start", "message": None}]
    for given in (*without, {"dynamic_variables": {}}):
        reply = await site.execute(workflow_id, run_id, **given)
        assert (*said(reply), *handle(reply)) == (422, "missing_answer", run_id, "1")
        assert reply.json()["run"]["status"] == "waiting_for_user_input"
    assert await present(site, run_id) == ("waiting_for_user_input", 1)


async def test_an_answer_must_fit_and_every_fault_is_told(site: Site) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}
    workflow_id, run_id = await site.started(graphs.asking(schema=schema))
    reply = await site.execute(workflow_id, run_id, data={"a": "x", "b": 1})
    assert (*said(reply), *handle(reply)) == (422, "invalid_answer", run_id, "1")
    assert sorted(detail["path"] for detail in reply.json()["details"]) == ["answer.a", "answer.b"]
    chosen, chosen_run = await site.started(graphs.asking(choices=["yes", "no"]))
    assert said(await site.execute(chosen, chosen_run, message="maybe")) == (422, "invalid_answer")
    assert await present(site, chosen_run) == ("waiting_for_user_input", 1)


async def test_of_several_pauses_one_must_be_named(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.two_questions())
    reply = await site.execute(workflow_id, run_id, message="which?")
    assert (*said(reply), *handle(reply)) == (422, "ambiguous_answer", run_id, "1")
    assert "pause_1" in reply.json()["message"]
    invented = await site.execute(workflow_id, run_id, answers={"pause_1": "L", "pause_9": "?"})
    assert (*said(invented), *handle(invented)) == (422, "unknown_pause", run_id, "1")
    assert (await site.execute(workflow_id, run_id, answers={"pause_1": "L"})).status_code == 200
    answered = await site.execute(workflow_id, run_id, answers={"pause_1": "again"})
    assert (*said(answered), *handle(answered)) == (409, "pause_already_answered", run_id, "2")
    assert await present(site, run_id) == ("waiting_for_user_input", 2)


async def test_resume_needs_a_paused_run(site: Site) -> None:
    workflow_id, run_id = await site.started()
    reply = await site.execute(workflow_id, run_id, command="resume")
    assert (*said(reply), *handle(reply)) == (409, "not_paused", run_id, "1")
    napping, napping_run = await site.started(graphs.waiting(), wait_seconds=0)
    assert said(await site.execute(napping, napping_run, command="resume")) == (409, "not_paused")


async def test_an_ended_run_takes_nothing_but_stop(site: Site) -> None:
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, message="Ada")
    for given in ({"message": "again"}, {"command": "pause"}, {"command": "resume"}, {}):
        reply = await site.execute(workflow_id, run_id, **given)
        assert (*said(reply), *handle(reply)) == (409, "run_ended", run_id, "2")
        assert (reply.json()["run"]["status"], reply.json()["run"]["outputs"]) == (
            "completed",
            {"greeting": "Hello, Ada!"},
        )


async def test_a_running_run_takes_no_answer(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.waiting(), wait_seconds=0)
    reply = await site.execute(workflow_id, run_id, message="hurry")
    assert (*said(reply), *handle(reply)) == (409, "turn_in_progress", run_id, "1")
    assert int(reply.headers["retry-after"]) >= 1
    waited = await site.execute(workflow_id, run_id, message="hurry", on_busy="wait", wait_seconds=0.2, expected_turn=2)
    assert said(waited) == (409, "turn_in_progress")


async def test_a_caller_may_wait_until_a_run_is_no_longer_busy(site: Site) -> None:
    graph = line(
        node("nap", "wait", seconds=0.4),
        node("q", "ask", prompt="Well?"),
        node("end", "end", outputs={"answer": "{{q}}"}),
    )
    workflow_id, run_id = await site.started(graph, wait_seconds=0)
    reply = await site.execute(workflow_id, run_id, message="now", on_busy="wait", idempotency_key="patient")
    assert (reply.status_code, reply.json()["outputs"]) == (200, {"answer": "now"})


async def test_two_answers_to_one_named_pause_are_not_both_taken(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.asking_twice())
    replies = await asyncio.gather(
        *(site.execute(workflow_id, run_id, answers={"pause_1": text}) for text in ("left", "right"))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    assert max(replies, key=lambda reply: reply.status_code).json()["error"] == "pause_already_answered"


async def test_an_answer_after_its_deadline_is_too_late(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.asking(expires_in_seconds=0.05))
    await asyncio.sleep(0.06)
    reply = await site.execute(workflow_id, run_id, message="sorry")
    assert said(reply) == (409, "pause_expired")
    assert handle(reply) == (run_id, "2")


async def test_a_paused_run_takes_no_answer(site: Site) -> None:
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, command="pause")
    reply = await site.execute(workflow_id, run_id, message="Ada")
    assert (*said(reply), *handle(reply)) == (409, "run_paused", run_id, "2")


async def test_a_wrong_turn_number_is_told_where_the_run_stands(site: Site) -> None:
    workflow_id, run_id = await site.started()
    reply = await site.execute(workflow_id, run_id, message="Ada", expected_turn=7)
    assert (*said(reply), *handle(reply)) == (409, "turn_mismatch", run_id, "1")
    assert reply.json()["run"]["turn_number"] == 1
    assert said(await site.execute(workflow_id, expected_turn=2)) == (409, "turn_mismatch")
    assert (await site.execute(workflow_id, expected_turn=1)).status_code == 200


async def test_a_key_with_another_body_is_refused(site: Site) -> None:
    workflow_id = await site.workflow()
    run_id = (await site.execute(workflow_id, idempotency_key="start")).json()["run_id"]
    for reply in (
        await site.execute(workflow_id, idempotency_key="start", message="other"),
        await site.execute(workflow_id, idempotency_key="start", query="?version=0"),
        await site.execute(workflow_id, idempotency_key="start", message=1),  # misshapen, but the key comes first
    ):
        assert (*said(reply), *handle(reply)) == (422, "idempotency_mismatch", run_id, "1")
    await site.execute(workflow_id, run_id, idempotency_key="answer", message="Ada")
    reply = await site.execute(workflow_id, run_id, idempotency_key="answer", message="Bob")
    assert (*said(reply), *handle(reply)) == (422, "idempotency_mismatch", run_id, "2")


async def test_a_refusal_uses_up_no_key(site: Site) -> None:
    workflow_id, run_id = await site.started()
    assert (await site.execute(workflow_id, run_id, idempotency_key="k")).status_code == 422
    assert (await site.execute(workflow_id, run_id, idempotency_key="k", message="Ada")).status_code == 200


async def test_what_does_not_exist_is_not_found_also_when_misshapen(site: Site) -> None:
    workflow_id, run_id = await site.started()
    other = await site.workflow()
    for address, run, body in (
        (NOBODY, None, {}),
        (NOBODY, None, {"message": 1}),
        (workflow_id, NOBODY, {"message": "x"}),
        (workflow_id, NOBODY, {"message": 1}),
        (workflow_id, "00000000-0000-4000-8000-000000000000", {"message": "x"}),
        (other, run_id, {"message": "x"}),
        (other, run_id, {"message": 1}),
    ):
        reply = await site.execute(address, run, **body)
        assert (*said(reply), *handle(reply)) == (404, "not_found", None, None)
    assert said(await site.execute(workflow_id, query="?version=7")) == (404, "not_found")


async def test_start_inputs_must_fit(site: Site) -> None:
    graph = graphs.needing({"name": "amount", "type": "number", "required": True}, {"name": "who", "max_length": 3})
    workflow_id = await site.workflow(graph)
    reply = await site.execute(workflow_id, dynamic_variables={"who": "much too long"})
    assert said(reply) == (422, "invalid_input")
    assert reply.json()["details"] == [
        {"path": "dynamic_variables.amount", "message": "is required"},
        {"path": "dynamic_variables.who", "message": "must have at most 3 characters"},
    ]
    assert (await site.get("/v1/workflow-runs")).json()["total"] == 0


async def test_an_input_over_a_limit_makes_no_run(site: Site) -> None:
    workflow_id, run_id = await site.started()
    large = "x" * 300_000
    for field, place in (("dynamic_variables", "dynamic_variables.v"), ("runtime_variables", "runtime_variables.v")):
        given: dict[str, Any] = {field: {"v": large}}
        reply = await site.execute(workflow_id, **given)
        assert (*said(reply), reply.json()["details"][0]["path"]) == (422, "too_large", place)
    answer = await site.execute(workflow_id, run_id, message=large)
    assert (*said(answer), *handle(answer)) == (422, "too_large", run_id, "1")
    assert (await site.get("/v1/workflow-runs")).json()["total"] == 1


MISSHAPEN: list[tuple[dict[str, Any], list[str]]] = [
    ({"runId": "x"}, ["runId"]),
    ({"runId": "x", "run_input": {}}, ["runId"]),
    ({"message": "bare", "run_input": {}}, ["message"]),
    ({"run_input": []}, ["run_input"]),
    ({"run_id": "nonsense"}, ["run_id"]),
    ({"run_id": 7}, ["run_id"]),
    ({"run_input": {"workflow_run_id": "nonsense"}}, ["run_input.workflow_run_id"]),
    ({"run_input": {"command": "jump"}}, ["run_input.command"]),
    ({"command": 1, "wait_seconds": 601, "expected_turn": 0}, ["wait_seconds", "command", "expected_turn"]),
    ({"run_input": {"initial_state": {}}}, ["run_input.initial_state"]),
    ({"run_input": {"on_busy": "wait"}}, ["run_input.on_busy"]),
    ({"run_input": {"data": 1, "answers": {"pause_1": 1}}}, ["run_input.data", "run_input.answers"]),
    ({"dynamic_variables": [], "miscellaneous": 1}, ["miscellaneous", "dynamic_variables"]),
    ({"thread_to_node_inputs": {"0": 1}}, ["thread_to_node_inputs.0"]),
]


@pytest.mark.parametrize(("body", "paths"), MISSHAPEN)
async def test_a_misshapen_turn_names_its_fields(site: Site, body: dict[str, Any], paths: list[str]) -> None:
    reply = await site.post(f"/v1/workflows/{await site.workflow()}/execute", body)
    assert said(reply) == (422, "invalid_value")
    assert [detail["path"] for detail in reply.json()["details"]] == paths
    assert (await site.get("/v1/workflow-runs")).json()["total"] == 0


async def test_version_and_key_are_checked_with_the_body(site: Site) -> None:
    workflow_id, run_id = await site.started()
    reply = await site.execute(workflow_id, run_id, query="?version=-1", idempotency_key="x" * 256, message=1)
    assert (*said(reply), *handle(reply)) == (422, "invalid_value", run_id, "1")
    assert [detail["path"] for detail in reply.json()["details"]] == ["version", "Idempotency-Key", "run_input.message"]


async def test_two_different_runs_are_not_taken_together(site: Site) -> None:
    workflow_id, run_id = await site.started()
    reply = await site.execute(workflow_id, run_id, workflow_run_id=NOBODY, message="x")
    assert [detail["path"] for detail in reply.json()["details"]] == ["run_input.workflow_run_id"]
    assert (await site.execute(workflow_id, workflow_run_id=run_id, message="Ada")).json()["run_id"] == run_id
