"""Comparing versions of a workflow over HTTP."""

from __future__ import annotations

from typing import Any

from tests.api.sites import GREETING, NOBODY, Site, said

NONE: dict[str, Any] = {"added": [], "removed": [], "changed": []}


async def test_two_versions_are_compared_either_way(site: Site) -> None:
    workflow_id = await site.workflow()
    start, ask, greet, end = GREETING["nodes"]
    nodes = [start, {**ask, "position": {"x": 1}}, {**greet, "config": {"text": "Hi, [[name]]!"}}, end]
    edges = [*GREETING["edges"][:2], {**GREETING["edges"][2], "id": "last"}]
    address = f"/v1/workflows/{workflow_id}/versions"
    assert (await site.post(address, {"graph": {"nodes": nodes, "edges": edges, "zoom": 2}})).status_code == 201
    placed = {**GREETING, "nodes": [start, {**ask, "position": {"x": 1}}, greet, end]}
    assert (await site.post(address, {"graph": placed})).status_code == 201
    found = (await site.get(f"{address}/0/diff/1", key="read")).json()
    assert found == {
        "workflow_id": workflow_id,
        "from_version": 0,
        "to_version": 1,
        "equivalent": False,
        "nodes": {
            "added": [],
            "removed": [],
            "changed": [
                {"id": "ask_name", "changes": [{"path": "position", "to": {"x": 1}}]},
                {
                    "id": "greet",
                    "changes": [{"path": "config.text", "from": "Hello, [[name]]!", "to": "Hi, [[name]]!"}],
                },
            ],
        },
        "edges": {
            "added": [],
            "removed": [],
            "changed": [{"edge": edges[2], "changes": [{"path": "id", "to": "last"}]}],
        },
        "changes": [{"path": "zoom", "to": 2}],
        "truncated": False,
    }
    back = (await site.get(f"{address}/1/diff/0")).json()
    assert back["nodes"]["changed"][0]["changes"] == [{"path": "position", "from": {"x": 1}}]
    assert back["edges"]["changed"] == [{"edge": GREETING["edges"][2], "changes": [{"path": "id", "from": "last"}]}]
    moved = (await site.get(f"{address}/0/diff/2")).json()
    assert (moved["equivalent"], len(moved["nodes"]["changed"])) == (True, 1)
    same = (await site.get(f"{address}/1/diff/1")).json()
    assert (same["equivalent"], same["nodes"], same["edges"], same["changes"]) == (True, NONE, NONE, [])


async def test_versions_that_are_not_there_cannot_be_compared(site: Site) -> None:
    address = f"/v1/workflows/{await site.workflow()}/versions"
    for path in ("0/diff/7", "7/diff/0", "7/diff/7"):
        assert said(await site.get(f"{address}/{path}")) == (404, "not_found")
    assert said(await site.get(f"{address}/0/diff/0", key="other")) == (404, "not_found")
    assert said(await site.get(f"/v1/workflows/{NOBODY}/versions/x/diff/x")) == (404, "not_found")
    for path, field in (("x/diff/0", "version_number"), ("0/diff/-1", "other_version_number")):
        reply = await site.get(f"{address}/{path}")
        assert (*said(reply), reply.json()["details"][0]["path"]) == (422, "invalid_value", field)
