"""Reading, listing, forking and deleting runs, and their turns."""

from __future__ import annotations

import pytest

from app.api.ids import to_uuid
from tests.api import graphs
from tests.api.sites import NOBODY, Site, handle, said

RUNS = "/v1/workflow-runs"


async def test_a_run_is_read_by_every_form_of_its_id(site: Site) -> None:
    workflow_id, run_id = await site.started(dynamic_variables={"a": 1}, run_by="Grace")
    reply = await site.get(f"{RUNS}/{run_id}", key="read")
    body = reply.json()
    assert handle(reply) == (run_id, "1")
    assert body == {
        "id": run_id,
        "number": body["number"],
        "uuid": to_uuid(run_id),
        "workflow_id": workflow_id,
        "version_number": 0,
        "status": "waiting_for_user_input",
        "termination_source": None,
        "turn_number": 1,
        "mode": "interactive",
        "user": "Grace",
        "error": None,
        "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "estimated": False},
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
        "ended_at": None,
        "inputs": {"a": 1},
        "outputs": {},
        "pauses": body["pauses"],
    }
    assert [pause["pause_id"] for pause in body["pauses"]] == ["pause_1"]
    for form in (body["uuid"], body["uuid"].upper(), str(body["number"])):
        assert (await site.get(f"{RUNS}/{form}")).json() == body
        assert (await site.get(f"{RUNS}/{form}/turns/1")).json()["run_id"] == run_id
    ended = await site.execute(workflow_id, body["uuid"], message="Ada")
    assert (ended.json()["run_id"], ended.json()["status"]) == (run_id, "completed")


async def test_malformed_and_unknown_runs_are_told_apart(site: Site) -> None:
    for form in ("x", f"wf_{NOBODY}", "0"):
        reply = await site.get(f"{RUNS}/{form}")
        assert (*said(reply), reply.json()["details"][0]["path"]) == (422, "invalid_value", "run_id")
    for form in (NOBODY, to_uuid(NOBODY), "00000000-0000-4000-8000-000000000000", "987654321"):
        assert said(await site.get(f"{RUNS}/{form}")) == (404, "not_found")


async def test_runs_are_listed_newest_first_and_filtered(site: Site) -> None:
    workflow_id, first = await site.started()
    await site.execute(workflow_id, first, message="Ada")
    other, second = await site.started()
    times = [(await site.get(f"{RUNS}/{run_id}")).json()["created_at"] for run_id in (first, second)]
    page = (await site.get(RUNS)).json()
    assert [row["id"] for row in page["items"]] == [second, first]
    assert all(not {"inputs", "outputs", "pauses"} & set(row) for row in page["items"])
    handle_of_other = (await site.get(f"/v1/workflows/{other}")).json()["handle"]
    for query, wanted in (
        ("status=completed", [first]),
        (f"workflow_id={other}", [second]),
        (f"workflow_id={handle_of_other}", [second]),
        (f"workflow_id={NOBODY}", []),
        ("workflow_id=987654321", []),
        (f"start={times[1]!r}", [second]),
        (f"end={times[1] - 0.00001:.6f}", [first]),
        ("start=2001-01-01T00:00:00Z&end=2001-01-02", []),
        ("size=1&page=2", [first]),
        ("search=", [second, first]),
    ):
        assert [row["id"] for row in (await site.get(f"{RUNS}?{query}")).json()["items"]] == wanted, query


@pytest.mark.parametrize(
    ("query", "code", "path"),
    [
        ("status=done", (422, "invalid_value"), "status"),
        ("workflow_id=x", (422, "invalid_value"), "workflow_id"),
        ("start=soon", (422, "invalid_value"), "start"),
        ("end=1e9", (422, "invalid_value"), "end"),
        ("size=101", (422, "invalid_value"), "size"),
        (f"search={'x' * 201}", (422, "invalid_value"), "search"),
    ],
)
async def test_filters_that_make_no_sense_are_named(
    site: Site, query: str, code: tuple[int, str], path: str | None
) -> None:
    reply = await site.get(f"{RUNS}?{query}")
    assert said(reply) == code
    assert [detail["path"] for detail in reply.json().get("details", [])] == ([path] if path else [])


