"""What differs between two graphs as they were saved: by node id and by edge, in bodies too."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeGuard

import msgspec
from msgspec import UNSET, UnsetType

from app.engine.misfits import place_of
from app.engine.values import Value

MOST_TOLD: Final = 1_000  # changes, added and removed things
LONGEST_PATH: Final = 500  # characters; what lies deeper is told as a whole

Part = dict[str, Any]  # a node or an edge, as written


class Change(msgspec.Struct, frozen=True):
    """One place. UNSET: there was, or is, nothing."""

    path: str
    before: Value | UnsetType = UNSET
    after: Value | UnsetType = UNSET


class NodeChanged(msgspec.Struct, frozen=True):
    """`body`: what differs within its body, when both have one."""

    id: str
    changes: tuple[Change, ...]
    body: Differences | None = None


class EdgeChanged(msgspec.Struct, frozen=True):
    """`edge` as it is now."""

    edge: Part
    changes: tuple[Change, ...]


class NodeDifferences(msgspec.Struct, frozen=True):
    added: tuple[Part, ...] = ()
    removed: tuple[Part, ...] = ()
    changed: tuple[NodeChanged, ...] = ()


class EdgeDifferences(msgspec.Struct, frozen=True):
    """Edges of one id are one edge; those without one are told apart by their ends."""

    added: tuple[Part, ...] = ()
    removed: tuple[Part, ...] = ()
    changed: tuple[EdgeChanged, ...] = ()


class Differences(msgspec.Struct, frozen=True):
    """`changes`: of what is neither a node nor an edge."""

    nodes: NodeDifferences = NodeDifferences()
    edges: EdgeDifferences = EdgeDifferences()
    changes: tuple[Change, ...] = ()


def compare(before: Value, after: Value) -> tuple[Differences, bool]:
    """Of two graphs, or of anything else; and whether there is more than is told. No value is told twice, so that the
    size of the whole is bounded by theirs."""
    comparing = _Comparing()
    found = comparing.graphs(before, after)
    return Differences(changes=comparing.values(before, after)) if found is None else found, comparing.is_cut


class _Comparing:
    def __init__(self) -> None:
        self._left = MOST_TOLD
        self.is_cut = False

    def graphs(self, before: Value, after: Value) -> Differences | None:
        """None: one of them is no graph."""
        if not (_is_graph(before) and _is_graph(after)):
            return None
        rests = [{name: graph[name] for name in graph if name not in ("nodes", "edges")} for graph in (before, after)]
        return Differences(
            self._nodes(before["nodes"], after["nodes"]),
            self._edges(before.get("edges") or [], after.get("edges") or []),
            self.values(*rests),
        )

    def _nodes(self, before: list[Part], after: list[Part]) -> NodeDifferences:
        old, new = ({node["id"]: node for node in nodes} for nodes in (before, after))
        changed = [self._node(node, new[name]) for name, node in old.items() if name in new]
        return NodeDifferences(
            self._told(node for name, node in new.items() if name not in old),
            self._told(node for name, node in old.items() if name not in new),
            tuple(node for node in changed if node.changes or node.body is not None),
        )

    def _node(self, old: Part, new: Part) -> NodeChanged:
        bodies = [_config_of(node).get("body") for node in (old, new)]
        body = self.graphs(*bodies)
        if body is None:
            return NodeChanged(old["id"], self.values(old, new))
        bare = [{**node, "config": {**node["config"], "body": None}} for node in (old, new)]
        return NodeChanged(old["id"], self.values(*bare), None if body == Differences() else body)

    def _edges(self, before: list[Part], after: list[Part]) -> EdgeDifferences:
        pairs, before, after = _paired(before, after, _own_id)
        others, before, after = _paired(before, after, _ends)
        changed = [EdgeChanged(new, self.values(old, new)) for old, new in [*pairs, *others]]
        told = tuple(edge for edge in changed if edge.changes)
        return EdgeDifferences(self._told(after), self._told(before), told)

    # ---- bounded

    def _told(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        return tuple(part for part in parts if self._has_room())

    def _has_room(self) -> bool:
        self.is_cut = self.is_cut or not self._left
        self._left -= not self.is_cut
        return not self.is_cut

    def values(self, before: Value, after: Value) -> tuple[Change, ...]:
        return tuple(change for change in _changes(before, after, "") if self._has_room())


def _changes(before: Value | UnsetType, after: Value | UnsetType, path: str) -> Iterator[Change]:
    if len(path) <= LONGEST_PATH:
        if isinstance(before, dict) and isinstance(after, dict):
            for name in {**before, **after}:
                place = place_of(path, name) if path else place_of("", name).removeprefix(".")
                yield from _changes(before.get(name, UNSET), after.get(name, UNSET), place)
            return
        if isinstance(before, list) and isinstance(after, list):
            for index in range(max(len(before), len(after))):
                old, new = (found[index] if index < len(found) else UNSET for found in (before, after))
                yield from _changes(old, new, f"{path}[{index}]")
            return
    if not _is_same(before, after):
        yield Change(path, before, after)


def _is_same(before: Value | UnsetType, after: Value | UnsetType) -> bool:
    """True is not 1, and the order of keys is nothing."""
    if type(before) is not type(after):
        return False
    if isinstance(before, dict | list):
        return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    return before == after


def _is_graph(value: Value) -> TypeGuard[dict[str, Any]]:
    """A list of nodes with ids of their own, and of edges: anything else is compared as it is."""
    if not isinstance(value, dict) or not isinstance(value.get("nodes"), list):
        return False
    nodes, edges = value["nodes"], value.get("edges") or []
    if not isinstance(edges, list) or not all(isinstance(part, dict) for part in [*nodes, *edges]):
        return False
    ids = [node.get("id") for node in nodes]
    return all(isinstance(name, str) for name in ids) and len(set(ids)) == len(ids)


def _config_of(node: Part) -> Part:
    config = node.get("config")
    return config if isinstance(config, dict) else {}


def _own_id(edge: Part) -> str | None:
    name = edge.get("id")
    return name if isinstance(name, str) and name else None


def _ends(edge: Part) -> str:
    handles = edge.get("source_handle") or "out", edge.get("target_handle") or "in"
    return json.dumps([edge.get("source"), handles[0], edge.get("target"), handles[1]], sort_keys=True)


def _paired(
    before: list[Part], after: list[Part], key_of: Callable[[Part], str | None]
) -> tuple[list[tuple[Part, Part]], list[Part], list[Part]]:
    """Those of one key, in order; and those that found no partner."""
    waiting: dict[str, list[Part]] = defaultdict(list)
    alone: list[Part] = []
    for edge in before:
        (alone if (key := key_of(edge)) is None else waiting[key]).append(edge)
    pairs: list[tuple[Part, Part]] = []
    unmatched: list[Part] = []
    for edge in after:
        partners = waiting.get(key_of(edge) or "")
        if partners:
            pairs.append((partners.pop(0), edge))
        else:
            unmatched.append(edge)
    return pairs, [*alone, *(edge for edges in waiting.values() for edge in edges)], unmatched
