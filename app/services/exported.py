"""Workflows as they leave one workspace and come into another: a graph, the workflows that it can reach, what they need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

import msgspec

from app.engine import template
from app.engine.kind import Claim
from app.engine.path import is_secret
from app.engine.values import Value
from app.services.checks import Reference, reference_of

MOST_WORKFLOWS: Final = 100
MOST_VERSIONS: Final = 200  # of all of them together
MOST_BYTES: Final = 8 * 1024 * 1024  # of all their graphs

_step: Final = re.compile(r'\.?([\w-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow of an export, under the id that the graphs of the export call it by: its versions' graphs by number.
    `active`: which of them a reference without a version means."""

    id: str
    name: str
    description: str
    active: int
    graphs: Mapping[int, Value]


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace must have for the graphs to run: names, sorted."""

    secrets: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    data_sets: tuple[str, ...] = ()  # or ids


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What was exported is the active version of `root`; other versions of it are there when something refers to them.
    `meant`: which of them a reference to it without a version means, where that is not the active one."""

    root: Exported
    meant: int | None = None
    children: tuple[Exported, ...] = ()
    needs: Needs = Needs()

    @property
    def workflows(self) -> tuple[Exported, ...]:
        return (self.root, *self.children)

    def graphs(self) -> dict[tuple[str, int], Value]:
        """By workflow and version."""
        return {(one.id, number): graph for one in self.workflows for number, graph in one.graphs.items()}


def references(claims: Iterable[Claim]) -> list[tuple[str, Reference]]:
    """Where a graph refers to workflows, and to which."""
    return [(claim.path, reference_of(claim)) for claim in claims if claim.about == "workflow"]


def redirected(source: Value, targets: Mapping[str, Reference]) -> Value:
    """A copy in which the references at these places go elsewhere. A version of None leaves the one beside as it is."""
    copy = deepcopy(source) if targets else source
    for path, (workflow_id, version) in targets.items():
        *steps, last = _steps(path)
        holder: Any = copy
        for step in steps:
            holder = holder[step]
        holder[last] = workflow_id
        if version is not None:
            holder["version"] = version
    return copy


def _steps(path: str) -> list[str | int]:
    """Of a place in a source."""
    return [one[1] or (int(one[2]) if one[2] else json.loads(one[3])) for one in _step.finditer(path)]


def needs_of(graphs: Iterable[Value], claims: Sequence[Claim]) -> Needs:
    """The names that the graphs mention. Whatever an author wrote in plain stays where it is, and is not looked for."""
    secrets = {name for graph in graphs for text in _texts(graph) for name in _secrets_in(text)}
    providers = {claim.value[0] for claim in claims if claim.about == "model" and claim.value[0] is not None}
    data_sets = {claim.value for claim in claims if claim.about == "dataset"}
    return Needs(secrets=tuple(sorted(secrets)), providers=tuple(sorted(providers)), data_sets=tuple(sorted(data_sets)))


def _secrets_in(text: str) -> Iterator[str]:
    try:
        paths = template.parse(text).paths if "secret" in text else ()
    except template.TemplateSyntaxError:  # code, or another text that is no template
        return
    for path in paths:
        if is_secret(path):
            yield str(path.steps[0])


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