async def test_runs_are_searched_by_names_of_workflows_and_by_ids_in_every_form(site: Site) -> None:
    greeting = await site.workflow(name="Über (50%) [a.b]*$")
    other = await site.workflow(name="Other")
    first, second, third = [(await site.execute(one)).json()["run_id"] for one in (greeting, other, other)]
    row = (await site.get(f"{RUNS}/{second}")).json()
    shown = (await site.get(f"/v1/workflows/{other}")).json()
    assert (await site.delete(f"/v1/workflows/{greeting}")).status_code == 204
    for text, wanted in (
        ("über (50%) [A.B]*$", [first]),
        ("oTHE", [third, second]),
        (" other ", [third, second]),
        ("othe.", []),
        ("o.*r", []),
        ("e", [third, second, first]),
        ("\0", []),
        ("nothing of this name", []),
        (second, [second]),
        (second.upper(), [second]),
        (row["uuid"], [second]),
        (other, [third, second]),
        (shown["uuid"], [third, second]),
        (shown["handle"], [third, second]),
        ("00000000-0000-4000-8000-000000000000", []),
        (NOBODY, []),
        ("  ", [third, second, first]),
    ):
        found = (await site.get(RUNS, params={"search": text})).json()
        assert ([one["id"] for one in found["items"]], found["total"]) == (wanted, len(wanted)), text
    for number, wanted in ((row["number"], second), (shown["number"], third)):
        found = (await site.get(RUNS, params={"search": str(number)})).json()
        assert wanted in [one["id"] for one in found["items"]]
    both = await site.get(RUNS, params={"search": "other", "workflow_id": greeting})
    assert both.json()["items"] == []
    assert (await site.get(RUNS, params={"search": second}, key="other")).json()["items"] == []
    assert (await site.get(RUNS, params={"search": "other"}, key="other")).json()["items"] == []


async def test_turns_are_listed_and_read(site: Site) -> None:
    workflow_id, run_id = await site.started()
    answered = await site.execute(workflow_id, run_id, message="Ada", runtime_variables={"v": 1})
    listed = await site.get(f"{RUNS}/{run_id}/turns")
    rows = listed.json()["items"]
    assert handle(listed) == (run_id, "2")
    assert [(row["turn_number"], row["cause"], row["first_seq"]) for row in rows] == [
        (1, "command", 1),
        (2, "command", rows[0]["last_seq"] + 1),
    ]
    second = (await site.get(f"{RUNS}/{run_id}/turns?page=2&size=1")).json()
    assert (second["items"], second["pages"]) == ([rows[1]], 2)
    reply = await site.get(f"{RUNS}/{run_id}/turns/2")
    turn = reply.json()
    assert handle(reply) == (run_id, "2")
    extra = {name: turn.pop(name) for name in ("cause", "command", "input", "opened_at", "closed_at")}
    assert turn == answered.json()
    assert (extra["cause"], extra["command"]) == ("command", "data")
    assert extra["input"] == {"message": "Ada", "data": "Ada", "answers": {}, "variables": {"v": 1}}
    assert extra["opened_at"] <= extra["closed_at"]


async def test_turns_that_do_not_exist_are_not_found(site: Site) -> None:
    _, run_id = await site.started()
    for number, code in (("2", (404, "not_found")), ("0", (404, "not_found")), ("x", (422, "invalid_value"))):
        reply = await site.get(f"{RUNS}/{run_id}/turns/{number}")
        assert (said(reply), handle(reply)) == (code, (run_id, "1"))
    assert said(await site.get(f"{RUNS}/{NOBODY}/turns/x")) == (404, "not_found")
    assert said(await site.get(f"{RUNS}/{NOBODY}/turns?page=0")) == (404, "not_found")


