"""Any valid graph, small enough to shrink: every kind, parallel branches, joins, cycles, every way to fail."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hypothesis import settings, strategies as st

from app.engine.kind import NodeKind
from app.engine.validate import check
from tests.engine.graphs import edge, node, source
from tests.engine.probe import KINDS

LONG = os.environ.get("ANTIPHON_LONG_TESTS") == "1"  # ten times as many examples


def examples(number: int, **more: Any) -> settings:
    """Settings of a property test."""
    return settings(max_examples=number * (10 if LONG else 1), deadline=None, **more)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([2**63, -(2**70), 2**64 - 1, 10**400, 0.5, -0.0, 1e308])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

_references = st.sampled_from(
    ["{{start.a?}}", "[[v?]]", "x [[v?]] {{n1?}}", "{{sys.turn_number}}", "{{nodes}}", "plain"]
)
_texts = st.sampled_from(["hello", "{{start.a?}}", "[[v?]]", "{{sys.started_at}}", "{{nobody}}"])
_values = _references | st.integers(0, 2) | st.just({"deep": ["{{vars}}"]})
_expressions = st.sampled_from(["[[v?]] == 1", "is_present(vars.v)", "nodes['n1'].text? == 'x'", "true", "[[v?]] > 0"])
_choices = st.sampled_from([(), ("yes", "no")])


@st.composite
def _asks(draw: st.DrawFn) -> dict[str, Any]:
    config: dict[str, Any] = {"prompt": draw(_references), "choices": list(draw(_choices))}
    if draw(st.booleans()):
        config["output"] = "v"
    if config["choices"] and draw(st.booleans()):
        config["branch_on_choice"] = True
    if draw(st.booleans()):
        config |= {"expires_in_seconds": draw(st.sampled_from([10, 100])), "on_expiry": draw(_on_expiry)}
    return config


@st.composite
def _approvals(draw: st.DrawFn) -> dict[str, Any]:
    """With notices that can and cannot be made."""
    approvers = draw(st.sampled_from([None, ["u", "ann", "bob"]]))
    config: dict[str, Any] = {"message": draw(_texts), "required_approvals": draw(st.sampled_from([1, 2]))}
    config |= {} if approvers is None else {"approvers": approvers, "forbid_self_approval": draw(st.booleans())}
    if draw(st.booleans()):
        config["fields"] = [{"name": "n", "type": "number", "required": draw(st.booleans()), "default": "{{start.a?}}"}]
    if draw(st.booleans()):
        config["notify"] = {"url": draw(_texts), "method": "POST", "body": draw(_notices)}
    if draw(st.booleans()):
        config |= {"expires_in_seconds": draw(st.sampled_from([10, 100])), "on_expiry": draw(_on_expiry)}
    return config


@st.composite
def _tools(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some of those that models call (`outside.CALLED`)."""
    request = {"url": "https://x.example/{{args.q}}", "headers": {"T": draw(_secrets)}}
    shop = {"url": draw(_texts), "method": "POST", "body": "{{args}}"}
    tools: list[dict[str, Any]] = [
        {"name": "look", "type": "http", "request": request},
        {"name": "shy", "type": "code", "code": "output = q", "needs_approval": True},
        {"name": "pay", "type": "http", "request": shop, "needs_approval": True},
        {"name": "add", "type": "code", "code": "output = 1", "timeout_seconds": 2},
        {"name": "srv", "type": "mcp", "url": draw(_texts), "needs_approval": draw(st.sampled_from([False, ["drop"]]))},
        {"name": "wiki", "type": "mcp", "url": "https://wiki.example", "allow": ["find"]},
        {"name": "web", "type": "web_search", "needs_approval": draw(st.booleans())},
        {"name": "book", "type": "search", "dataset": draw(_texts), "limit": 50},
    ]
    return [tool for tool in tools[: draw(st.sampled_from([8, 4, 6, 0]))] if draw(st.integers(0, 3)) < 3]


@st.composite
def _prompted(draw: st.DrawFn, *, agent: bool = False) -> dict[str, Any]:
    config: dict[str, Any] = {"prompt": draw(st.just("hello") | _texts | _rich), "say": draw(st.booleans())}
    if draw(st.booleans()):
        config |= {"schema": {"type": "object"}, "repair_attempts": draw(st.integers(0, 2))}
    if draw(st.booleans()):
        config |= {"system": draw(_texts), "memory": {"window": 2}}
    if draw(st.booleans()):
        config["retry"] = draw(_retries)
    if agent:
        seconds = draw(st.sampled_from([0, 10, 259_200]))
        config |= {"tools": draw(_tools()), "approval_expires_in_seconds": seconds}
        config |= {"max_iterations": draw(st.sampled_from([2, 3, 10]))}
        config |= {"max_total_tokens": 12} if draw(st.integers(0, 4)) == 4 else {}
        config.pop("schema" if draw(st.booleans()) else "", None)
    return config


@st.composite
def _reading(draw: st.DrawFn, **parts: Any) -> dict[str, Any]:
    """Of the kinds that ask a model about a text."""
    config: dict[str, Any] = {"input": draw(_texts | _rich), "repair_attempts": draw(st.integers(0, 2)), **parts}
    config |= {"instructions": draw(_texts)} if draw(st.booleans()) else {}
    return config | ({"memory": {"window": 2}} if draw(st.booleans()) else {})


