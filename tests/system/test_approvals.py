"""An approval over the lives of its server: the notice is sent once, links work in every life, no vote is lost or doubled."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx

from tests.engine.graphs import edge, node, source
from tests.stub_http import Asked, Reply, Stub, json_reply, stub
from tests.system.caller import Json, refused, taken
from tests.system.servers import Cluster, Server


def deciding(mail: str, **notify: Any) -> Json:
    """Two of three; the approvers are told by mail, and the world of what was decided."""
    request = {"url": f"{mail}/notify", "method": "POST", "body": {"links": "{{pause.links}}"}, **notify}
    given = {"message": "Ship it?", "approvers": ["ann", "bob", "cy"], "required_approvals": 2, "notify": request}
    told = {"url": f"{mail}/decided", "method": "POST", "body": "{{ok}}"}
    nodes = [
        node("start", "start"),
        node("ok", "approval", **given),
        node("tell", "http", **told),
        node("end", "end", outputs={"decision": "{{ok}}", "told": "{{tell.status_code?}}"}),
    ]
    edges = [edge("start", "ok"), edge("ok", "tell", "approve"), edge("ok", "end", "reject"), edge("tell", "end")]
    return source(nodes, edges)


def links_in(asked: Asked) -> dict[str, str]:
    return {link["approver"]: link["url"] for link in json.loads(asked.body)["links"]}


def keys(mail: Stub, target: str) -> list[str | None]:
    """The idempotency keys under which it was called there."""
    return [asked.header("idempotency-key") for asked in mail.asked if asked.target == target]


async def submit(url: str, action: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as browser:
        return await browser.post(url, data={"action": action})


def cluster_of(folder: Path, mail: Stub) -> Cluster:
    return Cluster(folder, environment={"ANTIPHON_OUTGOING_ALLOW": mail.place, "LOG_LEVEL": "DEBUG"})


async def killed(server: Server) -> None:
    await server.kill()
    await server.start()


async def test_votes_by_link_survive_kills_of_the_server(tmp_path: Path) -> None:
    async with stub() as mail, cluster_of(tmp_path, mail) as cluster:
        server = cluster.servers[0]
        workflow = await server.workflow(deciding(mail.url))
        started = await server.started(workflow, run_by="zoe")
        run = started["run_id"]
        assert (started["status"], keys(mail, "/notify")) == ("waiting_for_user_input", [f"{run}:ok#2.1"])
        links = links_in(mail.asked[0])
        assert all(url.startswith(f"{server.url}/a/") for url in links.values())
        await killed(server)
        shown = await server.client.get(links["ann"])
        assert (shown.status_code, "Ship it?" in shown.text) == (200, True)
        listed = taken(await server.client.get(f"/v1/workflow-runs/{run}/pauses/pause_1/links"))["items"]
        assert {link["approver"]: link["url"] for link in listed} == links
        assert (await submit(links["ann"], "approve")).status_code == 200
        await killed(server)
        waiting = await server.run(run)
        assert [vote["voter"] for vote in waiting["pauses"][0]["votes"]] == ["ann"]
        assert (await submit(links["ann"], "reject")).status_code == 410
        again = await server.execute(workflow, run, message="approve", run_by="ann")
        assert refused(again) == (409, "already_voted")
        assert (await submit(links["cy"], "approve")).status_code == 200
        await killed(server)
        done = await server.until_status(run, "completed")
        votes = [(vote["voter"], vote["action"]) for vote in done["outputs"]["decision"]["votes"]]
        assert (votes, done["outputs"]["told"]) == ([("ann", "approve"), ("cy", "approve")], 200)
        assert [(await server.client.get(url)).status_code for url in links.values()] == [410] * 3
        assert keys(mail, "/notify") == [f"{run}:ok#2.1"], "it was sent once"
        assert set(keys(mail, "/decided")) == {f"{run}:tell#4.1"}
        await server.stop()
        written = server.log()
        assert '"path": "/a/{token}"' in written, "requests were logged"
        for url in links.values():
            assert url.rpartition("/")[2] not in written


async def test_a_kill_while_the_notice_is_out_repeats_it_under_its_key_and_nothing_else(tmp_path: Path) -> None:
    async with stub() as mail, cluster_of(tmp_path, mail) as cluster:
        server = cluster.servers[0]
        mail.answer = lambda _: Reply(hang=True) if len(mail.asked) == 1 else json_reply({"ok": True})
        workflow = await server.workflow(deciding(mail.url, timeout_seconds=60))
        run = (await server.started(workflow, wait_seconds=0))["run_id"]
        async with asyncio.timeout(10):
            while not mail.asked:  # noqa: ASYNC110  (it waits for another process)
                await asyncio.sleep(0.02)
        early = await server.execute(workflow, run, message="approve", run_by="ann")
        assert refused(early) == (409, "turn_in_progress")
        await killed(server)
        turn = await server.until_closed(run, 1, seconds=30)
        assert (turn["status"], len(turn["pauses"])) == ("waiting_for_user_input", 1)
        assert keys(mail, "/notify") == [f"{run}:ok#2.1"] * 2
        first, second = (links_in(asked) for asked in mail.asked)
        assert first == second, "the links of the first attempt are as good"
        decided = await submit(first["bob"], "reject")
        assert re.search("Your vote has been counted: Reject", decided.text)
        assert (await server.run(run))["outputs"]["decision"]["action"] == "reject"


async def test_a_vote_that_is_sent_while_the_server_dies_is_counted_once(tmp_path: Path) -> None:
    """Sent again until there is an answer, as a person would click again."""
    async with stub() as mail, cluster_of(tmp_path, mail) as cluster:
        server = cluster.servers[0]
        workflow = await server.workflow(deciding(mail.url))
        runs = [(await server.started(workflow))["run_id"] for _ in range(6)]
        pages = {json.loads(asked.body)["links"][0]["url"]: run for asked, run in zip(mail.asked, runs, strict=True)}

        async def click(url: str) -> int:
            while True:
                try:
                    reply = await submit(url, "approve")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    continue
                if reply.status_code != 503:
                    return reply.status_code

        clicks = [asyncio.ensure_future(click(url)) for url in pages]
        await asyncio.sleep(0.01)
        await killed(server)
        assert set(await asyncio.gather(*clicks)) <= {200, 410}
        for run in runs:
            found = await server.run(run)
            assert [vote["voter"] for vote in found["pauses"][0]["votes"]] == ["ann"]
            assert found["turn_number"] == 2
