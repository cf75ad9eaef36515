"""Every fault and warning of a graph of the real kinds, with its exact place and words."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.kind import Claim, Fault
from app.engine.nodes import CATALOGUE
from app.engine.validate import check
from tests.engine.graphs import edge, line, node, source

HANDLES = "handles must be distinct, not empty, and none of out, error, else, expired"
IDS = "choices need distinct, non-empty ids"
RICH_SECRET = "a text that reads secrets cannot be a rich template; they are given to plain ones only"
RETRY = "there are backoff, delay_seconds, max_attempts"


def faults_of(graph: Any) -> list[tuple[str, str]]:
    checked = check(graph, CATALOGUE)
    assert (checked.graph is None) == bool(checked.faults)
    return [(fault.path, fault.message) for fault in checked.faults]


@pytest.mark.parametrize(
    ("kind", "config", "faults"),
    [
        ("message", {}, {".text": "is required"}),
        ("message", {"text": 1}, {".text": "Expected `str`, got `int`"}),
        ("message", {"text": None}, {".text": "Expected `str`, got `null`"}),
        ("message", {"text": "{{a"}, {".text": "{{ in line 1 has no }}"}),
        ("message", {"text": "a\n{% if"}, {".text": "{% in line 2 has no %}"}),
        ("message", {"text": "{{ a | upper }} {{ secret.key }}"}, {".text": RICH_SECRET}),
        ("message", {"text": "{{secret.key}}"}, {".text": "message cannot read secrets"}),
        ("message", {"text": "", "join": "some"}, {".join": "Invalid enum value 'some'"}),
        ("message", {"text": "", "on_error": "stop"}, {".on_error": "Invalid enum value 'stop'"}),
        ("message", {"text": "", "timeout_seconds": 0}, {".timeout_seconds": "Expected `float` > 0.0"}),
        ("message", {"text": "", "disabled": "yes"}, {".disabled": "Expected `bool`, got `str`"}),
        ("message", {"text": "", "retry": {}}, {".retry": "message cannot be retried"}),
        ("message", {"text": "", "default_output": ["{{"]}, {".default_output[0]": "{{ in line 1 has no }}"}),
        ("set", {"values": []}, {".values": "Expected `object`, got `array`"}),
        ("set", {"values": {"a.b": ["x", "{{ secret.a + 1 }}"]}}, {'.values["a.b"][1]': RICH_SECRET}),
        ("end", {"outputs": {"a": {"b": "{#"}}}, {".outputs.a.b": "{# in line 1 has no #}"}),
        ("end", {"disabled": True}, {".disabled": "end has no outlet `out` to pass through by"}),
        ("end", {"on_error": "default"}, {".on_error": "end has no outlet `out` to go on by with a default"}),
        ("ask", {"prompt": "?", "choices": "ab"}, {".choices": "Expected `array`, got `str`"}),
        (
            "ask",
            {"prompt": "?", "choices": ["a", 1, {"title": "t"}, {"id": "b", "x": 1}]},
            {
                ".choices[1]": "Expected `str | object`, got `int`",
                ".choices[2].id": "is required",
                ".choices[3].x": "unknown setting; there are id, title",
            },
        ),
        ("ask", {"prompt": "?", "choices": ["a", "", {"id": "a"}]}, {".choices[1]": IDS, ".choices[2]": IDS}),
        ("ask", {"prompt": "?", "choices": ["{{"]}, {".choices[0]": "{{ in line 1 has no }}"}),
        (
            "ask",
            {"prompt": "?", "choices": ["out", "ok"], "branch_on_choice": True},
            {".choices[0]": "'out' is the name of another handle"},
        ),
        ("ask", {"prompt": "?", "branch_on_choice": True}, {".branch_on_choice": "needs choices"}),
        ("ask", {"prompt": "?", "on_expiry": "branch"}, {".on_expiry": "needs expires_in_seconds"}),
        ("ask", {"prompt": "?", "expires_in_seconds": -1}, {".expires_in_seconds": "Expected `float` >= 0.0"}),
        ("ask", {"prompt": "?", "retry": {"max_attempts": 2}}, {".retry": "ask cannot be retried"}),
        (
            "ask",
            {"prompt": "?", "choices": ["a"], "branch_on_choice": True, "disabled": True, "on_error": "default"},
            {
                ".disabled": "ask has no outlet `out` to pass through by",
                ".on_error": "ask has no outlet `out` to go on by with a default",
            },
        ),
        ("condition", {}, {".cases": "is required"}),
        (
            "condition",
            {"cases": [{"handle": 1, "expression": "x"}, {"expression": 2}, 3]},
            {
                ".cases[0].handle": "Expected `str`, got `int`",
                ".cases[1].handle": "is required",
                ".cases[1].expression": "Expected `str`, got `int`",
                ".cases[2]": "Expected `object`, got `int`",
            },
        ),
        (
            "condition",
            {"cases": [{"handle": handle, "expression": "true"} for handle in ("a", "a", "", "else")]},
            {".cases[1].handle": HANDLES, ".cases[2].handle": HANDLES, ".cases[3].handle": HANDLES},
        ),
        (
            "condition",
            {"cases": [{"handle": "a", "expression": "x = 1"}, {"handle": "b", "expression": ""}]},
            {".cases[0].expression": "= is no operator, write ==", ".cases[1].expression": "the expression is empty"},
        ),
        (
            "no_op",
            {
                "delay_seconds": 3601,
                "simulate_failure": -1,
                "retry": {"max_attempts": 11, "delay_seconds": "1", "x": 1},
            },
            {
                ".delay_seconds": "Expected `float` <= 3600.0",
                ".simulate_failure": "Expected `int` >= 0",
                ".retry.max_attempts": "Expected `int` <= 10",
                ".retry.delay_seconds": "Expected `float`, got `str`",
                ".retry.x": f"unknown setting; {RETRY}",
            },
        ),
        ("no_op", {"retry": {"backoff": 6}}, {".retry.backoff": "Expected `float` <= 5.0"}),
        ("no_op", {"retry": []}, {".retry": "Expected `object | null`, got `array`"}),
        ("wait", {}, {"": "needs exactly one of seconds and until"}),
        ("wait", {"seconds": 1, "until": "2024-01-01T00:00:00Z"}, {"": "needs exactly one of seconds and until"}),
        ("wait", {"seconds": 31_536_001}, {".seconds": "Expected `float` <= 31536000.0"}),
        ("wait", {"until": "tomorrow"}, {".until": "must be ISO 8601 with a zone"}),
        ("wait", {"until": "2024-01-01T00:00:00"}, {".until": "must be ISO 8601 with a zone"}),
        ("wait", {"until": "[[1,2]]"}, {".until": "must be ISO 8601 with a zone"}),
        ("show_state", {"x": 1, "odd key": 2}, {".x": "unknown", '["odd key"]': "unknown"}),
    ],
)
def test_a_config_is_refused(kind: str, config: dict[str, Any], faults: dict[str, str]) -> None:
    found = faults_of(line(node("it", kind, **config)))
    assert [place for place, _ in found] == [f"nodes[1].config{place}" for place in faults]
    for (_, words), expected in zip(found, faults.values(), strict=True):
        assert words == expected or (
            expected == "unknown" and words.startswith("unknown setting; show_state has default")
        )


@pytest.mark.parametrize(
    ("inputs", "faults"),
    [
        ([{"type": "text"}], {"[0].name": "is required"}),
        ([{"name": ""}], {"[0].name": "must not be empty"}),
        ([{"name": "a"}, {"name": "a"}], {"[1].name": "input 'a' is declared twice"}),
        ([{"name": "message"}], {"[0].name": "message is a reserved word"}),
        ([{"name": "a", "type": "file"}], {"[0].type": "file inputs are not available yet"}),
        ([{"name": "a", "type": "date"}], {"[0].type": "Invalid enum value 'date'"}),
        ([{"name": "a", "type": "select"}], {"[0].options": "a select needs options"}),
        ([{"name": "a", "type": "number", "default": "1"}], {"[0].default": "must be a number"}),
        ([{"name": "a", "type": "select", "options": ["x"], "default": "y"}], {"[0].default": "must be one of ['x']"}),
        ([{"name": "a", "max_length": 0}], {"[0].max_length": "Expected `int` >= 1"}),
        ([{"name": "a", "min": 1}], {"[0].min": "unknown"}),
        (
            [{"name": 1}, {"name": "b", "options": [1]}],
            {"[0].name": "Expected `str`, got `int`", "[1].options[0]": "unknown"},
        ),
    ],
)
def test_declared_inputs_are_refused(inputs: Any, faults: dict[str, str]) -> None:
    found = faults_of(source([node("start", "start", inputs=inputs)], []))
    assert [place for place, _ in found] == [f"nodes[0].config.inputs{place}" for place in faults]
    for (_, words), expected in zip(found, faults.values(), strict=True):
        assert expected in ("unknown", words)


START = node("start", "start")


@pytest.mark.parametrize(
    ("graph", "faults"),
    [
        (source([], []), {"nodes": "there is no start node"}),
        (source([START, node("b", "start")], []), {"nodes[1].type": "there is a start already: nodes[0]"}),
        (source([START, node("b", "llm_2")], []), {"nodes[1].type": "there is no node type 'llm_2'"}),
        (source([START, node("start", "no_op")], []), {"nodes[1].id": "the id start is taken by nodes[0]"}),
        (source([START, node("ä", "no_op")], []), {"nodes[1].id": "an id is 1 to 64 ASCII letters, digits, _ or -"}),
        (
            source([START, node("a" * 65, "no_op")], []),
            {"nodes[1].id": "an id is 1 to 64 ASCII letters, digits, _ or -"},
        ),
        (source([START, node("a\n", "no_op")], []), {"nodes[1].id": "an id is 1 to 64 ASCII letters, digits, _ or -"}),
        (source([START, node("vars", "no_op")], []), {"nodes[1].id": "vars is a reserved word"}),
        (source([START], [edge("start", "b")]), {"edges[0].target": "there is no node 'b'"}),
        (source([START], [edge("b", "start")]), {"edges[0].source": "there is no node 'b'"}),
        (source([START], [{"source": "start"}]), {"edges[0].target": "is required"}),
        (
            source([START], [edge("start", "start", "left")]),
            {"edges[0].source_handle": "unknown handle 'left'; start has out"},
        ),
        (
            source([START, node("e", "end")], [edge("start", "e"), edge("e", "start")]),
            {"edges[1].source_handle": "unknown handle 'out'; e has none"},
        ),
        (
            source([START], [edge("start", "start", "error")]),
            {"edges[0].source_handle": "start leaves by `error` only with on_error = branch"},
        ),
        (
            source([START], [{**edge("start", "start"), "target_handle": "side"}]),
            {"edges[0].target_handle": "unknown handle 'side'; every node is entered by `in`"},
        ),
        (
            source([START], [{**edge("start", "start"), "id": "x"}, {**edge("start", "start"), "id": "x"}]),
            {"edges[1].id": "the id x is taken by another edge"},
        ),
        (source([START], [{**edge("start", "start"), "id": ""}]), {"edges[0].id": "must not be empty"}),
        (
            source([START, node("a", "no_op", join="all")], [edge("start", "a"), edge("a", "a")]),
            {"nodes[1].config.join": "a node on a cycle cannot join all"},
        ),
        ({"nodes": [START], "edges": {}}, {"edges": "must be a list"}),
        ({"edges": []}, {"nodes": "is required", "nodes ": "there is no start node"}),
        ([], {"": "a graph must be an object with nodes and edges"}),
        ({"nodes": [START, 1], "edges": [2]}, {"nodes[1]": "must be an object", "edges[0]": "must be an object"}),
    ],
)
def test_a_graph_is_refused(graph: Any, faults: dict[str, str]) -> None:
    assert faults_of(graph) == [(place.strip(), words) for place, words in faults.items()]


def many(nodes: int, edges: int) -> Any:
    return source([START, *(node(f"n{i}", "no_op") for i in range(nodes - 1))], [edge("start", "n0")] * edges)


@pytest.mark.parametrize(
    ("graph", "faults"),
    [
        (many(500, 2_000), []),
        (many(501, 0), [("nodes", "there are 501 nodes, at most 500 are allowed")]),
        (many(2, 2_001), [("edges", "there are 2001 edges, at most 2000 are allowed")]),
        (
            line(node("m", "message", text="x" * 524_288)),
            [("", "the graph has 524454 bytes, at most 524288 are allowed")],
        ),
        (line(node("m", "message", text="\ud800")), [("", "the graph holds something that is no JSON")]),
    ],
    ids=["most", "nodes", "edges", "bytes", "surrogate"],
)
def test_sizes_are_bounded(graph: Any, faults: list[tuple[str, str]]) -> None:
    assert faults_of(graph) == faults


CYCLE = [edge("start", "a"), edge("a", "b"), edge("b", "a")]


@pytest.mark.parametrize(
    ("nodes", "warnings"),
    [
        ([node("a", "no_op"), node("b", "no_op")], [Fault("nodes[1]", "a cycle without a node that waits: a, b")]),
        ([node("a", "no_op"), node("b", "ask", prompt="?")], []),
        ([node("a", "no_op"), node("b", "wait", seconds=1)], []),
        ([node("a", "no_op"), node("b", "no_op", delay_seconds=1)], []),
        (
            [node("a", "no_op"), node("b", "wait", seconds=1, disabled=True)],
            [Fault("nodes[1]", "a cycle without a node that waits: a, b")],
        ),
        (
            [node("a", "no_op"), node("b", "ask", prompt="?"), node("c", "no_op")],
            [Fault("nodes[3]", "c cannot be reached from the start")],
        ),
    ],
)
def test_warns(nodes: Any, warnings: list[Fault]) -> None:
    checked = check(source([START, *nodes], CYCLE), CATALOGUE)
    assert (checked.faults, checked.warnings) == ((), tuple(warnings))


def test_every_claim_is_listed_with_its_place_faults_or_not() -> None:
    asks = [node("a", "ask", prompt="?", schema={"type": "string"}), node("b", "ask", prompt="?"), node("a", "no_op")]
    asks += [node("c", "ask", prompt="{{ 1 + 1 }}", schema=False), node("d", "code", code="1", inputs={"x": "{# #}"})]
    claims = (
        Claim("nodes[1].config.schema", "schema", {"type": "string"}),
        Claim("nodes[4].config.prompt", "template", "{{ 1 + 1 }}"),
        Claim("nodes[4].config.schema", "schema", False),
        Claim("nodes[5].config.inputs.x", "template", "{# #}"),
        Claim("nodes[5].config.code", "code", "1"),
    )
    assert check(source([START, *asks], []), CATALOGUE).claims == claims
