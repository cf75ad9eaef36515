"""Values with places for secrets and for the links of a pause: the engine renders what is around them, the performer of the
effect fills them in.

The places stand beside the value, never in it, so that nothing that a user brings can pretend to be one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.engine.values import Value, to_text

Step = str | int


class SecretRef(msgspec.Struct, frozen=True, tag=True):
    """`{{secret.name}}`."""

    name: str


class LinksRef(msgspec.Struct, frozen=True, tag=True):
    """`{{pause.links}}`, or what `steps` lead to in it. `source` as it was written, with its braces."""

    steps: tuple[Step, ...]
    optional: bool
    source: str


class Text(msgspec.Struct, frozen=True, tag=True):
    """What stands around it, rendered."""

    text: str


class Seal(msgspec.Struct, frozen=True):
    """The text at `path` is made of these parts; a single reference to links is no text but what it refers to."""

    path: tuple[Step, ...]
    parts: tuple[Text | SecretRef | LinksRef, ...]


class Sealed(msgspec.Struct, frozen=True):
    """`value` shows each secret and each link as its reference; `seals` say where they belong."""

    value: Value
    seals: tuple[Seal, ...] = ()

    def names(self) -> list[str]:
        """Of the secrets that are needed, each once."""
        found = [part.name for seal in self.seals for part in seal.parts if isinstance(part, SecretRef)]
        return list(dict.fromkeys(found))

    def has_links(self) -> bool:
        """Does it need the links of a pause?"""
        return any(isinstance(part, LinksRef) for seal in self.seals for part in seal.parts)

    def secret_fields(self) -> set[str]:
        """The outermost names under which there is one."""
        return {str(seal.path[0]) for seal in self.seals if seal.path}

    def secret_headers(self) -> list[str]:
        """The `headers` (lower case) that hold one."""
        return [str(seal.path[1]).lower() for seal in self.seals if len(seal.path) > 1 and seal.path[0] == "headers"]


def unseal(sealed: Sealed, secrets: Mapping[str, str], links: Value = None) -> Any:
    """The value with its secrets and links. `secrets` has all of `names`. Raises LookupError for a link that is not
    there."""
    value: Any = sealed.value
    for seal in sealed.seals:
        found = [_found(part, secrets, links) for part in seal.parts]
        value = _put(value, seal.path, found[0] if len(found) == 1 else "".join(to_text(one) for one in found))
    return value


def _found(part: Text | SecretRef | LinksRef, secrets: Mapping[str, str], links: Value) -> Value:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, SecretRef):
        return secrets[part.name]
    found = links
    for step in part.steps:
        if isinstance(step, int) and isinstance(found, list) and step < len(found):
            found = found[step]
        elif isinstance(step, str) and isinstance(found, dict) and step in found:
            found = found[step]
        elif part.optional:
            return None
        else:
            raise LookupError(part.source)
    return found


def _put(value: Any, path: Sequence[Step], text: Value) -> Any:
    """A copy along the path."""
    if not path:
        return text
    first, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {**value, first: _put(value[first], rest, text)}
    assert isinstance(first, int), "a path walks what it was made from"
    return [_put(item, rest, text) if index == first else item for index, item in enumerate(value)]
