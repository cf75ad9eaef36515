"""An approval's notice: it is sent once, with links that work and that are nowhere else."""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import Any

import pytest

from app.ports import StoreUnavailableError
from app.settings import Settings
from tests.api.conftest import opened
from tests.api.decisions import THREE, decision, links, submit, title
from tests.api.sites import Site
from tests.stub_http import Asked, Reply, Stub, json_reply

BODY = {"to": "{{pause.links}}", "text": "see {{pause.links}}", "first": "{{pause.links[0].url}} of {{pause.id}}"}


async def asked(site: Site, server: Stub, *, body: Any = BODY, **config: Any) -> tuple[str, Any]:
    """The run and the reply of its first turn."""
    notify = {"url": f"{server.url}/mail", "method": "POST", "body": body, **config.pop("notify", {})}
    workflow_id = await site.workflow(decision(**{**THREE, "notify": notify, **config}))
    reply = await site.execute(workflow_id, query="?wait_seconds=20")
    assert reply.status_code == 200, reply.text
    return reply.json()["run_id"], reply


def events(reply: Any, kind: str) -> list[dict[str, Any]]:
    return [event for event in reply.json()["events"] if event["type"] == kind]


async def test_the_notice_carries_links_that_vote(outgoing_site: Site, server: Stub) -> None:
    run_id, reply = await asked(outgoing_site, server)
    body = reply.json()
    assert (body["status"], len(body["pauses"]), len(server.asked)) == ("waiting_for_user_input", 1, 1)
    sent = json.loads(server.asked[0].body)
    assert [link["approver"] for link in sent["to"]] == ["ann", "bob", "cy"]
    assert sent["text"] == "see " + json.dumps(sent["to"], separators=(",", ":"))
    assert sent["first"] == f"{sent['to'][0]['url']} of pause_1"
    assert server.asked[0].header("idempotency-key") == f"{run_id}:ok#2.1"
    paths = await links(outgoing_site, run_id)
    assert {link["approver"]: link["url"] for link in sent["to"]} == {
        name: f"http://127.0.0.1:8000{path}" for name, path in paths.items()
    }
    assert title(await submit(outgoing_site, paths["cy"], action="reject")) == (200, "Thank you")
    assert len(server.asked) == 1, "a vote sends nothing"


async def test_one_link_without_approvers_and_a_link_that_is_missing(outgoing_site: Site, server: Stub) -> None:
    body = "{{pause.links[0].approver}}|{{pause.links[7].url?}}|{{pause.links[0].url}}"
    run_id, _ = await asked(outgoing_site, server, body=body, notify={"body_type": "text"}, approvers=None)
    path = (await links(outgoing_site, run_id))[None]
    assert server.asked[0].body.decode() == f"||http://127.0.0.1:8000{path}"
    run_id, reply = await asked(outgoing_site, server, body="{{pause.links[7].url}}")
    assert (reply.json()["status"], len(server.asked)) == ("waiting_for_user_input", 1)
    (warning,) = events(reply, "workflow_warning")
    assert warning["warning_message"] == (
        "node 'ok': the approvers could not be notified: {{pause.links[7].url}} cannot be read: there is no such link"
    )


@pytest.mark.parametrize("answer", [Reply(503), Reply(200, cut=0, headers=[("Content-Length", "5")]), Reply(hang=True)])
async def test_a_notice_that_fails_is_a_warning_and_is_not_repeated(
    outgoing_site: Site, server: Stub, answer: Reply
) -> None:
    server.replies = [answer]
    run_id, reply = await asked(outgoing_site, server, notify={"timeout_seconds": 0.3})
    assert (reply.json()["status"], len(reply.json()["pauses"])) == ("waiting_for_user_input", 1)
    (warning,) = events(reply, "workflow_warning")
    assert warning["warning_message"].startswith("node 'ok': the approvers could not be notified: ")
    (request,) = events(reply, "http_request")
    assert (request["node_id"], request["error"] is not None) == ("ok", True)
    assert len(server.asked) == 1
    paths = await links(outgoing_site, run_id)
    assert [title(await submit(outgoing_site, paths[who], action="approve"))[0] for who in ("ann", "bob")] == [200, 200]


