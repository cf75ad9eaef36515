"""What holds for every request: bodies, limits, errors, browsers, health, metrics and the log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from app.adapters.clock import SystemClock
from app.adapters.ids import SystemIds
from app.adapters.mongo.accounts import MongoAccounts
from app.api.app import create_app
from app.api.services import Services
from app.ports import ApiKey, StoreUnavailableError
from app.services.keys import Keys
from app.settings import Settings
from tests.api.sites import GREETING, Site, client_of, handle, said

JSON = {"Content-Type": "application/json"}


async def posted(site: Site, content: bytes, **headers: str) -> httpx.Response:
    return await site.call("POST", "/v1/workflows", content=content, headers={**JSON, **headers})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"NaN",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": 1e999}',
        b'{"name": "\\ud800"}',
        b'{"name": "\\udc00\\ud800"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "\xff"}',
        b'{"name": ' + b"9" * 5000 + b"}",
        b'{"graph": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"graph": ' + b"[" * 900 + b"]" * 900 + b"}",
        b"[]",
        b"null",
        b'"text"',
    ],
)
async def test_a_body_that_is_no_json_object_is_told_so(site: Site, content: bytes) -> None:
    reply = await posted(site, content)
    assert (*said(reply), set(reply.json())) == (400, "invalid_request", {"message", "error"})


async def test_half_a_surrogate_pair_is_named_as_the_fault(site: Site) -> None:
    workflow_id, run_id = await site.started()
    content = b'{"run_id": "%s", "run_input": {"message": "\\ud83d"}}' % run_id.encode()
    reply = await site.call("POST", f"/v1/workflows/{workflow_id}/execute", content=content, headers=JSON)
    assert (reply.status_code, "surrogate" in reply.json()["message"]) == (400, True)


async def test_values_nested_as_deep_as_is_taken_go_all_the_way(site: Site) -> None:
    workflow_id, run_id = await site.started()
    deep = b"[" * 120 + b"]" * 120
    content = b'{"run_id": "%s", "run_input": {"answers": {"pause_1": %s}}}' % (run_id.encode(), deep)
    reply = await site.call("POST", f"/v1/workflows/{workflow_id}/execute", content=content, headers=JSON)
    assert (reply.status_code, reply.json()["status"]) == (200, "completed")
    assert deep in (await site.get(f"/v1/workflow-runs/{run_id}/turns/2")).content


@pytest.mark.parametrize("media", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_a_body_must_be_declared_as_json(site: Site, media: str | None) -> None:
    headers = {} if media is None else {"Content-Type": media}
    reply = await site.call("POST", "/v1/workflows", content=b"{}", headers=headers)
    assert said(reply) == (415, "unsupported_media_type")
    assert said(await posted(site, b"{}", **{"Content-Type": "Application/JSON; charset=utf-8"}))[0] == 422


async def test_a_body_over_the_limit_is_refused_also_in_chunks(guarded_site: Site) -> None:
    site = guarded_site
    within = json.dumps({"name": "x", "graph": GREETING}).encode().ljust(2048)
    assert (await posted(site, within)).status_code == 201
    over = within + b" "

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(over), 100):
            yield over[start : start + 100]

    for reply in (
        await posted(site, over),
        await site.call("POST", "/v1/workflows", content=chunks(), headers=JSON),
    ):
        assert said(reply) == (413, "body_too_large")
    _, run_id = await site.started()
    fork = await site.call("POST", f"/v1/workflow-runs/{run_id}/fork", content=over, headers=JSON)
    assert (*said(fork), *handle(fork)) == (413, "body_too_large", run_id, "1")
    assert said(await site.call("POST", f"/v1/workflows/{'e' * 24}/execute", content=over, headers=JSON))[0] == 404


async def test_unknown_addresses_and_methods_are_answered_in_the_same_words(site: Site) -> None:
    assert said(await site.get("/nowhere", key=None)) == (404, "not_found")
    assert said(await site.get("/v1/workflows/x/y/z", key=None)) == (404, "not_found")
    reply = await site.call("PUT", "/v1/workflows", {})
    assert said(reply) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= {method.strip() for method in reply.headers["allow"].split(",")}


async def test_odd_bytes_in_an_address_are_no_error_of_ours(site: Site) -> None:
    for address in ("/v1/workflows/%ff", "/v1/workflow-runs?page=%ff", "/v1/workflow-runs?start=%ed%a0%80", "/%00"):
        assert (await site.get(address)).status_code in (404, 422)


async def test_browsers_may_call_from_the_origins_that_are_set(guarded_site: Site) -> None:
    site = guarded_site
    asked = {"Origin": "https://ours.example", "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type,idempotency-key,last-event-id,if-match"
    preflight = await site.call("OPTIONS", "/v1/workflows", key=None, headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, asked["Origin"])
    assert "POST" in preflight.headers["access-control-allow-methods"]
    refused = await site.call("OPTIONS", "/v1/workflows", key=None, headers={**asked, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in refused.headers
    for key, status in (("read", 200), (None, 401)):
        reply = await site.get("/v1/workflows", key=key, headers={"Origin": "https://ours.example"})
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (status, "https://ours.example")
        exposed = {name.strip() for name in reply.headers["access-control-expose-headers"].split(",")}
        assert exposed == {"X-Run-Id", "X-Turn-Number", "Idempotency-Replayed", "Retry-After"}


async def test_no_browser_may_call_by_default(site: Site) -> None:
    reply = await site.get("/v1/workflows", headers={"Origin": "https://ours.example"})
    assert [name for name in reply.headers if name.startswith("access-control")] == []


async def test_health_needs_no_key(site: Site) -> None:
    live, ready = await site.get("/health/live", key=None), await site.get("/health/ready", key=None)
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_without_the_database_it_lives_but_is_not_ready(site: Site) -> None:
    async def away() -> bool:
        raise StoreUnavailableError

    async def silent() -> bool:
        return False

    services: Services = site.app.state.services
    for ready in (away, silent):
        app = create_app(replace(services, ready=ready), Settings())
        async with client_of(app) as http:
            reply = await http.get("/health/ready")
            assert (*said(reply), reply.headers["retry-after"]) == (503, "unavailable", "1")
            assert (await http.get("/health/live")).status_code == 200


async def test_metrics_count_requests_by_template_and_nothing_of_a_tenant(site: Site) -> None:
    workflow_id, run_id = await site.started(message="secret")
    await site.get(f"/v1/workflow-runs/{run_id}?secret=1")
    await site.get("/nowhere/secret")
    await site.http.request("SECRET", "/v1/workflows")
    text = (await site.get("/metrics", key=None)).text
    assert 'count{method="GET",path="/v1/workflow-runs/{run_id}",status="200"} 1.0' in text
    assert 'count{method="GET",path="unmatched",status="404"} 1.0' in text
    assert 'count{method="OTHER",path="unmatched",status="405"} 1.0' in text
    assert not any(word in text for word in (workflow_id, run_id, "secret", "SECRET", *site.keys.values()))


async def test_an_unexpected_error_has_an_id_that_the_log_has_too(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken() -> bool:
        raise RuntimeError("inside")

    app = create_app(replace(site.app.state.services, ready=broken), Settings())
    capsys.readouterr()
    async with client_of(app) as http:
        reply = await http.get("/health/ready?query=private", headers={"Authorization": "Bearer private"})
    assert said(reply) == (500, "internal_error")
    assert "inside" not in reply.text
    logged = capsys.readouterr().err
    lines = [json.loads(line) for line in logged.splitlines()]
    assert [line["event"] for line in lines] == ["unexpected error", "request"]
    assert all(line["error_id"] in reply.json()["message"] for line in lines)
    assert (lines[0]["path"], "RuntimeError: inside" in lines[0]["exception"]) == ("/health/ready", True)
    assert (lines[1]["method"], lines[1]["status"], lines[1]["path"]) == ("GET", 500, "/health/ready")
    assert "private" not in logged


async def test_what_goes_well_is_not_logged(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    await site.started()
    await site.get("/v1/workflows", key=None)
    assert capsys.readouterr().err == ""


class AwayAccounts(MongoAccounts):
    """A database that is away, as the keys see it."""

    def __init__(self) -> None:
        pass

    async def key_by_digest(self, digest: str) -> ApiKey | None:
        raise StoreUnavailableError


async def test_without_the_database_every_call_is_put_off(site: Site) -> None:
    keys = Keys(AwayAccounts(), SystemClock(), SystemIds())
    app = create_app(replace(site.app.state.services, keys=keys), Settings())
    async with client_of(app) as http:
        reply = await http.get("/v1/workflows", headers={"Authorization": "Bearer ak_1"})
        assert (await http.get("/v1/workflows")).status_code == 401
    site.contract.check(reply)
    assert (*said(reply), reply.headers["retry-after"]) == (503, "unavailable", "1")


async def test_what_cannot_be_kept_is_refused_and_changes_nothing(site: Site) -> None:
    workflow_id = await site.workflow(GREETING)
    started = await site.execute(workflow_id)
    run_id = started.json()["run_id"]
    huge = "1" + "0" * 5_000
    for body in (
        f'{{"run_id": "{run_id}", "run_input": {{"data": {huge}}}}}',
        f'{{"run_id": "{run_id}", "run_input": {{"message": "x", "runtime_variables": {{"n": [{huge}]}}}}}}',
        f'{{"run_input": {{"dynamic_variables": {{"n": {huge}}}}}}}',
    ):
        reply = await site.call("POST", f"/v1/workflows/{workflow_id}/execute", content=body.encode(), headers=JSON)
        assert (reply.status_code, reply.json()["error"]) in ((422, "invalid_value"), (400, "invalid_request"))
    shown = (await site.get(f"/v1/workflow-runs/{run_id}")).json()
    assert (shown["status"], shown["turn_number"]) == ("waiting_for_user_input", 1)
