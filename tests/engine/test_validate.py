"""Validation: every fault at once, each with its place, and never an exception."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest

from app.engine import expression
from app.engine.kind import Claim, Fault, NodeKind
from app.engine.validate import Checked, GraphLimits, check
from app.engine.values import Value


class Start(NodeKind, frozen=True, kw_only=True):
    kind: ClassVar[str] = "start"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"inputs"})

    inputs: tuple[dict[str, Value], ...] = ()


class End(NodeKind, frozen=True, kw_only=True):
    kind: ClassVar[str] = "end"

    def handles(self) -> tuple[str, ...]:
        return ()


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["user", "system"]
    content: str


class Work(NodeKind, frozen=True, kw_only=True):
    kind: ClassVar[str] = "work"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"code"})
    may_retry: ClassVar[bool] = True

    text: str
    count: Annotated[int, msgspec.Meta(ge=0)] = 0
    parts: tuple[Part, ...] = ()
    code: str = ""
    values: dict[str, Value] = msgspec.field(default_factory=dict)


class Fork(NodeKind, frozen=True, kw_only=True):
    kind: ClassVar[str] = "test"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"when"})

    when: str

    def handles(self) -> tuple[str, ...]:
        return ("yes", "no")

    def faults(self, path: str) -> list[Fault]:
        try:
            expression.parse(self.when)
        except expression.ExpressionSyntaxError as error:
            return [Fault(f"{path}.when", error.message)]
        return []


class Nap(NodeKind, frozen=True, kw_only=True):
    kind: ClassVar[str] = "nap"
    waits: ClassVar[bool] = True


class Http(NodeKind, frozen=True, kw_only=True):
    kind: ClassVar[str] = "http"
    reads_secrets: ClassVar[bool] = True

    url: str


kinds: dict[str, type[NodeKind]] = {kind.kind: kind for kind in (Start, End, Work, Fork, Nap, Http)}
start = {"id": "s", "type": "start"}


def work(name: str, **config: Any) -> dict[str, Any]:
    return {"id": name, "type": "work", "config": {"text": "", **config}}


def edges(*pairs: str) -> list[Any]:
    return [{"source": pair[0], "target": pair[1]} for pair in pairs]


def verdict(nodes: Any, edges: Any = ()) -> Checked:
    return check({"nodes": nodes, "edges": list(edges)}, kinds)


def places(faults: tuple[Fault, ...]) -> list[str]:
    return [fault.path for fault in faults]


def test_a_good_graph_has_no_faults_and_keeps_presentation_out() -> None:
    nodes = [{**start, "position": {"x": 1}, "colour": "red"}, work("a", text="{{anything.at.all}} [[x]]")]
    source: Value = {"nodes": nodes, "edges": edges("sa"), "viewport": 1}
    checked = check(source, kinds)
    assert (checked.faults, checked.warnings) == ((), ())
    assert checked.graph is not None
    assert list(checked.graph.nodes) == ["s", "a"]


def test_every_fault_is_reported_at_once() -> None:
    nodes = [
        start,
        {"id": "a", "type": "work", "config": {"count": -1, "parts": [{"role": "x", "content": ""}], "colour": 1}},
        {"id": "a", "type": "what"},
        {"id": "b c", "type": "test", "config": {"when": "1 ="}},
        {"id": "item", "type": "nap", "config": {"retry": {"max_attempts": 2}}},
        {"id": "e", "type": "end", "config": {"disabled": True, "join": "some", "timeout_seconds": 0}},
        work("t", text="{{", code="{{", values={"x": ["{% if secret.x %}"], "odd key": "{{secret.k}}"}),
        7,
        {"config": []},
        {"id": 5, "type": None, "name": 3},
    ]
    links = [
        *edges("sa", "sz"),
        {"source": "s", "target": "t", "source_handle": "left", "target_handle": "top"},
        {"source": "t", "target": "s", "source_handle": "error", "id": 4},
        {"id": "x", "source": "t"},
        {"id": "x", "source": "t", "target": "s", "source_handle": 1},
        None,
    ]
    assert places(verdict(nodes, links).faults) == [
        "nodes[1].config.text",
        "nodes[1].config.count",
        "nodes[1].config.parts[0].role",
        "nodes[1].config.colour",
        "nodes[2].id",
        "nodes[2].type",
        "nodes[3].id",
        "nodes[3].config.when",
        "nodes[4].id",
        "nodes[4].config.retry",
        "nodes[5].config.join",
        "nodes[5].config.timeout_seconds",
        "nodes[5].config.disabled",
        "nodes[6].config.text",
        "nodes[6].config.values.x[0]",
        'nodes[6].config.values["odd key"]',
        "nodes[7]",
        "nodes[8].id",
        "nodes[8].config",
        "nodes[8].type",
        "nodes[9].id",
        "nodes[9].name",
        "nodes[9].type",
        "edges[1].target",
        "edges[2].target_handle",
        "edges[2].source_handle",
        "edges[3].id",
        "edges[3].source_handle",
        "edges[4].target",
        "edges[5].id",
        "edges[5].source_handle",
        "edges[6]",
    ]


@pytest.mark.parametrize("source", [None, 1, "x", [], {}, {"nodes": {}, "edges": 3}, {"nodes": None}])
def test_what_is_no_graph_is_refused(source: Value) -> None:
    checked = check(source, kinds)
    assert checked.graph is None
    assert checked.faults


def test_there_is_exactly_one_start() -> None:
    assert verdict([work("a")]).faults == (Fault("nodes", "there is no start node"),)
    assert places(verdict([start, {"id": "z", "type": "start"}]).faults) == ["nodes[1].type"]


def test_reserved_words_are_no_input_names() -> None:
    inputs = [{"name": "ok"}, {"name": "sys"}]
    assert places(verdict([{**start, "config": {"inputs": inputs}}]).faults) == ["nodes[0].config.inputs[1].name"]


def test_rich_templates_are_for_others_to_check() -> None:
    checked = verdict([start, work("a", text="{{ x | upper }}"), work("b", text="{{ x }}")], edges("sa", "ab"))
    assert checked.faults == ()
    assert checked.claims == (Claim("nodes[1].config.text", "template", "{{ x | upper }}"),)


def test_rich_templates_read_no_secrets() -> None:
    for text in "{{ secret.k | upper }}", "{{secret.k}} {{ 1 + 1 }}":
        http = {"id": "h", "type": "http", "config": {"url": text}}
        assert places(verdict([start, http], edges("sh")).faults) == ["nodes[1].config.url"]


def test_secrets_are_read_by_http_only() -> None:
    http = {"id": "h", "type": "http", "config": {"url": "{{secret.k}} [[secret]]"}}
    assert verdict([start, http], edges("sh")).faults == ()
    assert places(verdict([start, work("a", text="{{secret.k}}")], edges("sa")).faults) == ["nodes[1].config.text"]
    assert verdict([start, work("a", text="[[secret]]")], edges("sa")).faults == ()
    for text in ("{{secret}}", "{{secret.a.b}}", "{{secret[0]}}"):
        nameless = {"id": "h", "type": "http", "config": {"url": text}}
        assert places(verdict([start, nameless], edges("sh")).faults) == ["nodes[1].config.url"]
    late = {
        "id": "h",
        "type": "http",
        "config": {"url": "x", "on_error": "default", "default_output": ["{{secret.k}}"]},
    }
    assert places(verdict([start, late], edges("sh")).faults) == ["nodes[1].config.default_output[0]"]


def test_the_error_handle_needs_on_error_branch() -> None:
    by_error = [*edges("sa"), {"source": "a", "target": "b", "source_handle": "error"}]
    assert places(verdict([start, work("a"), work("b")], by_error).faults) == ["edges[1].source_handle"]
    assert verdict([start, work("a", on_error="branch"), work("b")], by_error).faults == ()


def test_all_may_not_lie_on_a_cycle() -> None:
    nodes = [start, work("a", join="all"), work("b")]
    assert places(verdict(nodes, edges("sa", "ab", "ba")).faults) == ["nodes[1].config.join"]
    assert places(verdict(nodes, edges("sa", "ab", "aa")).faults) == ["nodes[1].config.join"]
    assert verdict(nodes, edges("sa", "ab", "bb")).faults == ()


def test_warns_of_unreachable_nodes_and_tight_cycles() -> None:
    nap = {"id": "n", "type": "nap"}
    nodes = [start, work("a"), work("b"), nap, work("u")]
    checked = verdict(nodes, edges("sa", "ab", "ba", "bn", "na"))
    assert checked.faults == ()
    assert places(checked.warnings) == ["nodes[4]", "nodes[1]"]
    assert verdict(nodes[:4], edges("sa", "an", "na", "sb")).warnings == ()
    asleep = {**nap, "config": {"disabled": True}}
    assert places(verdict([start, work("a"), asleep], edges("sa", "an", "na")).warnings) == ["nodes[1]"]


def test_sizes_are_bounded() -> None:
    limits = GraphLimits(nodes=2, edges=1, source_bytes=300, depth=8)
    many: Value = {"nodes": [start, work("a"), work("b")], "edges": edges("sa", "ab")}
    assert places(check(many, kinds, limits).faults) == ["nodes", "edges"]
    large: Value = {"nodes": [start, work("a", text="x" * 300)]}
    assert places(check(large, kinds, limits).faults) == [""]
    deep: Value = 1
    for _ in range(100_000):
        deep = [deep]
    assert places(check({"nodes": deep}, kinds).faults) == [""]
    while isinstance(deep, list) and deep:  # taken apart by hand: freeing it would recurse
        deep = deep.pop()


def test_the_largest_graph_is_checked() -> None:
    nodes = [start, *(work(f"n{i}") for i in range(499))]
    links = [{"source": "s", "target": "n0"}, *({"source": f"n{i}", "target": f"n{i + 1}"} for i in range(498))]
    checked = verdict(nodes, links)
    assert (checked.faults, checked.warnings) == ((), ())
