"""What differs between two graphs, told by nodes, edges and places."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from app.services.differences import LONGEST_PATH, MOST_TOLD, Change, Differences, EdgeChanged, NodeChanged, compare
from tests.engine.graphs import edge, node, source

Json = dict[str, Any]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.floats(0, 2) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b c", ""]), inner, max_size=3),
    max_leaves=8,
)


def told(before: Any, after: Any) -> Differences:
    found, is_cut = compare(before, after)
    assert not is_cut
    return found


def test_nodes_are_told_apart_by_their_ids_wherever_they_stand() -> None:
    a, b, c = node("a", "ask", prompt="A?"), node("b", "ask", prompt="B?"), node("c", "ask")
    found = told(source([a, b], []), source([c, {**b, "name": "Bee"}], []))
    assert (found.nodes.added, found.nodes.removed) == ((c,), (a,))
    assert found.nodes.changed == (NodeChanged("b", (Change("name", after="Bee"),)),)
    assert told(source([a, b, c], []), source([c, b, a], [])) == Differences()


def test_a_change_names_its_place_and_tells_nothing_from_null() -> None:
    before = {
        "id": "a",
        "type": "set",
        "config": {"values": {"x y": [1, {"k": None}]}, "gone": None},
        "position": {"x": 1},
    }
    after = {"id": "a", "type": "code", "config": {"values": {"x y": [1, {"k": True}, 2]}}, "position": {"x": 1.0}}
    (changed,) = told(source([before], []), source([after], [])).nodes.changed
    assert set(changed.changes) == {
        Change("type", "set", "code"),
        Change('config.values["x y"][1].k', None, True),
        Change('config.values["x y"][2]', after=2),
        Change("config.gone", None),
        Change("position.x", 1, 1.0),
    }


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (1, 1.0), (None, False), ("1", 1), ([], {})])
def test_values_of_two_types_are_two_values(before: Any, after: Any) -> None:
    found = told(source([node("a", "set", values=before)], []), source([node("a", "set", values=after)], []))
    assert found.nodes.changed == (NodeChanged("a", (Change("config.values", before, after),)),)


def test_edges_are_told_apart_by_their_ids_else_by_their_ends() -> None:
    named = {"id": "e1", "source": "a", "target": "b"}
    moved = {**named, "target": "c"}
    plain, labelled = edge("a", "b"), {**edge("a", "b"), "label": "go"}
    found = told(source([], [plain, named, edge("b", "c")]), source([], [edge("c", "a"), moved, labelled]))
    assert found.edges.added == (edge("c", "a"),)
    assert found.edges.removed == (edge("b", "c"),)
    assert set(map(repr, found.edges.changed)) == {
        repr(EdgeChanged(moved, (Change("target", "b", "c"),))),
        repr(EdgeChanged(labelled, (Change("label", after="go"),))),
    }
    twice = told(source([], [plain]), source([], [plain, plain]))
    assert (twice.edges.added, twice.edges.removed) == ((plain,), ())
    renamed = told(source([], [{**plain, "id": "x"}]), source([], [{**plain, "id": "y"}]))
    assert [one.changes for one in renamed.edges.changed] == [(Change("id", "x", "y"),)]


def test_bodies_are_compared_by_their_own_nodes_however_deep() -> None:
    def nested(*inner: Json, items: str = "{{list}}") -> Json:
        innermost = node("each", "iteration", items=items, body=source([*inner], []))
        return source([node("outer", "loop", max_count=2, body=source([innermost], [edge("each", "end")]))], [])

    x, y = node("x", "ask", prompt="X?"), node("y", "ask", prompt="Y?")
    (outer,) = told(nested(x, y), nested(y, items="{{other}}")).nodes.changed
    assert (outer.id, outer.changes) == ("outer", ())
    assert outer.body is not None
    (each,) = outer.body.nodes.changed
    assert each.changes == (Change("config.items", "{{list}}", "{{other}}"),)
    assert each.body is not None
    assert (each.body.nodes.removed, each.body.nodes.added, each.body.nodes.changed) == ((x,), (), ())
    assert told(nested(x, y), nested(y, x)) == Differences()


def test_a_body_that_is_no_graph_is_a_value() -> None:
    for body in ("text", {"nodes": [1]}, {"nodes": [{"id": "a"}, {"id": "a"}]}, {"nodes": [], "edges": [1]}):
        graph = source([node("a", "http", body={"nodes": []})], [])
        (changed,) = told(graph, source([node("a", "http", body=body)], [])).nodes.changed
        assert changed.body is None
        assert all(change.path.startswith("config.body") for change in changed.changes)


def test_what_is_told_is_bounded() -> None:
    many = source([node(f"n{number}", "ask") for number in range(MOST_TOLD + 1)], [])
    found, is_cut = compare(source([], []), many)
    assert (len(found.nodes.added), is_cut) == (MOST_TOLD, True)
    found, is_cut = compare(source([], []), source(many["nodes"][:-1], []))
    assert (len(found.nodes.added), is_cut) == (MOST_TOLD, False)
    deep: Any = 1
    for _ in range(50):
        deep = {"k" * 50: deep}
    (changed,) = told(
        source([node("a", "set", v=deep)], []), source([node("a", "set", v={**deep, "b": 1})], [])
    ).nodes.changed
    assert [change.path for change in changed.changes] == ["config.v.b"]
    other: Any = 2
    for _ in range(50):
        other = {"k" * 50: other}
    (changed,) = told(source([node("a", "set", v=deep)], []), source([node("a", "set", v=other)], [])).nodes.changed
    assert all(len(change.path) <= LONGEST_PATH + 51 for change in changed.changes)


@given(JSON, JSON)
def test_any_two_values_differ_exactly_when_something_is_told(before: Any, after: Any) -> None:
    graphs = [source([node("a", "set", it=value)], []) for value in (before, after)]
    assert told(graphs[0], graphs[0]) == told(before, before) == Differences()
    assert (told(*graphs) == Differences()) is (repr_of(before) == repr_of(after))
    assert (told(before, after) == Differences()) is (repr_of(before) == repr_of(after))


def repr_of(value: Any) -> str:
    """Without the order of keys."""
    if isinstance(value, dict):
        return repr({name: repr_of(value[name]) for name in sorted(value)})
    return repr([repr_of(item) for item in value]) if isinstance(value, list) else repr(value)
