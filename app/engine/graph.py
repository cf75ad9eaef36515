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
    rendered outside, each once; `body`: the graph that it holds, of some kinds."""

    id: str
    type: str
    name: str
    kind: NodeKind
    index: int
    rich: tuple[str, ...] = ()
    body: Graph | None = None


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    source: str
    target: str
    source_handle: str = "out"
    target_handle: str = "in"


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """`hash` is of what is executed: positions and unknown presentation keys do not change it; `remembers`: a node may read
    the transcript; `children`: the workflows that its nodes run, those in bodies included, each with its version (None: the
    active one). Made by `build`."""

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]
    start: Node
    hash: str
    by_outlet: dict[tuple[str, str], tuple[Edge, ...]]
    by_target: dict[str, tuple[Edge, ...]]
    ancestors_of_joins: dict[str, frozenset[str]]
    remembers: bool = False
    children: tuple[tuple[str, int | None], ...] = ()

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
    bodies = [node.body for node in by_id.values() if node.body is not None]
    children = [child for node in by_id.values() for child in node.kind.children()]
    children += [child for body in bodies for child in body.children]
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
        children=tuple(dict.fromkeys(children)),
        ancestors_of_joins={node.id: _ancestors(node.id, by_target) for node in by_id.values() if node.join == "all"},
    )


def graph_key(workflow_id: str, version: int) -> str:
    """The name of a workflow's version among a run's graphs."""
    return f"{workflow_id}@{version}"


def graph_at(graphs: Mapping[str, Graph], key: str) -> Graph | None:
    """The graph of a frame: `workflow@version`, and after each `/` a node whose body it is. None: there is none."""
    first, *holders = key.split("/")
    graph = graphs.get(first)
    for node_id in holders:
        node = None if graph is None else graph.nodes.get(node_id)
        graph = None if node is None else node.body
    return graph


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
        "nodes": [{"id": n.id, "type": n.type, "name": n.name, "config": _config(n, configs)} for n in nodes],
        "edges": [msgspec.to_builtins(edge) for edge in edges],
    }
    text = json.dumps(executable, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _config(node: Node, configs: Mapping[str, Value]) -> Value:
    config = configs.get(node.id, {})
    return {**config, "body": node.body.hash} if node.body is not None and isinstance(config, dict) else config
