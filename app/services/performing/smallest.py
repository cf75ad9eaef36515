"""The smallest value that fits a JSON Schema: its default, first choice, else empty or at its lower bound.

It does what schemas of answers are made of. What it cannot do — patterns, formats, `not`, conditions — comes out as if
unsaid: the value then fits all the rest. It never fails and never makes more than `MOST_PARTS` parts, nor more than
`MOST_BYTES`.
"""

from __future__ import annotations

import math
from typing import Any, Final

from app.engine.values import Value, size_of

MOST_DEPTH: Final = 40  # of schemas within schemas: a reference may lead back to itself
MOST_PARTS: Final = 10_000
MOST_CHARACTERS: Final = 10_000
MOST_BYTES: Final = 256 * 1024
MOST_NUMBER: Final = 10**15  # bounds beyond it are as if unsaid
_order: Final = ("object", "string", "array", "boolean", "integer", "number", "null")


def smallest(schema: Value) -> Value:
    """Any JSON Schema; what is none is taken as `true`."""
    return _Maker(schema).make(schema, 0)


class _Maker:
    def __init__(self, root: Value) -> None:
        self._root = root
        self._parts = 0
        self._room = MOST_BYTES

    def _spent(self, value: Value) -> Value:
        """The value, or null where there is no room for it."""
        self._room -= size_of(value)
        return value if self._room > 0 else None

    def make(self, schema: Any, depth: int) -> Value:
        self._parts += 1
        if not isinstance(schema, dict) or depth > MOST_DEPTH or self._parts > MOST_PARTS:
            return None
        if "default" in schema:
            return self._spent(_copied(schema["default"]))
        if "const" in schema:
            return self._spent(_copied(schema["const"]))
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            chosen = next((item for item in schema["enum"] if _is_of(item, schema.get("type"))), schema["enum"][0])
            return self._spent(_copied(chosen))
        target = self._referred(schema.get("$ref"))
        if target is not None:
            return self.make(_merged(_without(schema, "$ref"), target), depth + 1)
        for several in ("oneOf", "anyOf"):
            options = schema.get(several)
            if isinstance(options, list) and options:
                rest = _without(schema, several)
                return self.make(_merged(rest, self._first_fitting(rest, options)), depth + 1)
        if isinstance(schema.get("allOf"), list) and schema["allOf"]:
            rest = _without(schema, "allOf")
            for part in schema["allOf"]:
                rest = _merged(rest, self._resolved(part))
            return self.make(rest, depth + 1)
        return self._of_type(schema, depth)

    def _first_fitting(self, rest: dict[str, Any], options: list[Any]) -> Any:
        """The first whose type agrees with what is said beside it."""
        resolved = [self._resolved(option) for option in options]
        fitting = [option for option in resolved if isinstance(option, dict) and _types(rest) & _types(option)]
        return (fitting or [option for option in resolved if option is not False] or [{}])[0]

    def _resolved(self, schema: Any) -> Any:
        for _ in range(MOST_DEPTH):
            target = self._referred(schema.get("$ref")) if isinstance(schema, dict) else None
            if target is None:
                return schema
            schema = _merged(_without(schema, "$ref"), target)
        return {}

    def _referred(self, reference: Any) -> Any:
        """Inside the schema only."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        found: Any = self._root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and name.isascii() and name.isdigit() and len(name) < 6:
                found = found[int(name)] if int(name) < len(found) else None
            else:
                return None
        return found

    def _of_type(self, schema: dict[str, Any], depth: int) -> Value:
        match _type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._spent("x" * min(_count(schema, "minLength"), MOST_CHARACTERS))
            case "integer":
                return _number(schema, whole=True)
            case "number":
                return _number(schema, whole=False)
            case "boolean":
                return False
            case _:
                return None

    def _object(self, schema: dict[str, Any], depth: int) -> Value:
        properties = schema.get("properties")
        named: dict[str, Any] = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        names = [name for name in (required if isinstance(required, list) else []) if isinstance(name, str)]
        more = schema.get("additionalProperties", {})
        made = {name: self.make(named.get(name, more), depth + 1) for name in names}
        least = min(_count(schema, "minProperties"), MOST_PARTS)
        invented = (f"property_{at}" for at in range(1, least + 1))
        for name in [*named, *invented]:
            if len(made) >= least:
                break
            if name not in made:
                made[name] = self.make(named.get(name, more), depth + 1)
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> Value:
        first = schema.get("prefixItems")
        places: list[Any] = first if isinstance(first, list) else []
        least = min(_count(schema, "minItems"), MOST_PARTS)
        rest = schema.get("items", {})
        made: list[Value] = []
        for at in range(least):
            if self._parts > MOST_PARTS:
                break
            made.append(self.make(places[at] if at < len(places) else rest, depth + 1))
        return made


def _types(schema: dict[str, Any]) -> set[str]:
    """That a value may have. Integers are numbers too."""
    given = schema.get("type")
    several = given if isinstance(given, list) else [given]
    types = {one for one in several if isinstance(one, str)}
    types = types or _of_values(schema) or set(_order)
    return types | {"integer"} if "number" in types else types


def _of_values(schema: dict[str, Any]) -> set[str]:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return (
        {kind for kind in _order if any(_is_of(item, kind) for item in values)} if isinstance(values, list) else set()
    )


def _type(schema: dict[str, Any]) -> str:
    """The first that is named; else what the other keywords speak of."""
    given = schema.get("type")
    if isinstance(given, str):
        return given
    if isinstance(given, list) and given:
        return str(given[0])
    spoken = {
        "object": ("properties", "required", "minProperties", "additionalProperties"),
        "array": ("items", "prefixItems", "minItems"),
        "string": ("minLength", "maxLength", "pattern", "format"),
        "number": ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"),
    }
    return next((kind for kind, words in spoken.items() if any(word in schema for word in words)), "null")


def _number(schema: dict[str, Any], whole: bool) -> Value:
    """Zero where it may be, else next to the lower bound, else next to the upper one."""
    low, high = _bound(schema, "minimum", -math.inf), _bound(schema, "maximum", math.inf)
    over, under = _bound(schema, "exclusiveMinimum", -math.inf), _bound(schema, "exclusiveMaximum", math.inf)
    step = _bound(schema, "multipleOf", 0)
    step = step if step > 0 and math.isfinite(step) else (1 if whole else 0)
    bottom, top = max(low, over), min(high, under)
    candidates: list[float] = [0]
    for bound, away in ((bottom, 1), (top, -1)):
        if math.isfinite(bound) and step:
            nearest = (math.ceil(bound / step) if away > 0 else math.floor(bound / step)) * step
            candidates += [nearest, nearest + away * step]
        elif math.isfinite(bound):
            candidates += [bound, (bottom + top) / 2, bound + away]
    fitting = (one for one in candidates if low <= one <= high and over < one < under)
    found = next(fitting, 0)
    return int(found) if whole else found


def _bound(schema: dict[str, Any], word: str, other: float) -> float:
    found = schema.get(word)
    if isinstance(found, int | float) and not isinstance(found, bool) and -MOST_NUMBER <= found <= MOST_NUMBER:
        return found
    return other


def _count(schema: dict[str, Any], word: str) -> int:
    found = _bound(schema, word, 0)
    return max(0, min(int(found), MOST_PARTS)) if math.isfinite(found) else 0


def _is_of(value: Any, kind: Any) -> bool:
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kinds |= {"integer": int, "number": (int, float)}
    if isinstance(kind, list):
        return any(_is_of(value, one) for one in kind)
    if not isinstance(kind, str) or kind not in kinds:
        return True
    return isinstance(value, kinds[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _merged(one: dict[str, Any], other: Any) -> dict[str, Any]:
    """Both must hold: properties and what is required are joined, of the rest `one` has the last word."""
    if not isinstance(other, dict):
        return one
    merged = {**other, **one}
    for word in ("properties", "$defs", "definitions"):
        if isinstance(one.get(word), dict) and isinstance(other.get(word), dict):
            merged[word] = {**other[word], **one[word]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        merged["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    for word in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
        if word in one and word in other:
            merged[word] = max(_bound(one, word, 0), _bound(other, word, 0))
    return merged


def _without(schema: dict[str, Any], word: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != word}


def _copied(value: Any) -> Value:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
