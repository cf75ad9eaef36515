"""Values with places for secrets: rendered by the engine without them, filled by the performer of the effect.

The places stand beside the value, never in it, so that nothing that a user brings can pretend to be one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.engine.values import Value

Step = str | int


class SecretRef(msgspec.Struct, frozen=True, tag=True):
    """`{{secret.name}}`."""

    name: str


class Text(msgspec.Struct, frozen=True, tag=True):
    """What stands around it, rendered."""

    text: str


class Seal(msgspec.Struct, frozen=True):
    """The text at `path` is made of these parts."""

    path: tuple[Step, ...]
    parts: tuple[Text | SecretRef, ...]


class Sealed(msgspec.Struct, frozen=True):
    """`value` shows each secret as its reference; `seals` say where they belong."""

    value: Value
    seals: tuple[Seal, ...] = ()

    def names(self) -> list[str]:
        """Of the secrets that are needed, each once."""
        found = [part.name for seal in self.seals for part in seal.parts if isinstance(part, SecretRef)]
        return list(dict.fromkeys(found))

    def secret_fields(self) -> set[str]:
        """The outermost names under which there is one."""
        return {str(seal.path[0]) for seal in self.seals if seal.path}

    def secret_headers(self) -> list[str]:
        """The `headers` (lower case) that hold one."""
        return [str(seal.path[1]).lower() for seal in self.seals if len(seal.path) > 1 and seal.path[0] == "headers"]


def unseal(sealed: Sealed, secrets: Mapping[str, str]) -> Any:
    """The value with its secrets. `secrets` has all of `names`."""
    value: Any = sealed.value
    for seal in sealed.seals:
        parts = [part.text if isinstance(part, Text) else secrets[part.name] for part in seal.parts]
        value = _put(value, seal.path, "".join(parts))
    return value


def _put(value: Any, path: Sequence[Step], text: str) -> Any:
    """A copy along the path."""
    if not path:
        return text
    first, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {**value, first: _put(value[first], rest, text)}
    assert isinstance(first, int), "a path walks what it was made from"
    return [_put(item, rest, text) if index == first else item for index, item in enumerate(value)]
