"""Agents whose tools are on MCP servers, through the turn protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.conftest import opened
from tests.api.sites import Site
from tests.api.test_agents import agent, wants
from tests.api.test_models import provider, run
from tests.stub_mcp import Do, StubMcp, Ways, stub_mcp
from tests.stub_provider import Say, StubProvider

__all__ = ["provider"]

TOKEN = "a token of the tests, long enough"


@pytest.fixture
async def tools() -> AsyncIterator[StubMcp]:
    async with stub_mcp() as found:
        yield found


@pytest.fixture
async def site(provider: StubProvider, tools: StubMcp) -> AsyncIterator[Site]:
    """With a provider and a server of tools that it may reach."""
    shared = {"stub": {"base_url": provider.base_url, "api_key": "sk-very-secret-key", "default_model": "m-1"}}
    settings = Settings(providers=SecretStr(json.dumps(shared)), outgoing_allow=(tools.place,))
    async with opened(settings) as found:
        await found.call("PUT", "/v1/secrets/crm", {"value": TOKEN})
        yield found


def server(tools: StubMcp) -> dict[str, object]:
    return {"name": "crm", "type": "mcp", "url": tools.url, "headers": {"X-Token": "{{secret.crm}}"}}


@pytest.mark.parametrize("ways", [Ways(), Ways(streams=True, sessions=True)])
async def test_tools_of_a_server_are_offered_and_called(
    site: Site, provider: StubProvider, tools: StubMcp, ways: Ways
) -> None:
    tools.ways = ways
    provider.plan = [Say(calls=[wants("crm__echo", text="hello")], finish="tool_calls"), Say(text="fine")]
    reply = await run(site, agent(server(tools)))
    output = reply["outputs"]["it"]
    assert (output["text"], output["tool_calls"][0]["result"]) == ("fine", "said: hello")
    assert {tool["function"]["name"] for tool in provider.seen[0].body["tools"]} == {"crm__echo", "crm__stub"}
    assert [seen.key for seen in tools.calls] == [f"{reply['run_id']}:it#2.3"]
    assert TOKEN not in json.dumps(reply)


async def test_a_call_that_fails_is_told_to_the_model(site: Site, provider: StubProvider, tools: StubMcp) -> None:
    tools.plan = [Do(error={"code": -32000, "message": "no such customer"})]
    provider.plan = [Say(calls=[wants("crm__echo", text="x")], finish="tool_calls"), Say(text="sorry")]
    reply = await run(site, agent(server(tools)))
    assert reply["outputs"]["it"]["tool_calls"][0]["status"] == "error"
    assert "no such customer" in provider.seen[1].body["messages"][-1]["content"]


async def test_a_server_that_is_not_there_fails_the_node(site: Site, provider: StubProvider) -> None:
    tool = {"name": "crm", "type": "mcp", "url": "http://127.0.0.1:1/mcp"}
    reply = await run(site, agent(tool))
    assert (reply["status"], provider.seen) == ("failed", [])
