"""Who may do what: every route of the app, as its own table has them, so that a new one is covered."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.auth import RANKS, bearer, may
from app.api.openapi import operations
from app.ports import Scope
from tests.api.sites import Site, handle, said

OPEN = {"/health/live", "/health/ready", "/schema", "/schema/openapi.json", "/metrics", "/a/{token}"}

ADMINISTERED = {"/v1/workspace", "/v1/secrets/crm_token", "/v1/providers/crm_token"}  # written by admins


def requests_of(site: Site, workflow_id: str, run_id: str) -> list[tuple[str, str, str, Any]]:
    """Method, address, scope and a sound body of every route that needs a key."""
    found: list[tuple[str, str, str, Any]] = []
    for path, method, _, operation in operations(site.app):
        if operation.scope is None:
            assert path in OPEN, f"{path} is open to all: is it meant to be?"
            continue
        number = 0 if "versions" in path else 1
        ids = {"workflow_id": workflow_id, "run_id": run_id, "pause_id": "pause_1"}
        address = path.format(**ids, number=number, other=0, name="crm_token")
        body = next(iter(operation.request[0].examples.values())) if operation.request else None
        found.append((method, address, operation.scope, body))
    assert len(found) >= 20
    return found


async def test_every_route_that_is_not_open_is_described_and_guarded(site: Site) -> None:
    described = {(path, method) for path, method, *_ in operations(site.app)}
    for route in site.app.routes:
        for method in getattr(route, "methods", ()):
            assert method == "OPTIONS" or (route.path_format, method) in described, route.path
    for _, _, handler, operation in operations(site.app):
        assert bool(handler.resolve_guards()) is (operation.scope is not None), handler


@pytest.mark.parametrize("key", [None, "", "nonsense", "ak_unknown"])
async def test_no_route_works_without_a_key(site: Site, key: str | None) -> None:
    workflow_id, run_id = await site.started()
    for method, address, _, body in requests_of(site, workflow_id, run_id):
        reply = await site.call(method, address, body, key=key)
        assert (*said(reply), *handle(reply)) == (401, "unauthorized", None, None), address
        assert reply.headers["www-authenticate"] == "Bearer"


async def test_no_route_works_with_a_lower_scope(site: Site) -> None:
    workflow_id, run_id = await site.started()
    for method, address, needed, body in requests_of(site, workflow_id, run_id):
        for scope in (scope for scope in RANKS if RANKS[scope] < RANKS[needed]):
            reply = await site.call(method, address, body, key=scope)
            assert said(reply) == (403, "forbidden"), (address, scope)
    assert (await site.get(f"/v1/workflow-runs/{run_id}")).json()["turn_number"] == 1


async def test_reading_needs_no_more_than_read_and_editing_no_more_than_edit(site: Site) -> None:
    workflow_id, run_id = await site.started()
    await site.execute(workflow_id, run_id, message="Ada")
    for method, address, needed, body in requests_of(site, workflow_id, run_id):
        assert (method == "GET") is (needed in ("read", "admin")) or address in ADMINISTERED
        if method != "DELETE":
            assert (await site.call(method, address, body, key=needed)).status_code != 403


async def test_no_route_shows_anything_of_another_workspace(site: Site) -> None:
    workflow_id, run_id = await site.started()
    for method, address, _, body in requests_of(site, workflow_id, run_id):
        reply = await site.call(method, address, body, key="other")
        if "v1/workflow" not in address or address in ("/v1/workflows", "/v1/workflow-runs", "/v1/workflows/import"):
            assert workflow_id not in reply.text
            assert run_id not in reply.text
            continue
        unknown = address.replace(workflow_id, "e" * 24).replace(run_id, "e" * 24)
        nothing = await site.call(method, unknown, body, key="other")
        assert (said(reply), handle(reply)) == ((404, "not_found"), (None, None)), address
        assert reply.content == nothing.content
    assert (await site.get("/v1/workflow-runs", key="other")).json()["total"] == 0
    assert (await site.get(f"/v1/workflow-runs/{run_id}")).json()["status"] == "waiting_for_user_input"


async def test_a_run_of_another_workspace_is_not_found_through_an_own_workflow(site: Site) -> None:
    _, run_id = await site.started()
    own = await site.post(
        "/v1/workflows", {"name": "Own", "graph": {"nodes": [{"id": "s", "type": "start"}]}}, key="other"
    )
    for body in ({"message": "x"}, {"message": 1}):
        reply = await site.execute(own.json()["id"], run_id, key="other", **body)
        assert (*said(reply), *handle(reply)) == (404, "not_found", None, None)


def test_each_scope_includes_the_lower_ones() -> None:
    scopes: tuple[Scope, ...] = ("read", "run", "edit", "admin")
    assert [[may((one,), needed) for needed in scopes] for one in scopes] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]
    assert not may((), "read")


def test_a_bearer_is_the_secret_behind_the_scheme() -> None:
    assert [bearer(header) for header in (None, "", "ak_1", "Basic ak_1", "Bearer", "Bearer  ", "bearer ak_1 ")] == [
        None,
        None,
        None,
        None,
        None,
        None,
        "ak_1",
    ]
