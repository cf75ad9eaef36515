"""A compiled graph: what `validate.check` makes of a source that has no faults. Frozen; safe to share between runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.engine.kind import NodeKind
from app.engine.values import Value


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often one effect is tried, and how long is waited in between (times `backoff` each time)."""

    max_attempts: Annotated[int, Meta(ge=1, le=10)] = 1
    delay_seconds: Annotated[float, Meta(ge=0, le=300)] = 0
    backoff: Annotated[float, Meta(ge=1, le=5)] = 1


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What every node's config may hold besides its kind's own fields. `timeout_seconds` None: no bound of its own."""

    join: Literal["any", "all"] = "any"
    retry: Retry | None = None
    timeout_seconds: Annotated[float, Meta(gt=0, le=31_536_000)] | None = None
    on_error: Literal["fail", "default", "branch"] = "fail"
    default_output: Value = None
    disabled: bool = False


class Node(NodeConfig, frozen=True, kw_only=True):
    """`index` is its place in the source. `kind` is the configured kind, `type` its name; `rich`: its texts that are
    rendered outside, each once."""

    id: str
    type: str
    name: str
    kind: NodeKind
    index: int
    rich: tuple[str, ...] = ()


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    source: str
    target: str
    source_handle: str = "out"
    target_handle: str = "in"


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """`hash` is of what is executed: positions and unknown presentation keys do not change it; `remembers`: a node may read
    the transcript. Made by `build`."""

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]
    start: Node
    hash: str
    by_outlet: dict[tuple[str, str], tuple[Edge, ...]]
    by_target: dict[str, tuple[Edge, ...]]
    ancestors_of_joins: dict[str, frozenset[str]]
    remembers: bool = False

    def leaving(self, node_id: str, handle: str = "out") -> tuple[Edge, ...]:
        """In the order of the source."""
        return self.by_outlet.get((node_id, handle), ())

    def incoming(self, node_id: str) -> tuple[Edge, ...]:
        return self.by_target.get(node_id, ())

    def ancestors(self, node_id: str) -> frozenset[str]:
        """Every node from which `node_id` can be reached; itself only when it lies on a cycle."""
        known = self.ancestors_of_joins.get(node_id)
        return known if known is not None else _ancestors(node_id, self.by_target)


def build(nodes: Iterable[Node], edges: Iterable[Edge], configs: Mapping[str, Value]) -> Graph:
    """`nodes` are faultless and exactly one is the start; `configs` are the configs as written, by node id."""
    by_id = {node.id: node for node in nodes}
    edges = tuple(edges)
    by_outlet: dict[tuple[str, str], tuple[Edge, ...]] = {}
    by_target: dict[str, tuple[Edge, ...]] = {}
    for edge in edges:
        outlet = (edge.source, edge.source_handle)
        by_outlet[outlet] = (*by_outlet.get(outlet, ()), edge)
        by_target[edge.target] = (*by_target.get(edge.target, ()), edge)
    return Graph(
        nodes=by_id,
        edges=edges,
        start=next(node for node in by_id.values() if node.type == "start"),
        hash=_hash(by_id.values(), edges, configs),
        by_outlet=by_outlet,
        by_target=by_target,
        remembers=any(node.kind.remembers() for node in by_id.values()),
        ancestors_of_joins={node.id: _ancestors(node.id, by_target) for node in by_id.values() if node.join == "all"},
    )


def _ancestors(node_id: str, by_target: Mapping[str, tuple[Edge, ...]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [node_id]
    while waiting:
        for edge in by_target.get(waiting.pop(), ()):
            if edge.source not in found:
                found.add(edge.source)
                waiting.append(edge.source)
    return frozenset(found)


def _hash(nodes: Iterable[Node], edges: Iterable[Edge], configs: Mapping[str, Value]) -> str:
    executable = {
        "nodes": [{"id": n.id, "type": n.type, "name": n.name, "config": configs.get(n.id, {})} for n in nodes],
        "edges": [msgspec.to_builtins(edge) for edge in edges],
    }
    text = json.dumps(executable, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
