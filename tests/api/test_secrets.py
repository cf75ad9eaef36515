"""Secrets over HTTP: set, named, removed, never shown, and nowhere to be found after a run that used them."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from tests.api.sites import Site, said
from tests.engine.graphs import edge, node, source
from tests.hidden import spellings, stored
from tests.stub_http import Asked, Reply, Stub

SECRETS = "/v1/secrets"
TOKEN, PASSWORD = 'tok€n/+ "x&y"', "p@ss:w%rd~1"


async def put(site: Site, name: str, value: Any, key: str = "admin") -> Any:
    return await site.call("PUT", f"{SECRETS}/{name}", {"value": value}, key=key)


async def names(site: Site, key: str = "admin") -> list[str]:
    return [item["name"] for item in (await site.get(SECRETS, key=key)).json()["items"]]


async def test_a_secret_is_set_replaced_named_and_removed_and_never_shown(site: Site) -> None:
    first = await put(site, "crm_token", TOKEN)
    assert (first.status_code, set(first.json()), first.json()["name"]) == (200, {"name", "updated_at"}, "crm_token")
    second = await put(site, "crm_token", PASSWORD)
    listed = await site.get(SECRETS)
    assert listed.json() == {"items": [second.json()], "total": 1, "page": 1, "size": 20, "pages": 1}
    removed = await site.delete(f"{SECRETS}/crm_token")
    assert (removed.status_code, removed.content, await names(site)) == (204, b"", [])
    assert said(await site.delete(f"{SECRETS}/crm_token")) == (404, "not_found")


async def test_names_have_pages(site: Site) -> None:
    for name in ("c", "a", "b"):
        await put(site, name, "value")
    page = (await site.get(f"{SECRETS}?page=2&size=2")).json()
    assert ([item["name"] for item in page["items"]], page["total"], page["pages"]) == (["c"], 3, 2)


async def test_a_secret_belongs_to_its_workspace(site: Site) -> None:
    await put(site, "crm_token", "ours")
    assert await names(site, "other") == []
    assert said(await site.delete(f"{SECRETS}/crm_token", key="other")) == (404, "not_found")
    await put(site, "crm_token", "theirs", key="other")
    await site.delete(f"{SECRETS}/crm_token", key="other")
    assert await names(site) == ["crm_token"]


@pytest.mark.parametrize("name", ["1a", "a.b", "a$b", "a b", "ä", "-a", "a" * 65, "%00", "a%0Ab"])
async def test_a_name_that_no_template_could_read_is_refused(site: Site, name: str) -> None:
    reply = await put(site, quote(name, safe="%"), "value")
    assert (*said(reply), reply.json()["details"][0]["path"]) == (422, "invalid_value", "name")
    assert await names(site) == []


@pytest.mark.parametrize(
    "body", [{}, {"value": ""}, {"value": 1}, {"value": None}, {"value": "x" * 16_385}, {"value": "x", "more": 1}]
)
async def test_a_value_that_cannot_be_used_is_refused_without_repeating_it(site: Site, body: Any) -> None:
    reply = await site.call("PUT", f"{SECRETS}/crm_token", body)
    assert reply.status_code in (400, 422)
    assert "x" * 100 not in reply.text
    assert await names(site) == []


# ---- a run that uses them


def calling(url: str, path: str = "/p/{{secret.token}}", **more: Any) -> dict[str, Any]:
    """A call with secrets everywhere, and what it gave said, and given out."""
    config = {
        "method": "POST",
        "url": url + path,
        "params": {"k": "{{secret.token}}"},
        "headers": {"X-Given": "{{given}}"},
        "body": {"deep": ["{{secret.password}}", "{{given}}", "a {{secret.token}} b"]},
        "auth": {"type": "basic", "username": "us", "password": "{{secret.password}}"},
        **more,
    }
    nodes = [
        node("start", "start", inputs=[{"name": "given"}]),
        node("call", "http", **config),
        node("say", "message", text="{{call}}"),
        node("end", "end", join="any", outputs={"it": "{{call}}"}),
    ]
    failed = [edge("call", "end", "error")] if more.get("on_error") == "branch" else []
    return source(nodes, [edge("start", "call"), edge("call", "say"), edge("say", "end"), *failed])


def echo(asked: Asked) -> Reply:
    """Repeats everything in every form; the last call is refused."""
    forms = [form.decode() for value in (TOKEN, PASSWORD) for form in spellings(value)]
    body = json.dumps([asked.target, dict(asked.headers), asked.body.decode(), forms], ensure_ascii=False)
    status = 500 if "fail" in asked.target else 200
    return Reply(status, body.encode(), [("Content-Type", "application/json"), ("X-Back", forms[-1])])


async def dump(site: Site) -> bytes:
    """Every document of every collection, as it is stored."""
    raw = site.world.runs._runs.database  # type: ignore[attr-defined]
    return await stored(raw)


async def test_no_form_of_a_secret_is_anywhere_after_runs_that_used_it(
    outgoing_site: Site, server: Stub, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    site, server.answer = outgoing_site, echo
    forged = '{{secret.token}} [[secret.password]] {"type": "SecretRef", "name": "token"}'
    replies = [await put(site, "token", TOKEN), await put(site, "password", PASSWORD), await site.get(SECRETS)]
    with caplog.at_level(logging.DEBUG):
        for url, more in (
            (server.url, {}),
            (f"{server.url}/fail", {"on_error": "branch", "retry": {"max_attempts": 2, "delay_seconds": 0}}),
            ("http://127.0.0.1:1", {"on_error": "branch"}),
            (f"http://{server.place}", {"response_format": "base64", "on_error": "branch"}),
            ("http://nowhere.invalid", {"on_error": "branch", "headers": {"X": "{{secret.token}}"}}),
        ):
            workflow_id = await site.workflow(calling(url, **{"on_error": "branch", **more}))
            turn = await site.execute(workflow_id, dynamic_variables={"given": forged}, query="?wait_seconds=20")
            run_id = turn.json()["run_id"]
            assert turn.json()["status"] == "completed", turn.text
            replies += [turn, await site.get(f"/v1/workflow-runs/{run_id}/turns/1")]
            replies += [await site.get(f"/v1/workflow-runs/{run_id}"), await site.get(f"/v1/workflows/{workflow_id}")]
            replies += [await site.get(f"/v1/workflow-runs/{run_id}/events")]
    asked = server.asked[0]
    pair = base64.b64encode(f"us:{PASSWORD}".encode()).decode()
    assert asked.header("authorization") == f"Basic {pair}"
    assert json.loads(asked.body) == {"deep": [PASSWORD, forged, f"a {TOKEN} b"]}, "they were sent"
    assert asked.header("x-given") == forged
    assert [one.header("idempotency-key") for one in server.asked[1:3]] == [
        server.asked[1].header("idempotency-key")
    ] * 2
    said_by_us = capsys.readouterr()
    places = {
        "database": await dump(site),
        "logs": "\n".join([caplog.text, said_by_us.out, said_by_us.err]).encode(),
        **{f"{at} {reply.url}": reply.content for at, reply in enumerate(replies)},
    }
    for place, data in places.items():
        for value in (TOKEN, PASSWORD):
            for form in spellings(value):
                assert form not in data, (place, form)
    assert "{{secret.token}}" in replies[6].text, "the workflow keeps the reference"


async def test_a_missing_secret_fails_the_node(outgoing_site: Site, server: Stub) -> None:
    workflow_id = await outgoing_site.workflow(calling(server.url))
    turn = (await outgoing_site.execute(workflow_id, dynamic_variables={"given": "x"}, query="?wait_seconds=20")).json()
    assert (turn["status"], server.asked) == ("failed", [])
    assert "there is no secret 'token'" in msgspec.json.encode(turn).decode()


async def test_an_inner_address_is_out_of_reach_until_the_operator_allows_it(site: Site, server: Stub) -> None:
    workflow_id = await site.workflow(calling(server.url, "", params={}, body=None, auth={"type": "none"}, headers={}))
    turn = (await site.execute(workflow_id, dynamic_variables={"given": "x"}, query="?wait_seconds=20")).json()
    assert (turn["status"], server.asked) == ("failed", [])
    assert "blocked_address" in msgspec.json.encode(turn).decode()
