"""References to values: `first.key[0]["key"]?`, the only thing that templates and expressions read values by.

A path walks JSON objects by key and lists by index, never a Python object's attributes.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from app.engine.kind import NodeError
from app.engine.scope import Scope
from app.engine.values import Value

Braces = Literal["{{", "[["]

reserved_words: Final = frozenset({"item", "index", "args", "secret", "nodes", "vars", "sys", "pause", "message"})

# Every alternative starts with another character, so matching is linear.
_step = r"""\.[\w-]+|\[[0-9]{1,9}\]|\["[^"]*"\]|\['[^']*'\]"""
_bare_step = r"""\.[^\W\d]\w*|\[[0-9]{1,9}\]|\["[^"]*"\]|\['[^']*'\]"""
_steps = re.compile(rf"{_step}")
_literals = r"(?!(?:true|false|null)\s*\]\])"  # `[[true]]` is JSON, no reference

brace_reference: Final = re.compile(rf"\{{\{{\s*(?P<path>[\w-]+(?:{_step})*\??)\s*\}}\}}")
bracket_reference: Final = re.compile(rf"\[\[\s*(?P<path>{_literals}[^\W\d][\w-]*(?:{_step})*\??)\s*\]\]")
bare_reference: Final = re.compile(rf"(?P<path>[^\W\d]\w*(?:{_bare_step})*\??)")
_first = re.compile(r"[\w-]+")


class Path(msgspec.Struct, frozen=True):
    """`optional`: a missing value is null instead of a failure. `source` is what the author wrote, without braces."""

    first: str
    steps: tuple[str | int, ...]
    optional: bool
    source: str
    braces: Braces = "{{"

    def __str__(self) -> str:
        return f"{{{{{self.source}}}}}" if self.braces == "{{" else f"[[{self.source}]]"


def parse_path(source: str, braces: Braces = "{{") -> Path:
    """`source` must be what one of the patterns above matched as `path`."""
    head = _first.match(source)
    if head is None:
        raise ValueError(f"{source!r} is no path")
    steps = tuple(_parse_step(found.group()) for found in _steps.finditer(source, head.end()))
    return Path(head.group(), steps, source.endswith("?"), source, braces)


def _parse_step(text: str) -> str | int:
    if text[0] == ".":
        return text[1:]
    return text[2:-2] if text[1] in "\"'" else int(text[1:-1])


def is_secret(path: Path) -> bool:
    """`{{secret.name}}`: a reference that only the performer of an effect follows."""
    return path.braces == "{{" and path.first == "secret" and len(path.steps) == 1 and isinstance(path.steps[0], str)


def is_links(path: Path) -> bool:
    """`{{pause.links…}}`: likewise."""
    return path.braces == "{{" and path.first == "pause" and path.steps[:1] == ("links",)


def resolve(path: Path, scope: Scope) -> Value:
    """The value, as it is. Raises NodeError `invalid_reference` when something on the way is missing."""
    try:
        value, steps = _begin(path, scope)
    except LookupError:
        return _missing(path, f'"{path.first}" is unknown')
    for step in steps:
        if isinstance(step, str) and isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return _missing(path, f"there is no {step!r}" if isinstance(step, int) else f'there is no "{step}"')
    return value


def _begin(path: Path, scope: Scope) -> tuple[Value, tuple[str | int, ...]]:
    if path.braces == "[[":
        return scope.variable(path.first), path.steps
    if path.first in ("nodes", "vars") and path.steps and isinstance(path.steps[0], str):
        read = scope.read if path.first == "nodes" else scope.variable
        return read(path.steps[0]), path.steps[1:]
    return scope.read(path.first), path.steps


def _missing(path: Path, reason: str) -> Value:
    if path.optional:
        return None
    raise NodeError("invalid_reference", f"{path} cannot be read: {reason}")
