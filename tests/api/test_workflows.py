"""Workflows and versions over HTTP."""

from __future__ import annotations

from typing import Any

from app.api.ids import to_uuid
from tests.api import graphs
from tests.api.sites import GREETING, NOBODY, Site, said


async def test_a_workflow_is_made_and_read_by_every_form_of_its_id(site: Site) -> None:
    made = await site.post("/v1/workflows", {"name": "Greeting", "description": "Asks.", "graph": GREETING})
    body = made.json()
    workflow_id = body["id"]
    assert (made.status_code, made.headers["etag"]) == (201, '"0"')
    assert body == {
        "id": workflow_id,
        "number": body["number"],
        "handle": f"wf_{workflow_id}",
        "uuid": to_uuid(workflow_id),
        "name": "Greeting",
        "description": "Asks.",
        "status": "active",
        "active_version": 0,
        "max_concurrent_runs": None,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
        "graph": GREETING,
    }
    for form in (workflow_id, body["handle"], body["uuid"], body["uuid"].upper(), str(body["number"])):
        assert (await site.get(f"/v1/workflows/{form}", key="read")).json() == body
    for form in (body["uuid"], body["handle"], str(body["number"])):
        assert (await site.execute(form)).json()["workflow_id"] == workflow_id


async def test_a_malformed_id_names_the_field_and_an_unknown_one_is_not_found(site: Site) -> None:
    for form in ("x", "0", "5EB7CF5A86D9755DF3A6C593", "wf_1", "5eb7cf5a86d9755df3a6c59"):
        reply = await site.get(f"/v1/workflows/{form}")
        assert (*said(reply), reply.json()["details"][0]["path"]) == (422, "invalid_value", "workflow_id")
    for form in (NOBODY, f"wf_{NOBODY}", to_uuid(NOBODY), "00000000-0000-4000-8000-000000000000", "987654321"):
        assert said(await site.get(f"/v1/workflows/{form}")) == (404, "not_found")


async def test_lists_have_pages(site: Site) -> None:
    names = [f"Workflow {number}" for number in range(3)]
    for name in names:
        await site.workflow(name=name)
    page = (await site.get("/v1/workflows?page=2&size=2")).json()
    assert {name: page[name] for name in ("total", "page", "size", "pages")} == {
        "total": 3,
        "page": 2,
        "size": 2,
        "pages": 2,
    }
    assert [(row["name"], "graph" in row) for row in page["items"]] == [(names[0], False)]
    beyond = (await site.get("/v1/workflows?page=9")).json()
    assert (beyond["items"], beyond["size"], beyond["total"]) == ([], 20, 3)
    reply = await site.get("/v1/workflows?page=0&size=101")
    assert [detail["path"] for detail in reply.json()["details"]] == ["page", "size"]


async def test_a_new_graph_is_a_new_active_version(site: Site) -> None:
    address = f"/v1/workflows/{await site.workflow()}"
    renamed = await site.patch(address, {"name": "Renamed"})
    assert (renamed.json()["name"], renamed.json()["active_version"]) == ("Renamed", 0)
    edited = await site.patch(address, {"graph": graphs.asking()}, headers={"If-Match": '"0"'})
    assert (edited.json()["active_version"], edited.headers["etag"]) == (1, '"1"')
    late = await site.patch(address, {"graph": GREETING}, headers={"If-Match": '"0"'})
    assert said(late) == (409, "version_conflict")
    assert (await site.get(address)).json()["graph"] == graphs.asking()
    assert said(await site.patch(address, {"name": "x"}, headers={"If-Match": "new"})) == (422, "invalid_value")


async def test_versions_are_listed_made_named_and_activated(site: Site) -> None:
    workflow_id = await site.workflow()
    address = f"/v1/workflows/{workflow_id}/versions"
    made = await site.post(address, {"graph": graphs.asking(), "name": "Second"})
    assert (made.status_code, made.json()["version_number"], made.json()["active"]) == (201, 1, False)
    copied = await site.post(address, {"source_version_number": 1, "mark_as_active": True})
    assert (copied.json()["graph"], copied.json()["active"]) == (graphs.asking(), True)
    of_active = await site.post(address, {})
    assert of_active.json()["graph"] == graphs.asking()
    page = (await site.get(address)).json()
    assert [(row["version_number"], row["name"], row["active"]) for row in page["items"]] == [
        (3, None, False),
        (2, None, True),
        (1, "Second", False),
        (0, "Initial Version", False),
    ]
    assert (await site.patch(f"{address}/2", {"name": "Third"})).json()["name"] == "Third"
    activated = await site.post(f"{address}/0/activate")
    assert (activated.status_code, activated.json()["active"]) == (200, True)
    assert (await site.get(f"/v1/workflows/{workflow_id}")).json()["active_version"] == 0
    assert (await site.execute(workflow_id)).json()["version_number"] == 0


