"""The effects mcp_list and mcp_call: secrets are sent where the author wrote them, and nothing of them comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.models.mcp_client import McpToolServers
from app.adapters.mongo.database import Database
from app.adapters.vault import Vault
from app.engine.seal import Seal, Sealed
from app.ports import EffectContext, EffectError, StoreUnavailableError, Workspace
from app.services.performing.masking import MASK
from app.services.performing.tools import ToolCallPerformer, ToolListPerformer
from app.services.secrets import Secrets
from app.services.workspaces import Workspaces
from tests.conformance.samples import NOW, SetClock
from tests.services.performing import OTHER, OURS, places, secret, shown
from tests.stores import mock_database
from tests.stub_mcp import OBJECT, Do, StubMcp, Ways, stub_mcp

KEY = "run:agent#1.1"
TOKEN = 't0ken/+"x'


class Away:
    """Secrets that the first two times are not there."""

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.calls = 0

    async def reveal(self, workspace: str, names: list[str]) -> dict[str, str]:
        self.calls += 1
        if self.calls < 3:
            raise StoreUnavailableError
        return await self.secrets.reveal(workspace, names)


class Place:
    def __init__(self, database: Database, mcp: StubMcp) -> None:
        self.mcp = mcp
        self.clock = SetClock(NOW)
        self.secrets: Any = Secrets(database.secrets, Vault(["k" * 16]), self.clock)
        self.workspaces = Workspaces(database.accounts, self.clock)
        self.servers = McpToolServers(GuardedHttp(AddressGuard()), self.clock)

    async def list(self, **given: Any) -> Any:
        return await self._perform(ToolListPerformer, "mcp_list", {}, **given)

    async def call(self, name: str = "echo", arguments: Any = None, **given: Any) -> Any:
        request = {"name": name, "arguments": arguments or {"text": "hello"}}
        return await self._perform(ToolCallPerformer, "mcp_call", request, **given)

    async def _perform(self, kind: Any, operation: str, request: Any, workspace: str = OURS, **fields: Any) -> Any:
        given = {"url": self.mcp.url, "headers": {"X-Token": secret("token", "v=", ";")}, **fields}
        sealed = Sealed(shown(given), tuple(Seal(path, parts) for path, parts in places(given, ())))
        context = EffectContext(
            workspace=workspace,
            run_id="run",
            effect_id="agent#1.1",
            idempotency_key=KEY,
            attempt=1,
            operation=operation,
            request=msgspec.to_builtins({"fields": sealed, **request}),
        )
        return await kind(self.servers, self.secrets, self.workspaces, self.clock).perform(context)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    database = await mock_database()
    async with stub_mcp() as mcp:
        for workspace, allowed in ((OURS, (mcp.place,)), (OTHER, ())):
            await database.accounts.insert_workspace(
                Workspace(id=workspace, name=workspace, created_at=NOW, allowed_hosts=allowed)
            )
        made = Place(database, mcp)
        await made.secrets.put(OURS, "token", TOKEN)
        yield made


async def failure(asked: Any) -> EffectError:
    with pytest.raises(EffectError) as caught:
        await asked
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
    assert_hidden([caught.value.message, caught.value.details])
    return caught.value


def assert_hidden(found: Any) -> None:
    dumped = json.dumps(found, ensure_ascii=False)
    for form in (TOKEN, json.dumps(TOKEN)[1:-1], base64.b64encode(TOKEN.encode()).decode()):
        assert form not in dumped
        assert json.dumps(form)[1:-1] not in dumped


async def test_tools_are_listed_and_called(place: Place) -> None:
    tools = [{"name": name, "description": f"It is {name}", "parameters": OBJECT} for name in ("echo", "stub")]
    assert await place.list() == {"tools": tools}
    assert await place.call() == {"result": "said: hello"}
    assert [(seen.key, seen.meta_key) for seen in place.mcp.calls] == [(KEY, KEY)]
    assert {dict(seen.headers)["x-token"] for seen in place.mcp.seen} == {f"v={TOKEN};"}


@pytest.mark.parametrize("streams", [False, True])
async def test_a_secret_comes_back_in_no_result(place: Place, streams: bool) -> None:
    place.mcp.ways = Ways(
        streams=streams,
        tools=[{"name": "a", "description": TOKEN, "inputSchema": {"type": "object", "title": TOKEN, TOKEN: 1}}],
    )
    encoded = base64.b64encode(TOKEN.encode()).decode()
    found = await place.list()
    assert found == {
        "tools": [{"name": "a", "description": MASK, "parameters": {"type": "object", "title": MASK, MASK: 1}}]
    }
    told = {"content": [], "structuredContent": {"x": [TOKEN, encoded], TOKEN: f"v={TOKEN};"}}
    found = await place.call("stub", {"result": told})
    assert found == {"result": {"x": [MASK, MASK], MASK: f"v={MASK};"}}
    content = [{"type": "text", "text": TOKEN}, {"type": "resource_link", "uri": "x://y", "name": TOKEN}]
    found = await place.call("stub", {"result": {"content": content}})
    assert found["result"][0] == found["result"][1]["name"] == MASK


@pytest.mark.parametrize("streams", [False, True])
async def test_a_secret_comes_back_in_no_failure(place: Place, streams: bool) -> None:
    place.mcp.ways = Ways(streams=streams)
    failed = {"content": [{"type": "text", "text": f"no {TOKEN}"}], "isError": True}
    found = await failure(place.call("stub", {"result": failed}))
    assert (found.error_type, found.message, found.retryable) == ("provider_error", f"no {MASK}", False)
    found = await failure(place.call("stub", {"error": {"code": 1, "message": TOKEN}}))
    assert found.message == f"the server reports an error: {MASK}"
    found = await failure(place.call("stub", {"status": 429, "body": TOKEN, "headers": {"Retry-After": "9"}}))
    assert (found.error_type, found.retryable, found.retry_after_seconds) == ("rate_limited", True, 9)
    assert found.details == {"status_code": 429, "body": MASK}


async def test_a_secret_is_hidden_where_a_failure_is_cut(place: Place) -> None:
    text = "x" * 4_090 + TOKEN
    failed = {"content": [{"type": "text", "text": text}], "isError": True}
    assert (await failure(place.call("stub", {"result": failed}))).message == "x" * 4_090 + MASK[:6]
    found = await failure(place.call("stub", {"status": 400, "body": text}))
    assert found.details["body"] == "x" * 4_090 + MASK[:6]


async def test_a_secret_in_the_url_is_hidden_in_what_could_not_be_reached(place: Place) -> None:
    await place.secrets.put(OURS, "host", "hidden.invalid")
    found = await failure(place.list(url=secret("host", "http://", "/x")))
    assert (found.error_type, found.message) == ("http_connection", f"{MASK} cannot be resolved")


async def test_a_workspace_reaches_what_is_allowed_to_it_alone(place: Place) -> None:
    found = await failure(place.list(workspace=OTHER, headers={}))
    assert (found.error_type, place.mcp.seen) == ("blocked_address", [])
    assert (await place.list(headers={}))["tools"]


async def test_a_secret_of_another_workspace_is_missing(place: Place) -> None:
    with pytest.raises(EffectError) as caught:
        await place.list(workspace=OTHER)
    assert (caught.value.error_type, caught.value.message) == ("invalid_reference", "there is no secret 'token'")
    assert place.mcp.seen == []


async def test_a_database_that_is_away_is_waited_for(place: Place) -> None:
    away = Away(place.secrets)
    place.secrets = away
    assert await place.call() == {"result": "said: hello"}
    assert (away.calls, len(place.mcp.calls), place.clock.now()) == (3, 1, NOW + 1)


async def test_headers_may_be_any_values_and_left_out(place: Place) -> None:
    await place.list(headers={"X-Number": 5})
    assert dict(place.mcp.seen[0].headers)["x-number"] == "5"
    await place.list(headers=None)


@pytest.mark.parametrize(
    ("result", "kind", "message"),
    [
        ({"content": [{"type": "text", "text": "x" * (1024 * 1024)}]}, "too_large", "larger than 1048576 bytes"),
        ({"content": [], "structuredContent": {"x": 10**4_299}}, None, ""),
    ],
    ids=["large", "big integer"],
)
async def test_results_are_measured(place: Place, result: Any, kind: str | None, message: str) -> None:
    place.mcp.plan = [Do(result=result)]
    if kind is None:
        assert await place.call() == {"result": result["structuredContent"]}
        return
    with pytest.raises(EffectError) as caught:
        await place.call()
    assert (caught.value.error_type, caught.value.retryable) == (kind, False)
    assert message in caught.value.message


async def test_a_list_that_is_too_large_is_refused(place: Place) -> None:
    large = {"type": "object", "x": "y" * 60_000}
    place.mcp.ways = Ways(tools=[{"name": f"t{at}", "inputSchema": large} for at in range(20)])
    with pytest.raises(EffectError) as caught:
        await place.list()
    assert caught.value.error_type == "too_large"