async def test_only_an_ended_run_can_be_deleted(site: Site) -> None:
    workflow_id, run_id = await site.started()
    refused = await site.delete(f"{RUNS}/{run_id}")
    assert (*said(refused), *handle(refused)) == (409, "run_active", run_id, "1")
    await site.execute(workflow_id, run_id, command="stop")
    gone = await site.delete(f"{RUNS}/{run_id}")
    assert (gone.status_code, gone.content, *handle(gone)) == (204, b"", run_id, "2")
    for reply in (
        await site.get(f"{RUNS}/{run_id}"),
        await site.delete(f"{RUNS}/{run_id}"),
        await site.get(f"{RUNS}/{run_id}/events"),
        await site.execute(workflow_id, run_id, message="x"),
    ):
        assert said(reply) == (404, "not_found")
    assert (await site.get(RUNS)).json()["items"] == []


async def test_a_fork_goes_on_from_a_turn_as_a_run_of_its_own(site: Site) -> None:
    workflow_id, run_id = await site.started(graphs.asking_twice())
    await site.execute(workflow_id, run_id, message="first")
    await site.execute(workflow_id, run_id, message="second")
    reply = await site.post(f"{RUNS}/{run_id}/fork", {"turn_number": 2}, key="run")
    fork = reply.json()
    assert (reply.status_code, *handle(reply)) == (201, fork["id"], "2")
    assert (fork["status"], fork["turn_number"], fork["id"] == run_id) == ("paused", 2, False)
    ended = await site.execute(workflow_id, fork["id"], command="resume", message="other")
    assert (ended.json()["turn_number"], ended.json()["outputs"]) == (3, {"both": ["first", "other"]})
    turns = (await site.get(f"{RUNS}/{fork['id']}/turns")).json()["items"]
    assert [turn["turn_number"] for turn in turns] == [1, 2, 3]
    assert (await site.get(f"{RUNS}/{run_id}")).json()["outputs"] == {"both": ["first", "second"]}


async def test_a_fork_under_a_key_is_made_once(site: Site) -> None:
    workflow_id, run_id = await site.started()
    address, headers = f"{RUNS}/{run_id}/fork", {"Idempotency-Key": "k"}
    first = await site.post(address, {"turn_number": 1}, headers=headers)
    for command in (None, "resume", "stop"):  # the reply stays, whatever becomes of the fork
        if command is not None:
            assert (await site.execute(workflow_id, first.json()["id"], command=command)).status_code == 200
        again = await site.post(address, {"turn_number": 1}, headers=headers)
        assert (again.status_code, again.content, *handle(again)) == (201, first.content, first.json()["id"], "1")
        assert again.headers["idempotency-replayed"] == "true"
    other = await site.post(address, {"turn_number": 2}, headers=headers)
    assert said(other) == (422, "idempotency_mismatch")
    assert (await site.get(RUNS)).json()["total"] == 2


async def test_a_fork_needs_a_closed_turn_that_did_not_end_the_run(site: Site) -> None:
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, message="Ada")
    _, busy = await site.started(graphs.waiting(), wait_seconds=0)
    for run, number, code in (
        (run_id, 2, (409, "run_ended")),
        (run_id, 3, (404, "not_found")),
        (busy, 1, (409, "turn_in_progress")),
    ):
        reply = await site.post(f"{RUNS}/{run}/fork", {"turn_number": number})
        assert (said(reply), reply.headers["x-run-id"]) == (code, run)
    for body, paths in (({}, ["turn_number"]), ({"turn_number": 0, "x": 1}, ["x", "turn_number"])):
        reply = await site.post(f"{RUNS}/{run_id}/fork", body)
        assert (said(reply), handle(reply)) == ((422, "invalid_value"), (run_id, "2"))
        assert [detail["path"] for detail in reply.json()["details"]] == paths
        assert said(await site.post(f"{RUNS}/{NOBODY}/fork", body)) == (404, "not_found")
