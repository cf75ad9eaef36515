"""What each node kind does: its output, its way out, what it writes and says, and how it fails."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.kind import Expired, Fault, NodeKind, Woke
from app.engine.nodes import CATALOGUE
from app.engine.nodes.start import Start
from app.engine.state import next_deadline
from app.engine.validate import check
from tests.engine.graphs import BEGIN, Bench, line, node, source

INPUTS = {"name": "Ada", "list": [1, 2], "none": None}
VARIABLES = {"n": 3, "text": "{{name}}"}


def run(kind: str, config: dict[str, Any]) -> Bench:
    return Bench(line(node("it", kind, **config)), inputs=INPUTS, variables=VARIABLES)


@pytest.mark.parametrize(
    ("kind", "config", "output", "handle"),
    [
        ("message", {"text": "Hi {{name}}: {{list}}{{none}}"}, {"text": "Hi Ada: [1,2]"}, "out"),
        ("message", {"text": "[[text]]"}, {"text": "{{name}}"}, "out"),
        ("message", {"text": ""}, {"text": ""}, "out"),
        (
            "set",
            {"values": {"a": "{{list}}", "b": ["[[n]]", {"c": "n=[[n]]"}]}},
            {"a": [1, 2], "b": [3, {"c": "n=3"}]},
            "out",
        ),
        ("set", {"values": {"n": "[[text]]", "text": "[[n]]"}}, {"n": "{{name}}", "text": 3}, "out"),
        ("set", {"values": {}}, {}, "out"),
        ("condition", {"cases": [{"handle": "a", "expression": "[[n]] > 2"}]}, {"handle": "a"}, "a"),
        ("condition", {"cases": [{"handle": "a", "expression": "vars.n > 3"}]}, {"handle": "else"}, "else"),
        (
            "condition",
            {"cases": [{"handle": "a", "expression": "false"}, {"handle": "b", "expression": "name == 'Ada'"}]},
            {"handle": "b"},
            "b",
        ),
        ("condition", {"cases": []}, {"handle": "else"}, "else"),
        ("show_state", {}, None, "out"),
        ("no_op", {}, None, "out"),
        ("no_op", {"output": {"x": "{{list}}", "y": 2**70}}, {"x": [1, 2], "y": 2**70}, "out"),
        ("no_op", {"simulate_failure": 0, "output": False}, False, "out"),
        ("wait", {"seconds": 0}, {"waited_until": "1970-01-01T00:16:40Z"}, "out"),
        ("wait", {"until": "1970-01-01T00:00:00+05:30"}, {"waited_until": "1970-01-01T00:16:40Z"}, "out"),
        ("end", {"outputs": {"a": "{{list}}", "b": "x{{name}}"}}, {"a": [1, 2], "b": "xAda"}, None),
        ("end", {}, {}, None),
        ("ask", {"prompt": "?", "disabled": True}, None, "out"),
        ("wait", {"seconds": 5, "disabled": True}, None, "out"),
    ],
)
def test_leaves_with_its_output(kind: str, config: dict[str, Any], output: Any, handle: str | None) -> None:
    bench = run(kind, config)
    finished = bench.those("NodeFinished")[1]
    assert (bench.status, finished.output, finished.handle) == ("completed", output, handle)
    assert finished.skipped is config.get("disabled", False)
    assert bench.at.outputs == (output if kind == "end" else {})
    if kind != "end":
        assert bench.at.frames[0].outputs["it"] == output


@pytest.mark.parametrize(
    ("kind", "config", "error_type", "words"),
    [
        ("message", {"text": "{{nobody}}"}, "invalid_reference", '{{nobody}} cannot be read: "nobody" is unknown'),
        ("message", {"text": "[[nobody.x]]"}, "invalid_reference", '[[nobody.x]] cannot be read: "nobody" is unknown'),
        (
            "set",
            {"values": {"a": 1, "b": "{{name.x}}"}},
            "invalid_reference",
            '{{name.x}} cannot be read: there is no "x"',
        ),
        ("end", {"outputs": {"a": "{{list[2]}}"}}, "invalid_reference", "{{list[2]}} cannot be read: there is no 2"),
        (
            "condition",
            {"cases": [{"handle": "a", "expression": "name > 1"}]},
            "invalid_value",
            "text cannot be compared with a number by >",
        ),
        ("no_op", {"simulate_failure": True}, "simulated", "this failure was asked for"),
        ("no_op", {"simulate_failure": 1}, "simulated", "this failure was asked for"),
        ("wait", {"until": "{{name}}"}, "invalid_value", "until must be ISO 8601 with a zone"),
        ("wait", {"until": "{{none}}"}, "invalid_value", "until must be ISO 8601 with a zone"),
        ("ask", {"prompt": "{{nobody}}"}, "invalid_reference", '{{nobody}} cannot be read: "nobody" is unknown'),
        (
            "ask",
            {"prompt": "?", "choices": ["{{nobody}}"]},
            "invalid_reference",
            '{{nobody}} cannot be read: "nobody" is unknown',
        ),
    ],
)
def test_fails_and_says_so(kind: str, config: dict[str, Any], error_type: str, words: str) -> None:
    bench = run(kind, config)
    finished = bench.those("NodeFinished")[1]
    assert (finished.error_type, finished.error_message, finished.output) == (error_type, words, None)
    assert (bench.status, bench.at.error) == ("failed", f"node 'it' failed: {words}")
    assert bench.at.frames[0].variables == VARIABLES, "a set that fails writes nothing"


def test_a_message_is_said() -> None:
    bench = run("message", {"text": "Hi {{name}}"})
    assert [(event.text, event.node_id, event.visit) for event in bench.those("Said")] == [("Hi Ada", "it", 2)]


def test_set_writes_all_or_nothing() -> None:
    assert run("set", {"values": {"n": "[[text]]", "text": "[[n]]"}}).at.frames[0].variables == {
        "n": "{{name}}",
        "text": 3,
    }
    values = {"small": 1, "large": "{{start.big}}"}
    bench = Bench(line(node("it", "set", values=values)), inputs={"big": "x" * 300_000})
    assert (bench.at.frames[0].variables, bench.those("NodeFinished")[1].error_type) == ({}, "too_large")


def test_show_state_shows_the_variables_as_they_were() -> None:
    bench = Bench(line(node("show", "show_state"), node("set", "set", values={"n": 4})), variables={"n": 3})
    assert [event.variables for event in bench.those("StateShown")] == [{"n": 3}]


def test_outputs_of_several_ends_are_merged() -> None:
    nodes = [node("start", "start"), node("a", "end", outputs={"x": 1, "y": 1}), node("b", "end", outputs={"y": 2})]
    edges = [{"source": "start", "target": name} for name in "ab"]
    assert Bench(source(nodes, edges)).at.outputs == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("kind", "config", "seconds"),
    [
        ("wait", {"seconds": 60}, 60),
        ("wait", {"until": "1970-01-01T00:17:00Z"}, 20),
        ("no_op", {"delay_seconds": 3600}, 3600),
    ],
)
def test_a_timer_is_durable(kind: str, config: dict[str, Any], seconds: float) -> None:
    bench = run(kind, config)
    assert (bench.status, next_deadline(bench.at, bench.limits)) == ("running", BEGIN + seconds)
    bench.wait(seconds + 0.5)
    assert bench.status == "completed"
    if kind == "wait":
        waited = bench.those("NodeFinished")[1].output["waited_until"]
        assert waited == {60: "1970-01-01T00:17:40.500000Z", 20: "1970-01-01T00:17:00.500000Z"}[int(seconds)]


def test_only_what_waits_can_receive() -> None:
    for kind, node_kind in CATALOGUE.items():
        required: dict[str, Any] = {
            "message": {"text": ""},
            "ask": {"prompt": ""},
            "condition": {"cases": ()},
            "set": {"values": {}},
            "http": {"url": ""},
            "template": {"template": ""},
            "code": {"code": ""},
            "llm": {"prompt": ""},
            "agent": {"prompt": ""},
            "classifier": {"input": "", "classes": ()},
            "web_search": {"query": ""},
            "extractor": {"input": "", "fields": ()},
            "approval": {"message": ""},
            "iteration": {"items": [], "body": {}},
            "loop": {"condition": "true", "body": {}},
            "workflow": {"workflow_id": ""},
        }
        made: NodeKind = node_kind(**required.get(kind, {}))
        if kind not in ("ask", "approval", "wait", "no_op"):
            with pytest.raises(AssertionError):
                made.receive(None, Expired())  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        CATALOGUE["ask"](prompt="").receive(None, Woke())  # type: ignore[arg-type]


# ---- start


def declared(*inputs: dict[str, Any]) -> Start:
    checked = check(source([node("start", "start", inputs=list(inputs))], []), CATALOGUE)
    assert checked.graph is not None, checked.faults
    kind = checked.graph.start.kind
    assert isinstance(kind, Start)
    return kind


@pytest.mark.parametrize(
    ("declaration", "given", "accepted"),
    [
        ({"type": "text"}, {"x": "a"}, {"x": "a"}),
        ({"type": "text"}, {}, {"x": None}),
        ({"type": "text", "default": "d"}, {}, {"x": "d"}),
        ({"type": "text", "default": "d"}, {"x": None}, {"x": "d"}),
        ({"type": "text", "required": True, "default": "d"}, {}, {"x": "d"}),
        ({"type": "text", "max_length": 2}, {"x": "äö"}, {"x": "äö"}),
        ({"type": "number"}, {"x": 2**70}, {"x": 2**70}),
        ({"type": "number"}, {"x": 1.5}, {"x": 1.5}),
        ({"type": "boolean"}, {"x": False}, {"x": False}),
        ({"type": "select", "options": ["a", "b"]}, {"x": "b"}, {"x": "b"}),
        ({"type": "json"}, {"x": {"a": [1]}}, {"x": {"a": [1]}}),
        ({"type": "list"}, {"x": []}, {"x": []}),
        ({}, {"x": "a", "undeclared": 1}, {"x": "a", "undeclared": 1}),
    ],
)
def test_a_start_takes(declaration: dict[str, Any], given: dict[str, Any], accepted: dict[str, Any]) -> None:
    assert declared({"name": "x", **declaration}).accept(given) == (accepted, [])


@pytest.mark.parametrize(
    ("declaration", "given", "words"),
    [
        ({"required": True}, {}, "is required"),
        ({"required": True}, {"x": None}, "is required"),
        ({"type": "text"}, {"x": 1}, "must be a text"),
        ({"type": "number"}, {"x": True}, "must be a number"),
        ({"type": "number"}, {"x": "1"}, "must be a number"),
        ({"type": "boolean"}, {"x": 0}, "must be a boolean"),
        ({"type": "select", "options": ["a"]}, {"x": "b"}, "must be one of ['a']"),
        ({"type": "list"}, {"x": {}}, "must be a list"),
        ({"max_length": 2}, {"x": "abc"}, "must have at most 2 characters"),
    ],
)
def test_a_start_refuses(declaration: dict[str, Any], given: dict[str, Any], words: str) -> None:
    assert declared({"name": "x", **declaration}, {"name": "y"}).accept(given)[1] == [Fault("x", words)]


def test_every_input_that_does_not_fit_is_named() -> None:
    start = declared({"name": "a", "type": "number"}, {"name": "b", "required": True}, {"name": "c"})
    faults = start.accept({"a": "1", "c": "fits"})[1]
    assert faults == [Fault("a", "must be a number"), Fault("b", "is required")]
