"""Agents through the turn protocol: tools that run, people who approve, providers and servers that misbehave."""

from __future__ import annotations

import json
from typing import Any

from tests.api.sites import Json, Site, said
from tests.api.test_models import only, provider, run, talking_site
from tests.engine.graphs import line, node
from tests.stub_provider import Say, StubProvider

__all__ = ["provider", "talking_site"]

ADD = {
    "name": "add",
    "type": "code",
    "code": "def main(a, b):\n    return a + b",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}


def agent(*tools: Json, **config: Any) -> Json:
    it = node("it", "agent", **{"prompt": "go", "tools": list(tools), **config})
    return line(it, node("end", "end", outputs={"it": "{{it}}"}))


def wants(name: str, number: int = 1, **arguments: Any) -> Json:
    return {"id": f"c{number}", "name": name, "arguments": json.dumps(arguments)}


async def test_the_echo_calls_a_tool_and_tells_what_it_brought(site: Site) -> None:
    reply = await run(site, agent(ADD, prompt='call add {"a": 1, "b": 2}'))
    output = reply["outputs"]["it"]
    assert (output["text"], output["iterations"]) == ("echo: 3", 2)
    (call,) = output["tool_calls"]
    assert (call["name"], call["arguments"], call["status"], call["result"]) == ("add", {"a": 1, "b": 2}, "ok", 3)
    started, finished = only(reply, "tool_call_started"), only(reply, "tool_call_finished")
    assert (started["tool_name"], started["arguments"]) == ("add", {"a": 1, "b": 2})
    assert (finished["status"], finished["result"], finished["tool_call_id"]) == ("ok", 3, started["tool_call_id"])
    metrics = only(reply, "end_workflow_iteration")["iteration_metrics"]
    assert (metrics["llm_call_count"], metrics["tool_call_count"]) == (2, 1)


async def test_arguments_that_do_not_fit_are_told_to_the_model(talking_site: Site, provider: StubProvider) -> None:
    provider.plan = [Say(calls=[wants("add", a=1)], finish="tool_calls"), Say(text="sorry")]
    reply = await run(talking_site, agent(ADD))
    (call,) = reply["outputs"]["it"]["tool_calls"]
    assert (call["status"], "do not fit" in call["error"]) == ("error", True)
    told = provider.seen[-1].body["messages"][-1]
    assert (told["role"], told["tool_call_id"], "do not fit" in told["content"]) == ("tool", "c1", True)


async def test_a_call_waits_for_a_person_and_goes_on_where_it_was(talking_site: Site, provider: StubProvider) -> None:
    calls = [wants("shy", 1, a=1, b=2), wants("add", 2, a=3, b=4)]
    provider.plan = [Say(calls=calls, finish="tool_calls"), Say(text="all done")]
    workflow_id = await talking_site.workflow(agent(ADD, {**ADD, "name": "shy", "needs_approval": True}))
    first = (await talking_site.execute(workflow_id)).json()
    assert first["status"] == "waiting_for_user_input"
    (pause,) = first["pauses"]
    assert (pause["kind"], pause["tool_name"], pause["tool_call_id"]) == ("tool", "shy", "c1")
    assert pause["arguments"] == {"a": 1, "b": 2}
    run_id, pause_id = first["run_id"], pause["pause_id"]
    bad = {pause_id: {"action": "approve", "arguments": {"a": "x"}}}
    refused = await talking_site.execute(workflow_id, run_id, answers=bad)
    assert said(refused) == (422, "invalid_answer")
    assert any("arguments" in detail["path"] for detail in refused.json()["details"])
    good = {pause_id: {"action": "approve", "arguments": {"a": 10, "b": 20}}}
    last = (await talking_site.execute(workflow_id, run_id, answers=good)).json()
    assert last["outputs"]["it"]["text"] == "all done"
    assert [call["result"] for call in last["outputs"]["it"]["tool_calls"]] == [30, 7]
    assert len(provider.seen) == 2
    contents = [one["content"] for one in provider.seen[1].body["messages"] if one["role"] == "tool"]
    assert contents == ["30", "7"]


async def test_a_word_is_enough_to_deny(talking_site: Site, provider: StubProvider) -> None:
    provider.plan = [Say(calls=[wants("shy", a=1, b=2)], finish="tool_calls"), Say(text="as you wish")]
    workflow_id = await talking_site.workflow(agent({**ADD, "name": "shy", "needs_approval": True}))
    first = (await talking_site.execute(workflow_id)).json()
    last = (await talking_site.execute(workflow_id, first["run_id"], message="Deny")).json()
    assert last["outputs"]["it"]["text"] == "as you wish"
    assert only(last, "tool_call_finished")["status"] == "denied"


async def test_an_agents_requests_have_keys_of_their_own(talking_site: Site, provider: StubProvider) -> None:
    provider.plan = [Say(status=500, body="{}"), Say(calls=[wants("add", a=1, b=2)], finish="tool_calls")]
    reply = await run(talking_site, agent(ADD, retry={"max_attempts": 2}))
    run_id = reply["run_id"]
    assert dict(provider.by_key) == {f"{run_id}:it#2.1": 2, f"{run_id}:it#2.3": 1}


async def test_stdio_servers_are_a_fault(site: Site) -> None:
    tool = {"name": "local", "type": "mcp", "command": "npx", "args": ["x"]}
    reply = await site.post("/v1/workflows", {"name": "x", "graph": agent(tool)})
    assert said(reply) == (422, "invalid_graph")
    places = [detail["path"] for detail in reply.json()["details"]]
    assert places == ["nodes[1].config.tools[0].command", "nodes[1].config.tools[0].args"]
