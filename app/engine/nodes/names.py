"""Names that authors give to parts of a node: they say what is meant, so that they are distinct and never empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from app.engine import template
from app.engine.kind import Fault

TAKEN_HANDLES: Final = frozenset({"out", "error", "else", "expired"})


def repeated(names: Sequence[str], place: str, below: str, needed: str) -> Iterator[Fault]:
    """Names that are empty, or the same as one before. The fault of the n-th is at `place[n]` and `below`."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not name:
            yield Fault(f"{place}[{index}]{below}", f"{needed} that are not empty")
        elif name in seen:
            yield Fault(f"{place}[{index}]{below}", f"{name!r} is there twice")
        seen.add(name)


def handle_faults(ids: Sequence[str], place: str, needed: str) -> Iterator[Fault]:
    """Of ids that are handles besides, in a list of objects at `place`."""
    for index, name in enumerate(ids):
        if name in TAKEN_HANDLES:
            yield Fault(f"{place}[{index}].id", f"{name!r} is the name of another handle")
        if not template.is_literal(name):
            yield Fault(f"{place}[{index}].id", "must be no template")
    yield from repeated(ids, place, ".id", needed)
