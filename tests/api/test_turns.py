"""Turns that are taken: starts, answers, and the replies that repeat one."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.api import graphs
from tests.api.sites import GREETING, Site, handle, types
from tests.engine.graphs import line, node


async def test_a_first_turn_starts_a_run_and_waits(site: Site) -> None:
    workflow_id = await site.workflow()
    reply = await site.execute(workflow_id)
    body = reply.json()
    assert reply.status_code == 200
    assert handle(reply) == (body["run_id"], "1")
    events, hint, pauses = body.pop("events"), body.pop("next_input_hint"), body.pop("pauses")
    assert body == {
        "run_id": body["run_id"],
        "status": "waiting_for_user_input",
        "turn_number": 1,
        "is_waiting_for_input": True,
        "is_completed": False,
        "error": None,
        "has_active_companions": False,
        "has_background_work": False,
        "workflow_id": workflow_id,
        "version_number": 0,
        "outputs": {},
        "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "estimated": False},
    }
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert types(reply)[0] == "start_workflow"
    assert types(reply)[-1] == "workflow_ready_for_input"
    assert hint in events
    assert pauses == [
        {
            "pause_id": "pause_1",
            "kind": "ask",
            "node_id": "ask_name",
            "path": "ask_name",
            "prompt": "Who are you?",
            "schema": None,
            "choices": None,
            "expires_at": None,
        }
    ]


async def test_an_answer_is_the_next_turn_and_ends_the_run(site: Site) -> None:
    workflow_id, run_id = await site.started()
    reply = await site.execute(workflow_id, run_id, message="Ada")
    body = reply.json()
    assert (reply.status_code, *handle(reply)) == (200, run_id, "2")
    assert (body["status"], body["is_completed"], body["turn_number"]) == ("completed", True, 2)
    assert (body["outputs"], body["pauses"], body["next_input_hint"]) == ({"greeting": "Hello, Ada!"}, [], None)
    assert types(reply)[0] == "user_messages"
    assert types(reply)[-1] == "end_workflow"
    assert "say_static" in types(reply)


async def test_the_bare_form_is_the_same(site: Site) -> None:
    workflow_id = await site.workflow(graphs.asking())
    address = f"/v1/workflows/{workflow_id}/execute"
    first = await site.post(address, {})
    reply = await site.post(address, {"run_id": first.json()["run_id"], "command": "data", "data": {"a": 1}})
    assert (reply.status_code, reply.json()["outputs"]) == (200, {"answer": {"a": 1}})


async def test_every_kind_of_node_runs(site: Site) -> None:
    workflow_id = await site.workflow(graphs.echoing())
    reply = await site.execute(workflow_id, dynamic_variables={"given": [1, None, "x"]}, message="hello")
    assert (reply.json()["status"], reply.json()["outputs"]) == ("completed", {"kept": [1, None, "x"], "said": "hello"})
    assert {"workflow_show_state", "conditional_edge", "say_static", "end_workflow"} <= set(types(reply))


async def test_any_source_of_an_answer_counts_in_its_order(site: Site) -> None:
    workflow_id = await site.workflow(graphs.asking())
    threads = {"0": {"node_run_inputs": [{"messages": [{"role": "user", "content": "thread"}]}]}}
    sources: dict[str, Any] = {
        "answers": {"pause_1": "answers"},
        "data": "data",
        "message": "message",
        "thread_to_node_inputs": threads,
        "dynamic_variables": {"user_message": "variables"},
    }
    wanted = ["answers", "data", "message", "thread", {"user_message": "variables"}]
    found = []
    while sources:
        run_id = (await site.execute(workflow_id)).json()["run_id"]
        found.append((await site.execute(workflow_id, run_id, **sources)).json()["outputs"]["answer"])
        del sources[next(iter(sources))]
    assert found == wanted


async def test_runtime_variables_are_written_before_the_answer(site: Site) -> None:
    graph = line(node("q", "ask", prompt="Well?"), node("end", "end", outputs={"who": "[[who]]", "said": "{{q}}"}))
    workflow_id, run_id = await site.started(graph)
    reply = await site.execute(workflow_id, run_id, message="yes", runtime_variables={"who": "Ada"})
    assert reply.json()["outputs"] == {"who": "Ada", "said": "yes"}


async def test_null_is_absent_and_is_answered_by_pause(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.asking())
    assert (await site.execute(workflow_id, run_id, data=None)).json()["error"] == "missing_answer"
    reply = await site.execute(workflow_id, run_id, answers={"pause_1": None})
    assert (reply.status_code, reply.json()["outputs"]) == (200, {"answer": None})


async def test_several_pauses_are_answered_by_their_ids(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.two_questions())
    one = await site.execute(workflow_id, run_id, answers={"pause_2": "R"})
    assert [pause["pause_id"] for pause in one.json()["pauses"]] == ["pause_1"]
    assert one.json()["next_input_hint"]["pause_id"] == "pause_1"
    other = await site.execute(workflow_id, run_id, message="L")
    assert (other.json()["turn_number"], other.json()["outputs"]) == (3, {"left": "L", "right": "R"})


async def test_the_same_key_gets_the_stored_reply(site: Site) -> None:
    workflow_id = await site.workflow()
    first = await site.execute(workflow_id, idempotency_key="one", wait_seconds=5)
    again = await site.execute(workflow_id, idempotency_key="one", wait_seconds=6)
    run_id = first.json()["run_id"]
    answered = await site.execute(workflow_id, run_id, idempotency_key="two", message="Ada")
    repeated = await site.execute(workflow_id, run_id, idempotency_key="two", message="Ada", on_busy="wait")
    assert again.content == first.content
    assert repeated.content == answered.content
    assert [reply.headers.get("idempotency-replayed") for reply in (first, again, answered, repeated)] == [
        None,
        "true",
        None,
        "true",
    ]
    assert [handle(reply) for reply in (again, repeated)] == [(run_id, "1"), (run_id, "2")]


async def test_the_last_turn_is_repeated_by_its_number(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.asking_twice())
    first = await site.execute(workflow_id, run_id, message="1", expected_turn=2)
    again = await site.execute(workflow_id, run_id, message="1", expected_turn=2)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")


async def test_a_turn_that_takes_longer_is_accepted_and_can_be_read(site: Site) -> None:
    workflow_id = await site.workflow(graphs.waiting(60))
    reply = await site.execute(workflow_id, wait_seconds=0, idempotency_key="slow")
    body = reply.json()
    assert (reply.status_code, body["status"], body["has_background_work"]) == (202, "running", True)
    assert handle(reply) == (body["run_id"], "1")
    turn = (await site.get(f"/v1/workflow-runs/{body['run_id']}/turns/1")).json()
    assert (turn["closed_at"], turn["status"], turn["cause"], turn["command"]) == (None, "running", "command", "start")
    again = await site.execute(workflow_id, wait_seconds=0, idempotency_key="slow")
    assert (again.status_code, again.json()["run_id"]) == (202, body["run_id"])


async def test_a_caller_waits_for_timers(site: Site) -> None:
    workflow_id = await site.workflow(graphs.waiting(0.05))
    reply = await site.execute(workflow_id, wait_seconds=10)
    assert (reply.status_code, reply.json()["outputs"]) == (200, {"done": True})


async def test_of_two_answers_at_once_one_wins(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.asking_twice())
    replies = await asyncio.gather(
        *(site.execute(workflow_id, run_id, message=text, expected_turn=2) for text in ("left", "right"))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    loser = max(replies, key=lambda reply: reply.status_code)
    assert (loser.json()["error"], loser.json()["run"]["turn_number"]) == ("turn_mismatch", 2)


async def test_a_failure_of_the_run_is_data(site: Site) -> None:
    reply = await site.execute(await site.workflow(graphs.failing()))
    body = reply.json()
    assert (reply.status_code, body["status"], body["is_completed"]) == (200, "failed", True)
    assert body["error"] == "node 'oops' failed: this failure was asked for"
    assert types(reply)[-1] == "workflow_error"


async def test_a_circle_is_aborted(site: Site) -> None:
    reply = await site.execute(await site.workflow(graphs.looping()))
    assert (reply.json()["status"], types(reply)[-1]) == ("aborted_looping_risk", "end_workflow")


async def test_a_run_of_a_deleted_workflow_goes_on(site: Site) -> None:
    workflow_id, run_id = await site.started()
    assert (await site.delete(f"/v1/workflows/{workflow_id}")).status_code == 204
    assert (await site.execute(workflow_id)).status_code == 404
    assert (await site.execute(workflow_id, run_id, message="Ada")).json()["status"] == "completed"


async def test_later_turns_keep_the_version_of_the_first(site: Site) -> None:
    workflow_id, run_id = await site.started()
    other = graphs.asking(prompt="Other?")
    assert (await site.patch(f"/v1/workflows/{workflow_id}", {"graph": other})).json()["active_version"] == 1
    reply = await site.execute(workflow_id, run_id, query="?version=1", message="Ada")
    assert (reply.json()["version_number"], reply.json()["outputs"]) == (0, {"greeting": "Hello, Ada!"})
    assert (await site.execute(workflow_id, query="?version=0")).json()["version_number"] == 0
    assert (await site.execute(workflow_id)).json()["version_number"] == 1


async def test_any_json_survives(site: Site) -> None:
    value = {"big": 2**70, "a.b": {"$set": 1}, "nul": "\x00", "deep": [[[[{}]]]], "float": 1.5, "": None}
    workflow_id, run_id = await site.started(graphs.asking())
    reply = await site.execute(workflow_id, run_id, data=value)
    assert reply.json()["outputs"] == {"answer": value}
    assert (await site.get(f"/v1/workflow-runs/{run_id}")).json()["outputs"] == {"answer": value}


async def test_a_welcome_message_is_said_before_the_users_first_message(site: Site) -> None:
    workflow_id = await site.workflow(GREETING)
    events = (await site.execute(workflow_id, welcome_message="Welcome!", message="hi")).json()["events"]
    assert [event["type"] for event in events[:4]] == ["start_workflow", "start_thread", "say_static", "user_messages"]
    assert events[2]["message"] == "Welcome!"
