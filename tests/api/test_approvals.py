"""Approvals as turns: what a pause shows, who may vote, what a vote may say, and what comes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.decisions import FORM, THREE, decision, links
from tests.api.sites import Site, handle, said, types
from tests.engine.graphs import edge, line, node


def events(reply: Any, kind: str) -> list[dict[str, Any]]:
    return [event for event in reply.json()["events"] if event["type"] == kind]


async def test_a_pause_shows_what_is_asked_and_every_turn_its_hint(site: Site) -> None:
    graph = decision(**THREE, fields=FORM[:1], actions=[{"id": "approve", "title": "Pay"}, {"id": "reject"}])
    workflow_id = await site.workflow(graph)
    reply = await site.execute(workflow_id, dynamic_variables={"amount": 250})
    field = {"label": "How much?", "type": "number", "required": True, "default": 5, "options": [], "max_length": None}
    asked = {
        "pause_id": "pause_1",
        "kind": "approval",
        "prompt": "Pay 250?",
        "schema": None,
        "choices": None,
        "actions": [{"id": "approve", "title": "Pay"}, {"id": "reject", "title": "reject"}],
        "fields": [{"name": "amount", **field}],
        "required": 2,
        "votes": [],
    }
    (pause,) = reply.json()["pauses"]
    assert pause == {**asked, "node_id": "ok", "path": "ok", "expires_at": pause["expires_at"]}
    hint = reply.json()["next_input_hint"]
    assert hint in events(reply, "busy_wait_for_user_message")
    assert {name: hint[name] for name in asked} == asked
    run_id = reply.json()["run_id"]
    voted = await site.execute(workflow_id, run_id, message="Pay", run_by="ann")
    (vote,) = voted.json()["next_input_hint"]["votes"]
    assert (vote["voter"], vote["action"], voted.json()["pauses"][0]["votes"]) == ("ann", "approve", [vote])
    assert set(vote) == {"voter", "action", "at"}
    assert (await site.get(f"/v1/workflow-runs/{run_id}")).json()["pauses"] == voted.json()["pauses"]


async def test_votes_are_turns_until_they_decide(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(**THREE))
    short = await site.execute(workflow_id, run_id, message="approve", user="ann")
    assert (short.status_code, handle(short), short.json()["status"]) == (200, (run_id, "2"), "waiting_for_user_input")
    (cast,) = events(short, "vote_cast")
    assert {name: cast[name] for name in ("pause_id", "voter", "action", "remaining", "node_id", "path")} == {
        "pause_id": "pause_1",
        "voter": "ann",
        "action": "approve",
        "remaining": 1,
        "node_id": "ok",
        "path": "ok",
    }
    assert types(short) == ["vote_cast", "pause_thread", "end_workflow_iteration", "workflow_ready_for_input"]
    vote = {"action": "approve", "reason": "cheap"}
    last = await site.execute(workflow_id, run_id, data=vote, run_by="bob")
    output = last.json()["outputs"]["yes"]
    assert (last.json()["status"], output["action"], output["fields"]) == ("completed", "approve", {})
    assert [(one["voter"], one["reason"]) for one in output["votes"]] == [("ann", None), ("bob", "cheap")]
    assert all(one["at"].endswith("Z") for one in output["votes"])
    assert events(last, "vote_cast")[0]["remaining"] == 0


@pytest.mark.parametrize(
    "given",
    [
        {"answers": {"pause_1": {"action": "reject", "fields": {"amount": 7}}}},
        {"data": {"action": "reject", "fields": {"amount": 7}}},
        {"dynamic_variables": {"action": "reject", "fields": {"amount": 7}}},
    ],
)
async def test_a_vote_comes_as_any_answer_does(site: Site, given: dict[str, Any]) -> None:
    workflow_id, run_id = await site.started(decision(fields=FORM[:2]))
    reply = await site.execute(workflow_id, run_id, **given)
    assert reply.json()["outputs"]["no"]["fields"] == {"amount": 7, "note": None}


async def test_a_text_is_an_action_when_no_field_must_be_filled_in(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(fields=FORM[:3]))
    reply = await site.execute(workflow_id, run_id, message="Approve")
    assert said(reply) == (422, "invalid_answer")
    assert reply.json()["details"] == [{"path": "answer.fields.who <b>", "message": "is required"}]
    workflow_id, run_id = await site.started(decision(fields=FORM[:2]))
    assert (await site.execute(workflow_id, run_id, message="Approve")).json()["outputs"]["yes"]["fields"][
        "amount"
    ] == 5


async def test_everything_that_is_wrong_is_listed_and_the_pause_stays_open(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(fields=FORM))
    vote = {"action": "pay", "fields": {"amount": "7", "note": "x" * 21, "currency": "USD", "more": 1}, "reson": ""}
    reply = await site.execute(workflow_id, run_id, answers={"pause_1": vote})
    assert said(reply) == (422, "invalid_answer")
    place = "answers.pause_1"
    assert {detail["path"]: detail["message"] for detail in reply.json()["details"]} == {
        f"{place}.reson": "is unknown",
        f"{place}.action": "must be one of ['approve', 'reject']",
        f"{place}.fields.more": "is unknown",
        f"{place}.fields.amount": "must be a number",
        f"{place}.fields.note": "must have at most 20 characters",
        f"{place}.fields.who <b>": "is required",
        f"{place}.fields.currency": """must be one of ['EUR', 'C"HF']""",
    }
    run = reply.json()["run"]
    assert (run["turn_number"], [pause["votes"] for pause in run["pauses"]]) == (1, [[]])


async def test_who_may_not_vote_is_told_why(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(**THREE, forbid_self_approval=True), run_by="cy")
    assert said(await site.execute(workflow_id, run_id, message="approve", run_by="eve")) == (403, "not_an_approver")
    assert said(await site.execute(workflow_id, run_id, message="approve")) == (403, "not_an_approver")
    mine = await site.execute(workflow_id, run_id, message="reject", run_by="cy")
    assert (said(mine), handle(mine), mine.json()["run"]["turn_number"]) == ((403, "self_approval"), (run_id, "1"), 1)
    assert (await site.execute(workflow_id, run_id, message="approve", run_by="ann")).status_code == 200
    again = await site.execute(workflow_id, run_id, data={"nonsense": 1}, run_by="ann")
    assert (said(again), again.json()["run"]["turn_number"]) == ((409, "already_voted"), 2)


async def test_without_a_name_the_key_votes_and_starts(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(required_approvals=2, forbid_self_approval=True))
    assert said(await site.execute(workflow_id, run_id, message="approve")) == (403, "self_approval")
    first = await site.execute(workflow_id, run_id, message="approve", key="edit")
    (vote,) = first.json()["pauses"][0]["votes"]
    assert vote["voter"].startswith("key:") and len(vote["voter"]) == 28
    assert said(await site.execute(workflow_id, run_id, message="approve", key="edit")) == (409, "already_voted")
    assert (await site.execute(workflow_id, run_id, message="approve", key="admin")).json()["status"] == "completed"


async def test_two_voters_at_once_are_both_counted(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(**THREE))
    named = {"answers": {"pause_1": "approve"}}
    replies = await asyncio.gather(
        *(site.execute(workflow_id, run_id, run_by=who, idempotency_key=who, **named) for who in ("ann", "bob"))
    )
    assert [reply.status_code for reply in replies] == [200, 200]
    assert sorted(handle(reply)[1] or "" for reply in replies) == ["2", "3"]
    run = (await site.get(f"/v1/workflow-runs/{run_id}")).json()
    assert sorted(vote["voter"] for vote in run["outputs"]["yes"]["votes"]) == ["ann", "bob"]


async def test_the_same_voter_twice_at_once_is_counted_once(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(**THREE))
    replies = await asyncio.gather(*(site.execute(workflow_id, run_id, message="approve", run_by="ann") for _ in "ab"))
    assert sorted(reply.status_code for reply in replies) == [200, 409]


async def test_the_same_key_gets_the_stored_reply_of_a_vote(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(**THREE))
    first = await site.execute(workflow_id, run_id, message="approve", run_by="ann", idempotency_key="k")
    again = await site.execute(workflow_id, run_id, message="approve", run_by="ann", idempotency_key="k")
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")


async def test_a_decided_pause_takes_no_more_votes(site: Site) -> None:
    graph = line(node("ok", "approval", message="?"), node("q", "ask", prompt="?"))
    graph["edges"][1] = edge("ok", "q", "approve")
    workflow_id, run_id = await site.started(graph)
    await site.execute(workflow_id, run_id, message="approve", run_by="ann")
    late = await site.execute(workflow_id, run_id, answers={"pause_1": "reject"}, run_by="bob")
    assert said(late) == (409, "pause_already_answered")


async def test_votes_wait_while_the_run_is_held(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(**THREE))
    await site.execute(workflow_id, run_id, command="pause")
    assert said(await site.execute(workflow_id, run_id, message="approve", run_by="ann")) == (409, "run_paused")
    resumed = await site.execute(workflow_id, run_id, command="resume", message="approve", run_by="ann")
    assert [vote["voter"] for vote in resumed.json()["pauses"][0]["votes"]] == ["ann"]


async def test_nobody_in_time(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(expires_in_seconds=0.05))
    address = f"/v1/workflow-runs/{run_id}/pauses/pause_1/links"
    await asyncio.sleep(0.06)
    assert said(await site.get(address)) == (409, "pause_expired")
    assert said(await site.execute(workflow_id, run_id, message="approve")) == (409, "pause_expired")
    assert (await site.get(f"/v1/workflow-runs/{run_id}")).json()["termination_source"] == "expired"
    assert said(await site.get(address)) == (409, "pause_expired")
    workflow_id, run_id = await site.started(decision(expires_in_seconds=0.05, on_expiry="branch"))
    await asyncio.sleep(0.06)
    assert said(await site.execute(workflow_id, run_id, message="approve"))[0] == 409
    assert (await site.get(f"/v1/workflow-runs/{run_id}")).json()["outputs"] == {"late": True}


async def test_a_fork_keeps_the_votes_and_the_starter(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(**THREE, forbid_self_approval=True), run_by="cy")
    await site.execute(workflow_id, run_id, message="approve", run_by="ann")
    fork = (await site.post(f"/v1/workflow-runs/{run_id}/fork", {"turn_number": 2})).json()["id"]
    again = await site.execute(workflow_id, fork, command="resume", message="approve", run_by="ann")
    mine = await site.execute(workflow_id, fork, command="resume", message="approve", run_by="cy")
    assert (said(again), said(mine)) == ((409, "already_voted"), (403, "self_approval"))
    assert (await links(site, fork))["ann"] != (await links(site, run_id))["ann"]
    done = await site.execute(workflow_id, fork, command="resume", message="approve", run_by="bob")
    assert done.json()["status"] == "completed"


# ---- links


async def test_links_are_listed_for_admins_only(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(**THREE))
    address = f"/v1/workflow-runs/{run_id}/pauses/pause_1/links"
    reply = await site.get(address)
    body = reply.json()
    assert ([link["approver"] for link in body["items"]], body["total"], body["pages"]) == (["ann", "bob", "cy"], 3, 1)
    assert (reply.headers["cache-control"], handle(reply)) == ("no-store", (run_id, "1"))
    assert all(link["url"].startswith("http://127.0.0.1:8000/a/") for link in body["items"])
    assert len({link["url"] for link in body["items"]}) == 3
    assert (await site.get(address)).json() == body
    paged = (await site.get(f"{address}?page=2&size=2")).json()
    assert ([link["approver"] for link in paged["items"]], paged["pages"]) == (["cy"], 2)
    assert said(await site.get(address, key="edit")) == (403, "forbidden")
    assert said(await site.get(address, key=None)) == (401, "unauthorized")
    assert said(await site.get(address, key="other")) == (404, "not_found")
    assert said(await site.get(f"{address}?size=0")) == (422, "invalid_value")
    for pause_id in ("pause_2", "pause_0", "pause_x", "x"):
        reply = await site.get(f"/v1/workflow-runs/{run_id}/pauses/{pause_id}/links")
        assert said(reply) == (404, "not_found")
    await site.execute(workflow_id, run_id, message="reject", run_by="ann")
    assert said(await site.get(address)) == (409, "run_ended")


async def test_an_approval_without_approvers_has_one_link_and_a_question_none(site: Site) -> None:
    _, run_id = await site.started(decision())
    assert list(await links(site, run_id)) == [None]
    _, run_id = await site.started()
    assert said(await site.get(f"/v1/workflow-runs/{run_id}/pauses/pause_1/links")) == (404, "not_found")


async def test_a_voters_name_is_bounded_for_it_is_kept(site: Site) -> None:
    workflow_id, run_id = await site.started(decision(required_approvals=2), run_by="x" * 1_001)
    reply = await site.execute(workflow_id, run_id, message="approve", run_by="x" * 1_001)
    assert said(reply) == (422, "too_large")
    assert reply.json()["details"] == [{"path": "run_by", "message": "may have 1000 characters"}]
    assert (await site.execute(workflow_id, run_id, message="approve", run_by="x" * 1_000)).status_code == 200
