"""What expressions do with values: numbers compare with numbers, text with text, everything else fails and says so."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

import msgspec

from app.engine.glob import GlobTooCostlyError, matches as glob_matches
from app.engine.kind import NodeError
from app.engine.values import Value

_orders: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "Lt": ("<", operator.lt),
    "LtE": ("<=", operator.le),
    "Gt": (">", operator.gt),
    "GtE": (">=", operator.ge),
}


class Function(msgspec.Struct, frozen=True):
    arity: int
    call: Callable[..., Value]


def compare(name: str, left: Value, right: Value) -> bool:
    """`name` is that of Python's syntax node. Raises NodeError `invalid_value`."""
    match name:
        case "Eq":
            return is_same(left, right)
        case "NotEq":
            return not is_same(left, right)
        case "In":
            return contains(right, left)
        case "NotIn":
            return not contains(right, left)
        case _:
            return _in_order(name, left, right)


def is_same(left: Value, right: Value) -> bool:
    """JSON's equality: 1 is 1.0, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(is_same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_same(item, right[key]) for key, item in left.items())
    return left == right


def contains(whole: Value, part: Value) -> bool:
    """A list has an equal item, a text has the text, an object has the key."""
    if isinstance(whole, list):
        return any(is_same(item, part) for item in whole)
    if isinstance(whole, (str, dict)) and isinstance(part, str):
        return part in whole
    raise NodeError("invalid_value", f"{kind_of(whole)} cannot contain {kind_of(part)}")


def truth_of(value: Value) -> bool:
    return bool(value)


def kind_of(value: Value) -> str:
    """A value's type, as people call it."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    names = {type(None): "null", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "an unknown value")


def _in_order(name: str, left: Value, right: Value) -> bool:
    sign, function = _orders[name]
    kinds = (kind_of(left), kind_of(right))
    if kinds not in (("a number", "a number"), ("text", "text")):
        raise NodeError("invalid_value", f"{kinds[0]} cannot be compared with {kinds[1]} by {sign}")
    return function(left, right)


def _is_present(value: Value) -> bool:
    return value is not None


def _is_empty(value: Value) -> bool:
    return value is None or (isinstance(value, (str, list, dict)) and not value)


def _length(value: Value) -> int:
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise NodeError("invalid_value", f"{kind_of(value)} has no length")


def _texts(name: str, left: Value, right: Value) -> tuple[str, str]:
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    raise NodeError("invalid_value", f"{name} takes two texts, not {kind_of(left)} and {kind_of(right)}")


def _starts_with(value: Value, start: Value) -> bool:
    text, prefix = _texts("starts_with", value, start)
    return text.startswith(prefix)


def _ends_with(value: Value, end: Value) -> bool:
    text, suffix = _texts("ends_with", value, end)
    return text.endswith(suffix)


def _matches(value: Value, glob: Value) -> bool:
    text, pattern = _texts("matches", value, glob)
    try:
        return glob_matches(text, pattern)
    except GlobTooCostlyError as error:
        raise NodeError("too_large", str(error)) from error


functions: Final[dict[str, Function]] = {
    "is_present": Function(1, _is_present),
    "is_empty": Function(1, _is_empty),
    "length": Function(1, _length),
    "contains": Function(2, contains),
    "starts_with": Function(2, _starts_with),
    "ends_with": Function(2, _ends_with),
    "matches": Function(2, _matches),
}
lenient_functions: Final = frozenset({"is_present", "is_empty"})
