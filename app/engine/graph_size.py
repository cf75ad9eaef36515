"""How large a graph may be, its bodies included. Looked at before anything else is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from app.engine.kind import Fault
from app.engine.values import Value, is_deeper, to_json


class GraphLimits(msgspec.Struct, frozen=True, kw_only=True):
    """`nodes` and `edges` with those in bodies; `source_bytes` is of the compact JSON; `depth` of the JSON; `levels` of bodies
    within bodies."""

    nodes: int = 500
    edges: int = 2_000
    source_bytes: int = 512 * 1024
    depth: int = 100
    levels: int = 5


default_limits: Final = GraphLimits()


def check_size(source: Value, limits: GraphLimits) -> Iterator[Fault]:
    """What is too large in it."""
    if is_deeper(source, limits.depth):
        yield Fault("", f"the graph is nested deeper than {limits.depth} levels")
        return
    try:
        size = len(to_json(source))
    except ValueError:
        yield Fault("", "the graph holds something that is no JSON")
        return
    if size > limits.source_bytes:
        yield Fault("", f"the graph has {size} bytes, at most {limits.source_bytes} are allowed")
    for name, most in (("nodes", limits.nodes), ("edges", limits.edges)):
        found = _count(source, name)
        if found > most:
            yield Fault(name, f"there are {found} {name}, at most {most} are allowed")


def _count(source: Any, name: str) -> int:
    """In the graph and in the bodies of its nodes. Depth is bounded before."""
    if not isinstance(source, dict):
        return 0
    nodes, counted = source.get("nodes"), source.get(name)
    configs = [node.get("config") for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []
    inside = sum(_count(config.get("body"), name) for config in configs if isinstance(config, dict))
    return inside + (len(counted) if isinstance(counted, list) else 0)