async def test_versions_that_do_not_exist_are_not_found(site: Site) -> None:
    address = f"/v1/workflows/{await site.workflow()}/versions"
    for reply in (
        await site.get(f"{address}/7"),
        await site.patch(f"{address}/7", {"name": "x"}),
        await site.patch(f"{address}/7", {"name": 1}),
        await site.post(f"{address}/7/activate"),
        await site.post(address, {"source_version_number": 7}),
        await site.get(f"/v1/workflows/{NOBODY}/versions?page=0"),
        await site.get(f"/v1/workflows/{NOBODY}/versions/x"),
    ):
        assert said(reply) == (404, "not_found")
    malformed = await site.get(f"{address}/x")
    assert (*said(malformed), malformed.json()["details"][0]["path"]) == (422, "invalid_value", "version_number")


async def test_a_graph_with_faults_is_not_saved(site: Site) -> None:
    graph: dict[str, Any] = {
        "nodes": [{"id": "a", "type": "ask", "config": {}}, {"id": "a", "type": "nope"}],
        "edges": [],
    }
    reply = await site.post("/v1/workflows", {"name": "Bad", "graph": graph})
    assert said(reply) == (422, "invalid_graph")
    assert {detail["path"] for detail in reply.json()["details"]} >= {"nodes[0].config.prompt", "nodes[1].type"}
    assert (await site.get("/v1/workflows")).json()["total"] == 0
    checked = await site.post(f"/v1/workflows/{await site.workflow()}/validate", {"graph": graph})
    assert (checked.status_code, checked.json()["valid"]) == (200, False)
    assert checked.json()["errors"] == reply.json()["details"]


async def test_validate_checks_any_graph_and_by_default_the_active_one(site: Site) -> None:
    address = f"/v1/workflows/{await site.workflow()}/validate"
    assert (await site.post(address, {})).json() == {"valid": True, "errors": [], "warnings": []}
    warned = (await site.post(address, {"graph": graphs.looping()})).json()
    assert (warned["valid"], len(warned["warnings"])) == (True, 1)
    for nonsense in (["x"], 7, "x"):
        assert (await site.post(address, {"graph": nonsense})).json()["valid"] is False


async def test_bodies_of_workflows_take_only_what_they_know(site: Site) -> None:
    workflow_id = await site.workflow()
    address = f"/v1/workflows/{workflow_id}"
    for method, path, body, paths in (
        ("POST", "/v1/workflows", {"nam": 1}, ["nam", "name", "graph"]),
        ("POST", "/v1/workflows", {"name": " ", "graph": []}, ["name", "graph"]),
        ("POST", "/v1/workflows", {"name": "x" * 201, "graph": {}, "description": 1}, ["name", "description"]),
        ("PATCH", address, {"id": 1, "graph": 1}, ["id", "graph"]),
        ("PATCH", f"{address}/concurrency", {}, ["max_concurrent_runs"]),
        ("PATCH", f"{address}/concurrency", {"max_concurrent_runs": 0}, ["max_concurrent_runs"]),
        ("POST", f"{address}/versions", {"graph": {}, "source_version_number": 0}, ["source_version_number"]),
        ("PATCH", f"{address}/versions/0", {}, ["name"]),
        ("POST", f"{address}/validate", {"grap": {}}, ["grap"]),
        ("PATCH", "/v1/workspace", {"id": 1, "max_concurrent_runs": True}, ["id", "max_concurrent_runs"]),
    ):
        reply = await site.call(method, path, body)
        assert said(reply) == (422, "invalid_value"), path
        assert [detail["path"] for detail in reply.json()["details"]] == paths


async def test_a_deleted_workflow_is_gone(site: Site) -> None:
    address = f"/v1/workflows/{await site.workflow()}"
    gone = await site.delete(address)
    assert (gone.status_code, gone.content) == (204, b"")
    for reply in (await site.get(address), await site.delete(address), await site.patch(address, {"name": "x"})):
        assert said(reply) == (404, "not_found")
    assert (await site.get("/v1/workflows")).json()["items"] == []


async def test_the_limit_of_runs_can_be_taken_away(site: Site) -> None:
    workflow_id = await site.workflow()
    address = f"/v1/workflows/{workflow_id}/concurrency"
    assert (await site.patch(address, {"max_concurrent_runs": 3})).json() == {
        "workflow_id": workflow_id,
        "max_concurrent_runs": 3,
        "message": "at most 3 runs are at work at once",
    }
    assert (await site.get(f"/v1/workflows/{workflow_id}")).json()["max_concurrent_runs"] == 3
    assert (await site.patch(address, {"max_concurrent_runs": None})).json()["max_concurrent_runs"] is None


async def test_the_workspace_is_read_renamed_and_limited(site: Site) -> None:
    before = (await site.get("/v1/workspace")).json()
    assert (before["name"], before["max_concurrent_runs"]) == ("ours", None)
    limited = await site.patch("/v1/workspace", {"name": "Sales", "max_concurrent_runs": 5})
    assert limited.json() == {**before, "name": "Sales", "max_concurrent_runs": 5}
    assert (await site.patch("/v1/workspace", {})).json() == limited.json()
    assert (await site.patch("/v1/workspace", {"max_concurrent_runs": None})).json()["max_concurrent_runs"] is None
    assert (await site.get("/v1/workspace")).json() == {**before, "name": "Sales"}