async def test_secrets_may_stand_in_a_notice(outgoing_site: Site, server: Stub) -> None:
    await outgoing_site.call("PUT", "/v1/secrets/mail", {"value": "s3cr3t-mail"})
    auth = {"type": "bearer", "token": "{{secret.mail}}"}
    _, reply = await asked(outgoing_site, server, notify={"auth": auth})
    assert server.asked[0].header("authorization") == "Bearer s3cr3t-mail"
    assert "s3cr3t-mail" not in reply.text


async def test_links_are_in_no_reply_event_state_or_log(
    outgoing_site: Site, server: Stub, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though the notified server gives them all back, and is asked at an address that has one in it."""
    caplog.set_level(logging.DEBUG)

    def echo(request: Asked) -> Reply:
        found = json.loads(request.body)
        return json_reply(
            {"again": found, "key": {found["to"][0]["url"]: 1}, "at": request.target}, X_Echo=found["first"]
        )

    server.answer = echo
    link = {"params": {"at": "{{pause.links[1].url}}"}}
    run_id, reply = await asked(outgoing_site, server, notify=link)
    sent = json.loads(server.asked[0].body)["to"]
    tokens = [one["url"].rpartition("/")[2] for one in sent]
    assert len({*tokens}) == 3 and tokens[1] in server.asked[0].target
    (request,) = events(reply, "http_request")
    assert request["response_body"]["again"]["to"][2]["url"] == "http://127.0.0.1:8000/a/[secret]"
    paths = await links(outgoing_site, run_id)
    voted = await submit(outgoing_site, paths["ann"], action="approve")
    decided = await submit(outgoing_site, paths["bob"], action="approve")
    run = await outgoing_site.get(f"/v1/workflow-runs/{run_id}")
    turns = [(await outgoing_site.get(f"/v1/workflow-runs/{run_id}/turns/{n}")).text for n in (1, 2, 3)]
    stored = await outgoing_site.world.runs.read(run_id, bodies=True)
    assert stored is not None and run.json()["status"] == "completed"
    kept = [stored.state, *(part for turn in stored.tail for part in (turn.events, turn.reply or b"", turn.input))]
    printed = capsys.readouterr()
    told = "\n".join([reply.text, voted.text, decided.text, run.text, *turns, printed.out, printed.err])
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name != "httpx")
    for token in tokens:
        assert token not in told + ours
        assert not any(token.encode() in part for part in kept)


async def test_a_database_that_is_away_is_told_on_the_page(outgoing_site: Site) -> None:
    _, run_id = await outgoing_site.started(decision())
    path = (await links(outgoing_site, run_id))[None]

    class Away:
        async def look(self, token: str) -> None:
            raise StoreUnavailableError("no answer")

    state = outgoing_site.app.state
    state.services = dataclasses.replace(state.services, approvals=Away())
    page = await submit(outgoing_site, path, action="approve")
    assert (title(page), page.headers["retry-after"]) == ((503, "Not now"), "1")


async def test_a_vote_that_comes_while_the_notice_is_out_waits_for_it(outgoing_site: Site, server: Stub) -> None:
    server.replies = [Reply(body=b"sent", drip_seconds=0.2)]
    notify = {"url": server.url, "method": "POST", "body": "{{pause.links}}"}
    workflow_id = await outgoing_site.workflow(decision(notify=notify))
    started = await outgoing_site.execute(workflow_id, wait_seconds=0)
    run_id = started.json()["run_id"]
    assert (started.status_code, started.json()["status"], len(started.json()["pauses"])) == (202, "running", 1)
    path = (await links(outgoing_site, run_id))[None]
    assert title(await submit(outgoing_site, path, action="approve")) == (200, "Thank you")
    assert (await outgoing_site.get(f"/v1/workflow-runs/{run_id}")).json()["turn_number"] == 2


async def test_links_begin_with_the_public_address() -> None:
    async with opened(Settings(public_url="https://people.example/approve/")) as site:
        _, run_id = await site.started(decision())
        reply = await site.get(f"/v1/workflow-runs/{run_id}/pauses/pause_1/links")
        assert reply.json()["items"][0]["url"].startswith("https://people.example/approve/a/")
