"""Compiled graphs: who leads where, and what the hash covers."""

from typing import Any, ClassVar

import msgspec

from app.engine.graph import Graph, Retry
from app.engine.kind import NodeKind
from app.engine.validate import check


class Start(NodeKind, frozen=True, kw_only=True):
    kind: ClassVar[str] = "start"


class Work(NodeKind, frozen=True, kw_only=True):
    kind: ClassVar[str] = "work"
    may_retry: ClassVar[bool] = True

    text: str = ""
    timeout_seconds: float = 120


def compiled(nodes: list[Any], edges: list[Any]) -> Graph:
    checked = check({"nodes": nodes, "edges": edges}, {"start": Start, "work": Work})
    assert checked.faults == ()
    assert checked.graph is not None
    return checked.graph


def diamond(**config: Any) -> tuple[list[Any], list[Any]]:
    nodes: list[Any] = [{"id": "s", "type": "start"}, *({"id": name, "type": "work"} for name in "ab")]
    nodes.append({"id": "j", "type": "work", "name": "Join", "config": {"join": "all", **config}})
    pairs = ["sa", "sb", "aj", "bj"]
    return nodes, [{"source": pair[0], "target": pair[1]} for pair in pairs]


def test_edges_leave_and_arrive_in_the_order_of_the_source() -> None:
    graph = compiled(*diamond())
    assert [edge.target for edge in graph.leaving("s", "out")] == ["a", "b"]
    assert [edge.source for edge in graph.incoming("j")] == ["a", "b"]
    assert (graph.leaving("j", "out"), graph.leaving("s", "error"), graph.incoming("s")) == ((), (), ())
    assert (graph.start.id, [node.index for node in graph.nodes.values()]) == ("s", [0, 1, 2, 3])
    assert (graph.nodes["j"].name, graph.nodes["a"].name) == ("Join", "a")


def test_ancestors_are_all_nodes_that_lead_there() -> None:
    graph = compiled(*diamond())
    assert graph.ancestors("j") == {"s", "a", "b"}
    assert graph.ancestors("a") == {"s"}
    nodes, edges = [{"id": "s", "type": "start"}, {"id": "a", "type": "work"}], [("s", "a"), ("a", "a")]
    looped = compiled(nodes, [{"source": source, "target": target} for source, target in edges])
    assert looped.ancestors("a") == {"s", "a"}


def test_missing_edge_ids_are_filled_the_same_way_each_time() -> None:
    nodes, edges = diamond()
    edges[2]["id"] = "e0"
    assert [edge.id for edge in compiled(nodes, edges).edges] == ["e0_", "e1", "e0", "e3"]


def test_common_settings_are_on_the_node() -> None:
    graph = compiled(*diamond(retry={"max_attempts": 3}, on_error="default", default_output={"a": 1}))
    node = graph.nodes["j"]
    assert (node.join, node.retry, node.on_error) == ("all", Retry(max_attempts=3), "default")
    assert (node.default_output, node.disabled) == ({"a": 1}, False)


def test_a_kind_with_a_bound_of_its_own_keeps_it_to_itself() -> None:
    for config, seconds in ({}, 120), ({"timeout_seconds": 5}, 5):
        node = compiled(*diamond(**config)).nodes["j"]
        assert (node.timeout_seconds, msgspec.structs.asdict(node.kind)["timeout_seconds"]) == (None, seconds)


def test_the_hash_covers_what_is_executed() -> None:
    nodes, edges = diamond(text="a")
    first = compiled(nodes, edges).hash
    moved = [{**node, "position": {"x": 9}, "colour": "red"} for node in nodes]
    assert compiled(moved, edges).hash == first
    assert compiled(diamond(text="b")[0], edges).hash != first
    assert compiled(nodes, edges[:3]).hash != first
    assert len(first) == 64
