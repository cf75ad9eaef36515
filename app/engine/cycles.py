"""What can be reached, and what lies on a cycle. Nodes are names, a graph says where each leads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

Successors = Mapping[str, Iterable[str]]


def reachable(roots: Iterable[str], successors: Successors) -> set[str]:
    """The roots and everything that can be reached from them."""
    found = set(roots)
    waiting = list(found)
    while waiting:
        for name in successors.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def knots(names: Iterable[str], successors: Successors) -> list[frozenset[str]]:
    """The largest sets of `names` in which every node reaches every other by cycles among `names` (Tarjan, no recursion)."""
    search = _Search(frozenset(names), successors)
    for name in sorted(search.names):
        if name not in search.order:
            search.visit(name)
    return search.found


class _Search:
    def __init__(self, names: frozenset[str], successors: Successors) -> None:
        self.names = names
        self.order: dict[str, int] = {}
        self.found: list[frozenset[str]] = []
        self._successors = successors
        self._lowest: dict[str, int] = {}
        self._path: list[str] = []
        self._on_path: set[str] = set()

    def visit(self, root: str) -> None:
        work = [(root, self._enter(root))]
        while work:
            name, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                self._leave(name)
                if work:
                    parent = work[-1][0]
                    self._lowest[parent] = min(self._lowest[parent], self._lowest[name])
            elif following not in self.order:
                work.append((following, self._enter(following)))
            elif following in self._on_path:
                self._lowest[name] = min(self._lowest[name], self.order[following])

    def _enter(self, name: str) -> Iterator[str]:
        self.order[name] = self._lowest[name] = len(self.order)
        self._path.append(name)
        self._on_path.add(name)
        return iter([following for following in self._successors.get(name, ()) if following in self.names])

    def _leave(self, name: str) -> None:
        if self._lowest[name] != self.order[name]:
            return
        start = self._path.index(name)
        members = self._path[start:]
        del self._path[start:]
        self._on_path.difference_update(members)
        if len(members) > 1 or name in self._successors.get(name, ()):
            self.found.append(frozenset(members))
