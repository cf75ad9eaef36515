"""From any JSON to a graph, or to every fault in it with its place. Never an exception."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from app.engine.cycles import knots, reachable
from app.engine.graph import Edge, Graph, Node, build
from app.engine.graph_size import GraphLimits as GraphLimits, check_size, default_limits
from app.engine.kind import Claim, Fault, NodeKind
from app.engine.path import reserved_words
from app.engine.validate_config import check_config
from app.engine.values import Value

max_reported: Final = 1_000  # of faults: a hostile source shall not make a hostile answer
_id = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Checked(msgspec.Struct, frozen=True):
    """`graph` is None when there are faults. Paths are places in the source. `claims`: what others have to check, faults or
    not."""

    graph: Graph | None
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...] = ()
    claims: tuple[Claim, ...] = ()


def check(source: Value, catalogue: Mapping[str, type[NodeKind]], limits: GraphLimits = default_limits) -> Checked:
    """Compiles a graph. Over a size limit nothing else is looked at."""
    faults = tuple(check_size(source, limits))
    if faults or not isinstance(source, dict):
        return Checked(None, faults or (Fault("", "a graph must be an object with nodes and edges"),))
    return _Check(catalogue, limits.levels).run(source)


class _Check:
    """One run over one source. Nodes with bad ids are checked too, but nothing can lead to them."""

    def __init__(self, catalogue: Mapping[str, type[NodeKind]], levels: int, *, is_body: bool = False) -> None:
        self._catalogue = catalogue
        self._levels = levels  # of bodies that may still lie in it
        self._is_body = is_body
        self._faults: dict[Fault, None] = {}  # in order, each once
        self._places: dict[str, int] = {}  # index of the first node with that id
        self._types: dict[str, object] = {}  # of the nodes, by id, as written
        self._nodes: dict[str, Node] = {}  # the usable ones
        self._configs: dict[str, Value] = {}
        self._edges: list[Edge] = []
        self._claims: list[Claim] = []
        self._warned: list[Fault] = []  # about bodies

    def run(self, source: dict[str, Any]) -> Checked:
        nodes, edges = self._list(source, "nodes"), self._list(source, "edges")
        for index, node in enumerate(nodes):
            self._check_node(node, index)
        self._check_starts(nodes, "nodes" in source)
        edge_ids = _edge_ids(edges)
        for index, edge in enumerate(edges):
            self._check_edge(edge, index, edge_ids[index])
        successors: dict[str, list[str]] = {}
        for found in self._edges:
            successors.setdefault(found.source, []).append(found.target)
        self._check_joins(successors)
        warnings = (*self._warned, *self._warnings(successors))
        claims = tuple(self._claims)
        if self._faults:
            return Checked(None, tuple(self._faults)[:max_reported], warnings, claims)
        return Checked(build(self._nodes.values(), self._edges, self._configs), (), warnings, claims)

    def _fault(self, path: str, message: str) -> None:
        self._faults[Fault(path, message)] = None

    def _list(self, source: dict[str, Any], name: str) -> list[Any]:
        found = source.get(name, [])
        if isinstance(found, list):
            return found
        self._fault(name, "must be a list")
        return []

    def _text(self, value: Any, path: str) -> str | None:
        if isinstance(value, str):
            return value
        self._fault(path, "must be a text")
        return None

    def _check_node(self, source: Any, index: int) -> None:
        path = f"nodes[{index}]"
        if not isinstance(source, dict):
            self._fault(path, "must be an object")
            return
        node_id = self._check_id(source, index)
        name = source.get("name")
        if name is not None:
            self._text(name, f"{path}.name")
        config = source.get("config")
        config = {} if config is None else config
        if not isinstance(config, dict):
            self._fault(f"{path}.config", "must be an object")
        kind = self._kind(source, path)
        if node_id is not None:
            self._types[node_id] = source.get("type")
        if kind is None or not isinstance(config, dict):
            return
        checked = check_config(config, kind, f"{path}.config")
        for fault in checked.faults:
            self._fault(fault.path, fault.message)
        if kind.kind == "start":
            self._check_input_names(config, f"{path}.config")
        self._claims += checked.claims
        body = self._check_body(config.get("body"), f"{path}.config.body") if kind.holds_body else None
        if checked.kind is not None and node_id is not None and (body is not None or not kind.holds_body):
            shown = name if isinstance(name, str) and name else node_id
            self._nodes[node_id] = Node(
                id=node_id,
                type=kind.kind,
                name=shown,
                kind=checked.kind,
                index=index,
                rich=tuple({claim.value: None for claim in checked.claims if claim.about == "template"}),
                body=body,
                **checked.common,
            )
            self._configs[node_id] = config

    def _check_body(self, source: Any, path: str) -> Graph | None:
        """The graph that a node holds, checked like any other."""
        if not isinstance(source, dict):
            return None  # a fault of its field
        if not self._levels:
            self._fault(path, "bodies lie in each other too deeply")
            return None
        checked = _Check(self._catalogue, self._levels - 1, is_body=True).run(source)
        for fault in checked.faults:
            self._fault(_inside(path, fault.path), fault.message)
        self._warned += [Fault(_inside(path, fault.path), fault.message) for fault in checked.warnings]
        self._claims += [Claim(_inside(path, claim.path), claim.about, claim.value) for claim in checked.claims]
        return checked.graph

    def _check_id(self, source: dict[str, Any], index: int) -> str | None:
        """The id, unless it is bad or another node's."""
        path = f"nodes[{index}].id"
        if "id" not in source:
            self._fault(path, "is required")
            return None
        node_id = self._text(source["id"], path)
        if node_id is None:
            return None
        if not _id.fullmatch(node_id):
            self._fault(path, "an id is 1 to 64 ASCII letters, digits, _ or -")
        elif node_id in reserved_words:
            self._fault(path, f"{node_id} is a reserved word")
        elif node_id in self._places:
            self._fault(path, f"the id {node_id} is taken by nodes[{self._places[node_id]}]")
            return None
        self._places.setdefault(node_id, index)
        return node_id

    def _kind(self, source: dict[str, Any], path: str) -> type[NodeKind] | None:
        if "type" not in source:
            self._fault(f"{path}.type", "is required")
            return None
        name = self._text(source["type"], f"{path}.type")
        if name is None:
            return None
        if name not in self._catalogue:
            self._fault(f"{path}.type", f"there is no node type {name!r}")
        return self._catalogue.get(name)

    def _check_input_names(self, config: dict[str, Any], path: str) -> None:
        inputs = config.get("inputs")
        if self._is_body and inputs:
            self._fault(f"{path}.inputs", "the start of a body has no inputs: it reads the values around it")
        for index, declared in enumerate(inputs if isinstance(inputs, list) else ()):
            name = declared.get("name") if isinstance(declared, dict) else None
            if isinstance(name, str) and name in reserved_words:
                self._fault(f"{path}.inputs[{index}].name", f"{name} is a reserved word")

    def _check_starts(self, nodes: list[Any], is_given: bool) -> None:
        if not is_given:
            self._fault("nodes", "is required")
        starts = [i for i, node in enumerate(nodes) if isinstance(node, dict) and node.get("type") == "start"]
        if not starts:
            self._fault("nodes", "there is no start node")
        for index in starts[1:]:
            self._fault(f"nodes[{index}].type", f"there is a start already: nodes[{starts[0]}]")

    def _check_edge(self, source: Any, index: int, edge_id: str) -> None:
        path = f"edges[{index}]"
        if not isinstance(source, dict):
            self._fault(path, "must be an object")
            return
        if source.get("id") is not None and (given := self._text(source["id"], f"{path}.id")) is not None:
            if given != edge_id:
                self._fault(f"{path}.id", f"the id {given} is taken by another edge" if given else "must not be empty")
        ends = self._end(source, "source", path), self._end(source, "target", path)
        handles = self._handle(source, "source_handle", "out", path), self._handle(source, "target_handle", "in", path)
        if handles[1] not in (None, "in"):
            self._fault(f"{path}.target_handle", f"unknown handle {handles[1]!r}; every node is entered by `in`")
        if ends[0] is not None and handles[0] is not None:
            self._check_outlet(ends[0], handles[0], f"{path}.source_handle")
        if ends[0] is not None and ends[1] is not None and handles[0] is not None:
            self._edges.append(Edge(id=edge_id, source=ends[0], target=ends[1], source_handle=handles[0]))

    def _end(self, source: dict[str, Any], name: str, path: str) -> str | None:
        if name not in source:
            self._fault(f"{path}.{name}", "is required")
            return None
        node_id = self._text(source[name], f"{path}.{name}")
        if node_id is not None and node_id not in self._places:
            self._fault(f"{path}.{name}", f"there is no node {node_id!r}")
            return None
        return node_id

    def _handle(self, source: dict[str, Any], name: str, default: str, path: str) -> str | None:
        given = source.get(name)
        return default if given is None else self._text(given, f"{path}.{name}")

    def _check_outlet(self, node_id: str, handle: str, path: str) -> None:
        node = self._nodes.get(node_id)
        if node is None:
            return  # its config is bad: nobody knows its handles
        handles = list(node.kind.handles())
        if handle == "error":
            if node.on_error != "branch":
                self._fault(path, f"{node_id} leaves by `error` only with on_error = branch")
        elif handle not in handles:
            known = ", ".join(handles) if handles else "none"
            self._fault(path, f"unknown handle {handle!r}; {node_id} has {known}")

    def _check_joins(self, successors: Mapping[str, list[str]]) -> None:
        on_cycles = frozenset().union(*knots(self._places, successors))
        for node in self._nodes.values():
            if node.join == "all" and node.id in on_cycles:
                self._fault(f"nodes[{node.index}].config.join", "a node on a cycle cannot join all")

    def _warnings(self, successors: Mapping[str, list[str]]) -> Iterator[Fault]:
        starts = [node_id for node_id, name in self._types.items() if name == "start"]
        if starts:
            reached = reachable(starts, successors)
            for node_id, index in self._places.items():
                if node_id not in reached:
                    yield Fault(f"nodes[{index}]", f"{node_id} cannot be reached from the start")
        restless = [node_id for node_id in self._places if not self._waits(node_id)]
        for knot in sorted(knots(restless, successors), key=lambda knot: min(self._places[name] for name in knot)):
            members = sorted(knot, key=self._places.__getitem__)
            message = f"a cycle without a node that waits: {', '.join(members)}"
            yield Fault(f"nodes[{self._places[members[0]]}]", message)

    def _waits(self, node_id: str) -> bool:
        kind = self._types.get(node_id)
        known = self._catalogue.get(kind) if isinstance(kind, str) else None
        node = self._nodes.get(node_id)
        if node is not None:
            return _slows(node)
        return known is not None and known.waits


def _slows(node: Node) -> bool:
    """Does it, or what lies in its body, wait for something?"""
    inner = node.body.nodes.values() if node.body is not None else ()
    return not node.disabled and (node.kind.slows_a_cycle() or any(_slows(one) for one in inner))


def _inside(path: str, place: str) -> str:
    """A place within a body."""
    return f"{path}.{place}" if place else path


def _edge_ids(edges: list[Any]) -> list[str]:
    """Every edge's id: its own, unless it has none or an earlier edge has it; then `e<index>`, made unique by `_`."""
    given = [edge.get("id") if isinstance(edge, dict) else None for edge in edges]
    own: dict[str, int] = {}
    for index, name in enumerate(given):
        if isinstance(name, str) and name:
            own.setdefault(name, index)
    ids: list[str] = []
    taken = set(own)
    for index, name in enumerate(given):
        if not (isinstance(name, str) and own.get(name) == index):
            name = f"e{index}"
            while name in taken:
                name += "_"
            taken.add(name)
        ids.append(name)
    return ids
