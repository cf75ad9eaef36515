"""Iterations, loops and child workflows through the turn protocol."""

from __future__ import annotations

from typing import Any

from tests.api.sites import NOBODY, Json, Site, said
from tests.engine.graphs import line, node

END = node("end", "end", outputs={"it": "{{each.items}}"})


def each(*body: Json, **config: Any) -> Json:
    return node("each", "iteration", body=line(*body), **{"items": "{{list}}", **config})


def calls(workflow_id: str, **config: Any) -> Json:
    return node("sub", "workflow", workflow_id=workflow_id, **config)


def answers(reply: Json, *values: Any) -> Json:
    return {pause["pause_id"]: value for pause, value in zip(reply["pauses"], values, strict=True)}


async def test_long_lists_are_done_in_groups_that_are_stored_apart(site: Site) -> None:
    workflow_id = await site.workflow(line(each(node("t", "set", values={"n": "{{item}}!"}), output="{{t.n}}"), END))
    reply = (await site.execute(workflow_id, dynamic_variables={"list": list(range(250))})).json()
    assert reply["status"] == "completed"
    assert reply["outputs"] == {"it": [f"{index}!" for index in range(250)]}
    finished = [event["index"] for event in reply["events"] if event["type"] == "item_finished"]
    assert finished == list(range(250))
    seqs = [event["seq"] for event in reply["events"]]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_million_items_are_refused(site: Site) -> None:
    graph = line(
        node("make", "code", code="def main():\n    return [1] * 300000"),
        each(node("n", "no_op"), items="{{make.output}}", on_error="branch"),
        node("end", "end", outputs={"why": "{{each.error_type}}"}),
    )
    graph["edges"][-1]["source_handle"] = "error"
    workflow_id = await site.workflow(graph)
    assert (await site.execute(workflow_id)).json()["outputs"] == {"why": "too_large"}
    refused = await site.execute(workflow_id, dynamic_variables={"list": [1] * 1_000_000})
    assert refused.status_code in (413, 422)


async def test_ten_items_ask_and_are_answered_in_any_order(site: Site) -> None:
    workflow_id = await site.workflow(
        line(each(node("q", "ask", prompt="{{item}}?"), output="{{q}}", parallel=10), END)
    )
    reply = (await site.execute(workflow_id, dynamic_variables={"list": list(range(10))})).json()
    assert [(pause["path"], pause["prompt"]) for pause in reply["pauses"]] == [
        (f"each[{index}]/q", f"{index}?") for index in range(10)
    ]
    ids = [pause["pause_id"] for pause in reply["pauses"]]
    assert said(await site.execute(workflow_id, reply["run_id"], message="x")) == (422, "ambiguous_answer")
    for some in ([9, 0], [4], [1, 2, 3], [8, 7, 6, 5]):
        given = {ids[index]: f"a{index}" for index in some}
        last = (await site.execute(workflow_id, reply["run_id"], answers=given)).json()
    assert last["outputs"] == {"it": [f"a{index}" for index in range(10)]}


async def test_a_child_three_levels_down_goes_on_as_it_was_pinned(site: Site) -> None:
    """Every version on the way is edited, and one workflow deleted, while the run waits."""
    deepest = await site.workflow(
        line(node("q", "ask", prompt="old?"), node("end", "end", outputs={"said": "old {{q}}"}))
    )
    ids, graphs = [deepest], []
    for level in range(2):
        graphs.append(line(calls(ids[-1]), node("end", "end", outputs={"said": "{{sub.outputs.said}}" + str(level)})))
        ids.append(await site.workflow(graphs[-1]))
    top = line(calls(ids[-1]), node("end", "end", outputs={"it": "{{sub.outputs.said}}"}))
    top_id = await site.workflow(top)
    reply = (await site.execute(top_id)).json()
    assert [pause["path"] for pause in reply["pauses"]] == ["sub/sub/sub/q"]
    for workflow_id in (*ids, top_id):
        changed = line(node("end", "end", outputs={"said": "new", "it": "new"}))
        assert (await site.patch(f"/v1/workflows/{workflow_id}", {"graph": changed})).status_code == 200
    assert (await site.delete(f"/v1/workflows/{deepest}")).status_code == 204
    assert (await site.execute(top_id, reply["run_id"], message="yes")).json()["outputs"] == {"it": "old yes01"}
    assert (await site.execute(top_id)).json()["outputs"] == {"said": "new", "it": "new"}


async def test_a_child_that_cannot_be_run_refuses_the_start(site: Site) -> None:
    child = await site.workflow()
    workflow_id = await site.workflow(line(calls(child)))
    await site.delete(f"/v1/workflows/{child}")
    refused = await site.execute(workflow_id)
    assert said(refused) == (422, "invalid_graph")
    assert refused.json()["details"][0]["path"] == child


async def test_what_a_run_kept_goes_along_with_its_fork(site: Site) -> None:
    body = [
        node("is", "condition", cases=[{"handle": "last", "expression": "index == 119"}]),
        node("q", "ask", prompt="?"),
    ]
    graph = line(each(*body, output="{{item}}"), node("end", "end", outputs={"n": "{{each.items}}"}))
    graph["nodes"][1]["config"]["body"]["edges"][-1]["source_handle"] = "last"
    workflow_id, run_id = await site.started(graph, dynamic_variables={"list": list(range(120))})
    forked = await site.post(f"/v1/workflow-runs/{run_id}/fork", {"turn_number": 1})
    fork_id = forked.json()["id"]
    await site.execute(workflow_id, run_id, command="stop")
    await site.world.runs.purge_turns(run_id)
    reply = (await site.execute(workflow_id, fork_id, command="resume", message="on")).json()
    assert reply["outputs"] == {"n": list(range(120))}


async def test_no_one_runs_the_workflow_of_another_workspace(site: Site) -> None:
    theirs = (await site.post("/v1/workflows", {"name": "x", "graph": line()}, key="other")).json()["id"]
    for child in (theirs, NOBODY):
        reply = await site.post("/v1/workflows", {"name": "x", "graph": line(calls(child))})
        assert said(reply) == (422, "invalid_graph")
