"""Values inside the template engine: how they read in a text, and what is left of them when they come out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set, ValuesView
from typing import Any

from app.engine.values import Value, to_text


class TooLargeError(Exception):
    """A text grows beyond what it may take."""


class UnfitValueError(Exception):
    """Something that is no value: a function, infinity."""


class BigInteger:
    """An integer that the engine has no room for: passed through and printed; whoever counts with it is told."""

    def __init__(self, value: int) -> None:
        self._value = value  # a template cannot read names that begin with a line

    def __str__(self) -> str:
        return str(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BigInteger) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


def kept(value: Any) -> Value:
    """The plain value. Raises UnfitValueError, RecursionError."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return str(value)  # the engine has a kind of its own
        case float():
            if not math.isfinite(value):
                raise UnfitValueError("a result is no finite number")
            return value
        case BigInteger():
            return value._value
        case Mapping():
            return {_key(key): kept(item) for key, item in value.items()}
        case list() | tuple() | Set() | ValuesView():
            return [kept(item) for item in value]
        case _:
            raise UnfitValueError("a result is no value but a function or the like")


def shown(value: Any) -> str:
    """How it reads in a text: numbers, booleans, lists and objects as JSON, null as nothing."""
    return str(value) if isinstance(value, str) else to_text(kept(value))


def joined(values: Iterable[Any], separator: str = "") -> str:
    """The filter `join`: what is between the separators reads as in a text."""
    return separator.join(shown(value) for value in values)


def _key(key: Any) -> str:
    return str(key) if isinstance(key, str) else shown(key)
