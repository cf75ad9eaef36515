"""What is changed in one process holds for the next start in every other."""

from __future__ import annotations

import asyncio

import pytest

from tests.system import graphs
from tests.system.caller import refused, taken
from tests.system.servers import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_activated_version_holds_for_the_next_start_in_every_process(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("Version 0?"))
    before = await pair.servers[0].started(workflow)
    for number in range(1, 5):
        changing = pair.servers[number % 2]
        body = {"graph": graphs.asking(f"Version {number}?"), "mark_as_active": number % 2 == 0}
        taken(await changing.client.post(f"/v1/workflows/{workflow}/versions", json=body), 201)
        if number % 2:
            taken(await changing.client.post(f"/v1/workflows/{workflow}/versions/{number}/activate"), 200, 201)
        for reply in await asyncio.gather(*(server.started(workflow) for server in pair.servers)):
            assert (reply["version_number"], reply["pauses"][0]["prompt"]) == (number, f"Version {number}?")
    for server in pair.servers:
        old = taken(await server.execute(workflow, query="?version=0"))
        assert (old["version_number"], old["pauses"][0]["prompt"]) == (0, "Version 0?")
    ended = taken(await pair.servers[1].execute(workflow, before["run_id"], message="a"))
    assert (ended["version_number"], ended["status"]) == (0, "completed")


async def test_an_edited_graph_holds_for_the_next_start_in_every_process(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("Before?"))
    for server in pair.servers:
        await server.started(workflow)
    taken(await pair.servers[1].client.patch(f"/v1/workflows/{workflow}", json={"graph": graphs.asking("After?")}))
    for server in pair.servers:
        assert (await server.started(workflow))["pauses"][0]["prompt"] == "After?"


async def test_a_deleted_workflow_takes_no_start_in_any_process_and_its_runs_go_on(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("Still there?"))
    runs = [(await server.started(workflow))["run_id"] for server in pair.servers]
    assert (await pair.servers[0].client.delete(f"/v1/workflows/{workflow}")).status_code == 204
    for server in pair.servers:
        assert refused(await server.execute(workflow)) == (404, "not_found")
        assert refused(await server.execute(workflow, query="?version=0")) == (404, "not_found")
    for server, run in zip(reversed(pair.servers), runs, strict=True):
        assert taken(await server.execute(workflow, run, message="yes"))["status"] == "completed"


async def test_a_revoked_key_stops_within_five_seconds_in_every_process(pair: Cluster) -> None:
    made = await pair.command("keys", "create", "--workspace", "default", "--scopes", "read,run", "--name", "mine")
    secret, name = made.splitlines()[0], made.split("(id ")[1].split(",")[0]
    given = {"Authorization": f"Bearer {secret}"}
    for server in pair.servers:
        assert (await server.client.get("/v1/workflow-runs", headers=given)).status_code == 200
        denied = await server.client.post("/v1/workflows", headers=given, json={"name": "x", "graph": {}})
        assert denied.status_code == 403
    assert name in await pair.command("keys", "revoke", name)
    async with asyncio.timeout(5.0):
        for server in pair.servers:
            while (await server.client.get("/v1/workflow-runs", headers=given)).status_code != 401:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    listed = await pair.command("keys", "list", "--workspace", "default")
    row = next(line for line in listed.splitlines() if name in line)
    assert "revoked" in row and "read,run" in row and "mine" in row
    assert secret not in listed


async def test_a_key_of_another_workspace_sees_nothing_of_ours(pair: Cluster) -> None:
    await pair.command("workspaces", "create", "elsewhere")
    made = await pair.command("keys", "create", "--workspace", "elsewhere", "--scopes", "admin")
    given = {"Authorization": f"Bearer {made.splitlines()[0]}"}
    workflow = await pair.servers[0].workflow(graphs.asking("Whose?"))
    run = (await pair.servers[0].started(workflow))["run_id"]
    for server in pair.servers:
        assert (await server.client.get("/v1/workflows", headers=given)).json()["total"] == 0
        for path in (f"/v1/workflows/{workflow}", f"/v1/workflow-runs/{run}", f"/v1/workflow-runs/{run}/events"):
            assert refused(await server.client.get(path, headers=given)) == (404, "not_found")
