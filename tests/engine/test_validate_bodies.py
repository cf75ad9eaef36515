"""Graphs within graphs: every fault inside a body has its place, and what is executed decides the hash."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.nodes import CATALOGUE
from app.engine.validate import GraphLimits, check
from tests.engine.graphs import line, node, source

Json = dict[str, Any]
AT = "nodes[1].config.body"


def holding(body: Any, **config: Any) -> Json:
    return line(node("each", "iteration", items=[], body=body, **config))


def faults(graph: Json) -> list[tuple[str, str]]:
    return [(fault.path, fault.message) for fault in check(graph, CATALOGUE).faults]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (source([], []), f"{AT}.nodes"),
        (source([node("start", "start", inputs=[{"name": "x"}])], []), f"{AT}.nodes[0].config.inputs"),
        (line(node("m", "message")), f"{AT}.nodes[1].config.text"),
        (line(node("item", "no_op")), f"{AT}.nodes[1].id"),
        (source([node("start", "start")], [{"source": "start", "target": "gone"}]), f"{AT}.edges[0].target"),
        (line(node("m", "message", text="{{ secret.x }}")), f"{AT}.nodes[1].config.text"),
        ([], AT),
        ("text", AT),
        (None, AT),
    ],
)
def test_faults_of_a_body_have_their_place(body: Any, place: str) -> None:
    assert place in [path for path, _ in faults(holding(body))]


def test_ids_are_unique_within_the_body_only() -> None:
    assert faults(holding(line(node("each", "no_op")))) == []


def test_claims_and_warnings_of_a_body_have_their_place() -> None:
    body = line(node("code", "code", code="x = 1"), node("lost", "no_op"))
    body["edges"].pop()
    checked = check(holding(body), CATALOGUE)
    assert [claim.path for claim in checked.claims] == [f"{AT}.nodes[1].config.code"]
    assert [warning.path for warning in checked.warnings] == [f"{AT}.nodes[2]"]


def test_a_body_needs_no_template_rules_of_its_holder_and_its_output_must_be_plain() -> None:
    body = line(node("t", "template", template="{% for x in item %}{{ x }}{% endfor %}"))
    assert faults(holding(body)) == []
    (fault,) = faults(holding(body, output="{{ item | upper }}"))
    assert fault[0] == "nodes[1].config.output" and "rich" in fault[1]


def test_bodies_lie_in_each_other_five_levels_deep_and_no_deeper() -> None:
    graph = line()
    for _ in range(5):
        graph = holding(graph)
    assert faults(graph) == []
    assert faults(holding(graph)) == [(".".join([AT] * 6), "bodies lie in each other too deeply")]


def test_the_nodes_and_edges_of_bodies_count() -> None:
    checked = check(holding(line(node("a", "no_op"))), CATALOGUE, GraphLimits(nodes=3, edges=1))
    assert [fault.path for fault in checked.faults] == ["nodes", "edges"]


def test_positions_in_bodies_do_not_change_the_hash_and_what_they_do_does() -> None:
    def hashed(text: str, **more: Any) -> str:
        body = line(node("m", "message", text=text))
        body["nodes"][1] |= more
        graph = check(holding(body), CATALOGUE).graph
        assert graph is not None
        return graph.hash

    assert hashed("a") == hashed("a", position={"x": 1})
    assert hashed("a") != hashed("b")


def test_a_cycle_through_a_body_that_waits_is_not_tight() -> None:
    def warned(body: Json) -> int:
        graph = holding(body)
        graph["edges"].append({"source": "each", "target": "each"})
        return len(check(graph, CATALOGUE).warnings)

    assert warned(line(node("q", "ask", prompt="?"))) == 0
    assert warned(line(node("n", "no_op"))) == 1


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"workflow_id": "x"}, "nodes[1].config.workflow_id"),
        ({"workflow_id": "{{which}}"}, "nodes[1].config.workflow_id"),
        ({}, "nodes[1].config.workflow_id"),
        ({"workflow_id": "5eb7cf5a86d9755df3a6c594", "version": -1}, "nodes[1].config.version"),
        ({"workflow_id": "5eb7cf5a86d9755df3a6c594", "retry": {"max_attempts": 2}}, "nodes[1].config.retry"),
    ],
)
def test_a_child_is_named_by_a_literal_id(config: Json, place: str) -> None:
    assert place in [path for path, _ in faults(line(node("sub", "workflow", **config)))]


@pytest.mark.parametrize("config", [{"while": "1 +"}, {"while": "true", "max_count": 101}, {}])
def test_a_loop_needs_an_expression_and_a_bound(config: Json) -> None:
    assert len(faults(line(node("loop", "loop", body=line(), **config)))) == 1