_secrets = st.sampled_from(["plain", "{{secret.a}}", "[[v?]] {{secret.b}}"])
_rich = st.sampled_from(["{% if start %}yes{% endif %}", "{{ start|upper }}", "{# nothing #}{{v}}"])
_notices = st.sampled_from(["{{pause.links}}", "{{secret.a}} {{pause.id}} {{pause.links[0].url}}", {"v": "[[v?]]"}])
_on_expiry = st.sampled_from(["fail", "branch", "branch"])
_retries = st.builds(
    lambda attempts, delay, backoff: {"max_attempts": attempts, "delay_seconds": delay, "backoff": backoff},
    st.sampled_from([3, 2, 1]),
    st.sampled_from([0, 10]),
    st.sampled_from([1, 2]),
)
_configs: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "message": st.builds(lambda text: {"text": text}, _texts),
    "ask": _asks(),
    "approval": _approvals(),
    "condition": st.builds(lambda text: {"cases": [{"handle": "yes", "expression": text}]}, _expressions),
    "set": st.builds(lambda value: {"values": {"v": value}}, _values),
    "show_state": st.just({}),
    "no_op": st.fixed_dictionaries(
        {},
        optional={
            "delay_seconds": st.sampled_from([0, 5, 60]),
            "simulate_failure": st.sampled_from([False, 1, 2, True]),
            "output": _values,
            "retry": _retries,
        },
    ),
    "wait": st.builds(lambda seconds: {"seconds": seconds}, st.sampled_from([0, 30, 60])),
    "end": st.builds(lambda value: {"outputs": {"result": value}}, _values),
    "llm": _prompted(),
    "agent": _prompted(agent=True),
    "classifier": _reading(classes=[{"id": "yes"}, {"id": "no", "description": "{{start.a?}}"}]),
    "extractor": _reading(fields=[{"name": "a", "required": True}, {"name": "b", "options": ["{{nobody?}}", "x"]}]),
    "code": st.fixed_dictionaries({"code": st.just("output = 1"), "inputs": st.fixed_dictionaries({"a": _values})}),
    "template": st.builds(lambda text: {"template": text}, _texts | _rich),
    "http": st.fixed_dictionaries({"url": _texts, "body": _values}, optional={"retry": _retries}),
    "web_search": st.fixed_dictionaries({"query": _texts}, optional={"limit": st.just(20), "retry": _retries}),
    "probe": st.fixed_dictionaries({"once": st.booleans(), "request": _values, "retry": _retries}),
}
_catches: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"on_error": "branch"},
        {"on_error": "default", "default_output": "d {{start}}"},
        {"on_error": "default", "default_output": {"x": "{{nobody?}}"}},
        {},
        {},
        {"disabled": True},
    ]
)


@st.composite
def graphs(
    draw: st.DrawFn, catalogue: Mapping[str, type[NodeKind]] = KINDS, first: str | None = None
) -> dict[str, Any]:
    """Valid: what makes a fault when drawn freely is put right. Every node can be reached; a few edges more make joins,
    branches and cycles. `first`: the kind of the node behind the start."""
    nodes = [node("start", "start")]
    kinds = [kind for kind in _kinds if kind in catalogue]
    for index in range(draw(st.integers(1, 8))):
        kind = first if first is not None and index == 0 else draw(st.sampled_from(kinds))
        config = {**draw(_configs[kind]), **draw(_catches), "join": draw(st.sampled_from(["any", "any", "all"]))}
        config |= {"disabled": False} if kind == first else {}
        nodes.append(node(f"n{index}", kind, **config))
    _put_right(nodes, [])
    bare = check(source(nodes, []), KINDS).graph
    assert bare is not None
    handles = {one.id: [*one.kind.handles(), *_error[one.on_error]] for one in bare.nodes.values()}
    edges = []
    for index, one in enumerate(nodes[1:], start=1):
        behind = draw(st.sampled_from([before["id"] for before in nodes[:index] if handles[before["id"]]]))
        edges.append(edge(behind, one["id"], draw(st.sampled_from(handles[behind]))))
    for _ in range(draw(st.sampled_from([0, 1, 2, 3]))):
        edges.append(_another(draw, nodes, handles, edges))
    _put_right(nodes, edges)
    return source(nodes, edges)


def _another(
    draw: st.DrawFn, nodes: list[dict[str, Any]], handles: dict[str, list[str]], edges: list[dict[str, Any]]
) -> dict[str, Any]:
    """Forward from anywhere; backward mostly where nothing leaves yet, for a cycle that forks has no end."""
    outlets = [(index, handle) for index, one in enumerate(nodes) for handle in handles[one["id"]]]
    index, handle = draw(st.sampled_from(outlets))
    taken = any(one["source"] == nodes[index]["id"] and one["source_handle"] == handle for one in edges)
    first = index + 1 if taken and index + 1 < len(nodes) and draw(st.integers(0, 5)) else 0
    return edge(nodes[index]["id"], draw(st.sampled_from(nodes[first:]))["id"], handle)


_kinds = ["ask", "ask", "ask", "approval", "approval", "probe", "probe", "probe", "agent", "agent", "agent", *_configs]
_error = {"branch": ["error"], "default": [], "fail": []}


def _put_right(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> None:
    """Takes away the settings that are faults here: `all` on a cycle, a default or a way through without `out`."""
    for fault in check(source(nodes, edges), KINDS).faults:
        place, _, setting = fault.path.rpartition(".")
        del nodes[int(place.removeprefix("nodes[").partition("]")[0])]["config"][setting]
