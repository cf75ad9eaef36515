"""The agent in the engine: a loop of effects, calls side by side, servers of tools, bounds."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.messages import Pause, Resume
from app.engine.nodes import CATALOGUE
from app.engine.state import effects, questions
from app.engine.talk import Message, Tool, ToolCall
from app.engine.validate import check
from tests.engine.agents import CODE, HTTP, MCP, asked, bench, calls, ids, output, restart, says, vote
from tests.engine.graphs import Bench, edge, line, node, source


def test_a_model_that_needs_no_tool_answers_like_an_llm() -> None:
    run = bench(CODE, system="S")
    assert asked(run).messages == (Message(role="system", text="S"), Message(role="user", text="go"))
    assert asked(run).tools == (Tool(name="add", description="adds", parameters={"type": "object", "properties": {}}),)
    run.succeed(says())
    assert {name: output(run)[name] for name in ("text", "iterations", "tool_calls")} == {
        "text": "done",
        "iterations": 1,
        "tool_calls": [],
    }


def test_calls_run_side_by_side_and_the_model_reads_all_their_results_in_its_order() -> None:
    run = bench(CODE, HTTP)
    run.succeed(says("hm", calls("add", 1, a=2), calls("look", 2, q="x"), opaque={"sig": 1}))
    restart(run)
    assert ids(run) == [("code", "it#2.2"), ("http", "it#2.3")]
    code, http = (effect.request for effect in effects(run.at))
    assert (code["inputs"], http["fields"]["value"]["url"]) == ({"a": 2}, "https://x.example/x")
    assert [event.tool_name for event in run.those("ToolCallStarted")] == ["add", "look"]
    run.succeed({"status_code": 200, "headers": {}, "body": {"n": 1}, "url": "u"}, which=1)
    assert ids(run) == [("code", "it#2.2")], "the next request waits for all"
    restart(run)
    run.succeed({"output": [2], "printed": ""})
    assert ids(run) == [("model", "it#2.4")]
    assert asked(run).messages[1:] == (
        Message(
            role="assistant",
            text="hm",
            tool_calls=(calls("add", 1, a=2), calls("look", 2, q="x")),
            opaque={"sig": 1},
        ),
        Message(role="tool", text="[2]", tool_call_id="c1", tool_name="add"),
        Message(role="tool", text='{"status_code":200,"body":{"n":1}}', tool_call_id="c2", tool_name="look"),
    )
    run.succeed(says())
    assert output(run)["tool_calls"] == [
        {"id": "c1", "name": "add", "arguments": {"a": 2}, "status": "ok", "result": [2]},
        {
            "id": "c2",
            "name": "look",
            "arguments": {"q": "x"},
            "status": "ok",
            "result": {"status_code": 200, "body": {"n": 1}},
        },
    ]
    assert (output(run)["iterations"], output(run)["usage"]["total_tokens"]) == (2, 6)
    assert run.those("TurnEnded")[0].tool_calls == 2


def test_a_failed_call_is_told_to_the_model_and_fails_nothing() -> None:
    run = bench(HTTP)
    run.succeed(says("", calls("look", q="x")))
    run.fail("http_connection", retryable=False)
    assert asked(run).messages[-1].text == "error: http_connection!"
    run.succeed(says("sorry"))
    (call,) = output(run)["tool_calls"]
    assert (call["status"], call["error"]) == ("error", "http_connection!")
    assert run.those("ToolCallFinished")[0].status == "error"


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (ToolCall(id="c", name="gone", arguments={}), "there is no tool 'gone'"),
        (ToolCall(id="c", name="look", arguments="{"), "the arguments are no JSON object"),
        (ToolCall(id="c", name="look", arguments={}, misfits=("q is missing",)), "do not fit: q is missing"),
        (ToolCall(id="c", name="look", arguments={}), "{{args.q}} cannot be read"),
    ],
)
def test_a_call_that_cannot_be_made_is_told_at_once(call: ToolCall, why: str) -> None:
    run = bench(HTTP)
    run.succeed(says("", call))
    assert why in asked(run).messages[-1].text
    assert run.those("ToolCallStarted") == []


def test_a_model_cannot_call_any_number_of_tools_at_once() -> None:
    run = bench(CODE)
    run.succeed(says("", *(calls("add", number) for number in range(40))))
    assert len(effects(run.at)) == 32


# ---- servers of tools


def test_the_tools_of_a_server_are_listed_once_before_the_first_request() -> None:
    run = bench({**MCP, "allow": ["find", "drop"], "needs_approval": ["drop"]}, CODE)
    assert ids(run) == [("mcp_list", "it#2.1")]
    effect = effects(run.at)[0]
    assert (effect.once, effect.request["fields"]["value"]["url"]) == (False, "https://mcp.example/Bern")
    restart(run)
    listed = [{"name": name, "description": name, "parameters": {"type": "object"}} for name in ("find", "drop", "x")]
    run.succeed({"tools": listed})
    assert [tool.name for tool in asked(run).tools] == ["crm__find", "crm__drop", "add"]
    run.succeed(says("", calls("crm__find", 1, q=1), calls("crm__drop", 2), calls("crm__x", 3)))
    (call,) = effects(run.at)
    assert (call.operation, call.once, call.request["name"], call.request["arguments"]) == (
        "mcp_call",
        True,
        "find",
        {"q": 1},
    )
    assert len(questions(run.at)) == 1
    run.succeed({"result": {"found": 1}})
    vote(run, "deny")
    assert [message.text for message in asked(run).messages[-3:]] == [
        '{"found":1}',
        "this call was denied",
        "error: there is no tool 'crm__x'",
    ]
    run.succeed(says())
    assert len(run.those("ModelCalled")) == 2 and output(run)["iterations"] == 2


def test_several_servers_are_asked_at_once_and_one_that_fails_fails_the_node() -> None:
    run = bench(MCP, {**MCP, "name": "wiki"})
    assert [operation for operation, _ in ids(run)] == ["mcp_list", "mcp_list"]
    run.succeed({"tools": []})
    assert run.status == "running"
    run.fail("http_connection", retryable=False)
    assert (run.status, run.at.error) == ("failed", "node 'it' failed: http_connection!")


# ---- bounds


def test_an_agent_may_ask_so_often_only() -> None:
    run = bench(CODE, max_iterations=2)
    for _ in range(2):
        run.succeed(says("", calls("add")))
        run.succeed({"output": 1, "printed": ""})
    assert run.status == "failed"
    assert run.those("NodeFinished")[-1].error_type == "max_iterations"


def test_an_agent_may_use_so_many_tokens_only() -> None:
    run = bench(CODE, max_total_tokens=10)
    run.succeed(says("", calls("add"), tokens=11))
    assert (run.status, run.those("NodeFinished")[-1].error_type) == ("failed", "token_limit")


def test_a_structured_answer_is_repaired_after_calls_too() -> None:
    run = bench(CODE, schema={"type": "object"})
    run.succeed(says("", calls("add")))
    run.succeed({"output": 1, "printed": ""})
    run.succeed(says("x", misfits=("no JSON",)))
    assert [message.role for message in asked(run).messages[-2:]] == ["assistant", "user"]
    run.succeed(says("{}", data={}))
    assert (output(run)["data"], output(run)["iterations"]) == ({}, 3)


def test_a_large_result_is_cut_in_the_output() -> None:
    run = bench(CODE)
    run.succeed(says("", calls("add")))
    run.succeed({"output": "x" * 100_000, "printed": ""})
    assert asked(run).messages[-1].text.endswith(" [cut]")
    run.succeed(says())
    assert len(output(run)["tool_calls"][0]["result"]) < 5_000


# ---- pause, stop, failure


def test_a_pause_holds_between_the_calls_of_an_agent() -> None:
    run = bench(HTTP, CODE)
    run.succeed(says("", calls("look", 1, q="x"), calls("add", 2)))
    run.do(Pause(now=run.now))
    assert run.status == "running"
    run.succeed({"status_code": 200, "headers": {}, "body": 1, "url": "u"})
    assert (run.status, ids(run)) == ("paused", [])
    restart(run)
    run.do(Resume(now=run.now))
    assert [operation for operation, _ in ids(run)] == ["code"], "what may run again does"
    run.succeed({"output": 1, "printed": ""})
    assert len(asked(run).messages) == 4


def test_what_is_open_ends_with_the_node() -> None:
    graph = source(
        [
            node("start", "start"),
            node("it", "agent", prompt="go", tools=[MCP, {**MCP, "name": "wiki"}], on_error="branch"),
            node("q", "ask", prompt="{{it.error_type}}?"),
        ],
        [edge("start", "it"), edge("it", "q", "error")],
    )
    run = Bench(graph, inputs={"city": "Bern"})
    run.fail("provider_error", retryable=False)
    assert (run.status, effects(run.at), len(questions(run.at))) == ("waiting_for_user_input", [], 1)


@pytest.mark.parametrize(
    ("tool", "places"),
    [
        ({"name": "a b", "type": "code", "code": "1"}, ["name"]),
        ({"name": "a", "type": "code"}, ["code"]),
        ({"name": "a", "type": "code", "code": "1", "url": "u"}, ["url"]),
        ({"name": "a", "type": "http", "code": "1"}, ["request", "code"]),
        ({"name": "a", "type": "mcp"}, ["url"]),
        ({"name": "a", "type": "mcp", "command": "npx"}, ["command"]),
        ({"name": "a", "type": "stdio"}, ["type"]),
        ({"name": "a", "type": "http", "request": {"url": "{{ args.q|upper }}"}}, ["request.url"]),
        ({"name": "a", "type": "http", "request": {"url": "{{"}}, ["request.url"]),
        ({"name": "a", "type": "http", "request": {"url": "x", "auth": {"type": "bearer"}}}, ["request.auth.token"]),
        ({"name": "a", "type": "code", "code": "1", "needs_approval": ["x"]}, ["needs_approval"]),
        ({"name": "a", "type": "code", "code": "1", "timeout_seconds": 31}, ["timeout_seconds"]),
        ({"name": "a", "type": "code", "code": "1", "parameters": []}, ["parameters"]),
    ],
)
def test_a_bad_tool_is_refused_at_its_place(tool: dict[str, Any], places: list[str]) -> None:
    faults = check(line(node("it", "agent", prompt="go", tools=[tool])), CATALOGUE).faults
    assert [fault.path for fault in faults] == [f"nodes[1].config.tools[0].{place}" for place in places]


def test_a_server_cannot_take_the_place_of_another_tool() -> None:
    tools = [{**MCP, "name": "a"}, {**CODE, "name": "a__pay", "needs_approval": True}, {**MCP, "name": "a__b"}]
    faults = check(line(node("it", "agent", prompt="go", tools=tools)), CATALOGUE).faults
    assert [fault.path for fault in faults] == [f"nodes[1].config.tools[{index}].name" for index in (1, 2)]


def test_names_that_providers_do_not_take_are_not_offered() -> None:
    run = bench(MCP)
    names = ["find", "find", "x.y", "x" * 60, "ok"]
    run.succeed({"tools": [{"name": name, "description": "", "parameters": None} for name in names]})
    assert [tool.name for tool in asked(run).tools] == ["crm__find", "crm__ok"]


def test_two_tools_have_two_names() -> None:
    faults = check(line(node("it", "agent", prompt="go", tools=[CODE, CODE])), CATALOGUE).faults
    assert [fault.path for fault in faults] == ["nodes[1].config.tools[1].name"]
