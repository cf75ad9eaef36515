"""Cloning, exporting and importing workflows over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api import graphs
from tests.api.sites import GREETING, NOBODY, Site, said
from tests.engine.graphs import line, node

Json = dict[str, Any]
SECRET = "s3cret-value-of-the-crm"
CALLING = line(
    node(
        "call",
        "http",
        url="https://crm.example/{{secret.crm_path}}",
        headers={"Authorization": "Bearer {{secret.crm_token}}", "X-Plain": "written by the author"},
    ),
    node("reply", "llm", prompt="Say hello", provider="echo"),
)


async def exported(site: Site, workflow_id: str, query: str = "", **given: Any) -> Json:
    reply = await site.get(f"/v1/workflows/{workflow_id}/export{query}", **given)
    assert reply.status_code == 200, reply.text
    found: Json = reply.json()
    return found


async def test_a_clone_is_a_new_workflow_with_the_active_graph_and_the_limit(site: Site) -> None:
    workflow_id = await site.workflow(graphs.asking(), name="n" * 200)
    address = f"/v1/workflows/{workflow_id}"
    await site.patch(address, {"graph": GREETING, "description": "Asks."})
    await site.patch(f"{address}/concurrency", {"max_concurrent_runs": 3})
    before = (await site.get(address)).json()
    made = await site.post(f"{address}/clone", {"name": "Mine"}, key="edit")
    clone = made.json()
    assert (made.status_code, made.headers["etag"]) == (201, '"0"')
    same = ("description", "graph", "max_concurrent_runs", "status")
    assert {name: clone[name] for name in same} == {name: before[name] for name in same}
    assert (clone["name"], clone["active_version"]) == ("Mine", 0)
    assert len({clone[name] for name in ("id", "number", "handle", "uuid")} | {before["id"], before["number"]}) == 6
    versions = (await site.get(f"/v1/workflows/{clone['id']}/versions")).json()["items"]
    assert [(one["version_number"], one["name"], one["active"]) for one in versions] == [(0, "Initial Version", True)]
    assert (await site.execute(clone["id"])).json()["status"] == "waiting_for_user_input"
    assert (await site.post(f"{address}/clone", {})).json()["name"] == f"Copy of {'n' * 192}"
    assert (await site.get(address)).json() == before


async def test_a_clone_of_nothing_or_for_nobody_is_refused(site: Site) -> None:
    workflow_id = await site.workflow()
    address = f"/v1/workflows/{workflow_id}/clone"
    for body, path in (({"name": " "}, "name"), ({"name": 1}, "name"), ({"names": "x"}, "names")):
        reply = await site.post(address, body)
        assert (*said(reply), reply.json()["details"][0]["path"]) == (422, "invalid_value", path)
    assert said(await site.post(address, {}, key="other")) == (404, "not_found")
    assert said(await site.post(f"/v1/workflows/{NOBODY}/clone", {"name": 1})) == (404, "not_found")
    assert said(await site.post(address, {}, key="run")) == (403, "forbidden")


async def test_an_export_is_one_document_without_secrets_that_says_what_it_needs(site: Site) -> None:
    for name in ("crm_token", "crm_path", "unused"):
        await site.call("PUT", f"/v1/secrets/{name}", {"value": f"{SECRET}-{name}"})
    workflow_id = await site.workflow(CALLING, name="Calling")
    reply = await site.get(f"/v1/workflows/{workflow_id}/export", key="read")
    assert SECRET not in reply.text
    assert reply.json() == {
        "format": "antiphon.workflow",
        "format_version": 1,
        "id": workflow_id,
        "version": 0,
        "name": "Calling",
        "description": "",
        "graph": CALLING,
        "children": [],
        "requires": {"secrets": ["crm_path", "crm_token"], "providers": ["echo"], "data_sets": []},
    }


async def test_what_is_imported_elsewhere_does_the_same(site: Site) -> None:
    workflow_id = await site.workflow(name="Greeting")
    await site.patch(f"/v1/workflows/{workflow_id}", {"graph": graphs.asking()})
    file = await exported(site, workflow_id, "?version=0")
    assert (file["version"], file["graph"]) == (0, GREETING)
    assert (await exported(site, workflow_id))["graph"] == graphs.asking()
    made = await site.post("/v1/workflows/import", file, key="other")
    theirs = made.json()
    assert (made.status_code, theirs["name"], theirs["graph"], theirs["active_version"]) == (
        201,
        "Greeting",
        GREETING,
        0,
    )
    assert theirs["id"] != workflow_id
    runs = []
    for key, one, query in (("run", workflow_id, "?version=0"), ("other", theirs["id"], "")):
        first = (await site.execute(one, key=key, query=query)).json()
        second = (await site.execute(one, first["run_id"], key=key, message="Ada")).json()
        runs.append(
            [(turn["status"], turn["outputs"], [event["type"] for event in turn["events"]]) for turn in (first, second)]
        )
    assert runs[0] == runs[1]
    assert runs[0][1][:2] == ("completed", {"greeting": "Hello, Ada!"})
    assert said(await site.get(f"/v1/workflows/{theirs['id']}")) == (404, "not_found")
    again = await exported(site, theirs["id"], key="other")
    assert again == {**file, "id": theirs["id"], "version": 0}


async def test_a_parent_imported_with_its_child_does_the_same(site: Site) -> None:
    child = await site.workflow(graphs.asking(), name="Child")
    calls = node("call", "workflow", workflow_id=child, version=0)
    parent = await site.workflow(
        line(calls, node("end", "end", outputs={"it": "{{call.outputs.answer}}"})), name="Parent"
    )
    await site.patch(f"/v1/workflows/{child}", {"graph": graphs.failing()})
    made = await site.post("/v1/workflows/import", await exported(site, parent), key="other")
    assert made.status_code == 201, made.text
    runs = []
    for key, one in (("run", parent), ("other", made.json()["id"])):
        turns = [(await site.execute(one, key=key)).json()]
        turns.append((await site.execute(one, turns[0]["run_id"], key=key, message="Ada")).json())
        runs.append([(turn["status"], turn["outputs"], [event["type"] for event in turn["events"]]) for turn in turns])
    assert runs[0] == runs[1]
    assert runs[0][1][:2] == ("completed", {"it": "Ada"})


async def test_exports_of_what_is_not_there_are_refused(site: Site) -> None:
    address = f"/v1/workflows/{await site.workflow()}/export"
    assert said(await site.get(f"{address}?version=3")) == (404, "not_found")
    assert said(await site.get(f"{address}?version=x")) == (422, "invalid_value")
    assert said(await site.get(address, key="other")) == (404, "not_found")
    assert said(await site.get(f"/v1/workflows/{NOBODY}/export?version=x")) == (404, "not_found")


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({"format": None}, ["format"]),
        ({"format": "other", "name": 1}, ["format"]),
        ({"format_version": 2, "format_of_the_future": 1}, ["format_version"]),
        ({"format_version": True}, ["format_version"]),
        ({"id": "x", "name": " ", "version": -1, "x": 1}, ["x", "version", "id", "name"]),
        ({"graph": [], "children": {}, "requires": 1}, ["graph", "children", "requires"]),
        (
            {"children": [1, {}]},
            ["children[0]", *(f"children[1].{name}" for name in ("id", "name", "active_version", "versions"))],
        ),
        (
            {
                "children": [
                    {"id": "a" * 24, "name": "A", "active_version": 1, "versions": [{"version": 0, "graph": 1}, 1, {}]},
                    {"id": "b" * 24, "name": "B", "active_version": 0, "versions": [{"version": 0, "graph": {}}] * 2},
                    {"id": "b" * 24, "name": "B", "active_version": 0, "versions": [{"version": 0, "graph": {}}]},
                ]
            },
            [
                "children[0].versions[1]",
                "children[0].versions[0].graph",
                "children[0].versions[2].version",
                "children[0].versions[2].graph",
                "children[0].active_version",
                "children[1].versions[1].version",
                "children[2].id",
            ],
        ),
        ({"children": [{"name": "x"}] * 100}, ["children"]),
        (
            {
                "children": [
                    {
                        "id": "a" * 24,
                        "name": "A",
                        "active_version": 0,
                        "versions": [{"version": n, "graph": {}} for n in range(200)],
                    }
                ]
            },
            ["children"],
        ),
    ],
    ids=lambda value: ",".join(value)[:40],
)
async def test_a_file_that_cannot_be_read_is_refused_with_every_place(
    site: Site, change: Json, paths: list[str]
) -> None:
    file = await exported(site, await site.workflow())
    reply = await site.post("/v1/workflows/import", {**file, **change})
    assert (*said(reply), [detail["path"] for detail in reply.json()["details"]]) == (422, "invalid_value", paths)
    assert (await site.get("/v1/workflows")).json()["total"] == 1


async def test_a_file_with_other_versions_of_itself_is_read(site: Site) -> None:
    file = await exported(site, await site.workflow())
    itself = {
        "id": file["id"],
        "name": "x",
        "active_version": 5,
        "versions": [{"version": 5, "graph": graphs.asking()}],
    }
    made = (await site.post("/v1/workflows/import", {**file, "children": [itself]})).json()
    assert (made["active_version"], made["graph"], made["name"]) == (0, GREETING, "Greeting")
    other = await site.get(f"/v1/workflows/{made['id']}/versions/1")
    assert other.json()["graph"] == graphs.asking()
    twice = {**itself, "active_version": 0, "versions": [{"version": 0, "graph": {}}]}
    reply = await site.post("/v1/workflows/import", {**file, "children": [twice]})
    assert [detail["path"] for detail in reply.json()["details"]] == ["children[0].versions[0].version"]


async def test_graphs_of_a_file_are_checked_where_they_stand(site: Site) -> None:
    file = await exported(site, await site.workflow())
    child = {"id": "a" * 24, "name": "A", "active_version": 0, "versions": [{"version": 0, "graph": {"nodes": []}}]}
    file["graph"]["nodes"][1]["type"] = "nope"
    reply = await site.post("/v1/workflows/import", {**file, "children": [child]})
    assert said(reply) == (422, "invalid_graph")
    assert [detail["path"] for detail in reply.json()["details"]] == [
        "graph.nodes[1].type",
        "children[0].versions[0].graph.nodes",
    ]
    unknown = {**file, "graph": line(node("a", "llm", prompt="x", provider="theirs"))}
    reply = await site.post("/v1/workflows/import", unknown)
    assert reply.json()["details"][0]["path"] == "graph.nodes[1].config.provider"
    assert (await site.get("/v1/workflows")).json()["total"] == 1
    assert said(await site.post("/v1/workflows/import", file, key="run")) == (403, "forbidden")
