"""Every way in which a value is not of a type, each with its place. msgspec's own conversion stops at the first."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from app.engine.kind import Fault
from app.engine.values import Value

_place = re.compile(r"(?s) - at `(?:key in )?\$(.*)`$")
_plain_key = re.compile(r"[\w-]+")


@cache
def fields_of(struct: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Its fields by their names in a config. To evaluate their types anew costs a millisecond."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def place_of(path: str, key: str) -> str:
    """`path.key`, or `path["odd key"]`."""
    return f"{path}.{key}" if _plain_key.fullmatch(key) else f"{path}[{json.dumps(key)}]"


def misfits(value: Value, wanted: Any, path: str) -> list[Fault]:
    """Empty exactly when `msgspec.convert(value, wanted)` works. `wanted` is a type, `path` the value's place."""
    try:
        msgspec.convert(value, wanted)
        return []
    except msgspec.ValidationError as error:
        return list(_inside(value, wanted, path)) or [_whole(error, path)]
    except (ValueError, OverflowError, RecursionError):
        return [Fault(path, "cannot be read")]


def _whole(error: msgspec.ValidationError, path: str) -> Fault:
    text = str(error)
    if found := _place.search(text):
        return Fault(path + found[1], text[: found.start()])
    return Fault(path, text)


def _inside(value: Value, wanted: Any, path: str) -> Iterator[Fault]:
    """The misfits of the parts, where the whole has the right shape."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        yield from _inside(value, arguments[0], path)
    elif origin in (Union, types.UnionType):
        fitting = [one for one in arguments if _has_parts_of(value, one)]
        if len(fitting) == 1:
            yield from _inside(value, fitting[0], path)
    elif origin in (list, tuple) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from misfits(item, arguments[0], f"{path}[{index}]")
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from misfits(item, arguments[1], place_of(path, key))
    elif _is_struct(wanted) and isinstance(value, dict):
        yield from _in_struct(value, wanted, path)


def _has_parts_of(value: Value, wanted: Any) -> bool:
    if isinstance(value, list):
        return get_origin(wanted) in (list, tuple)
    return isinstance(value, dict) and (get_origin(wanted) is dict or _is_struct(wanted))


def _is_struct(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)


def _in_struct(value: dict[str, Any], wanted: type[msgspec.Struct], path: str) -> Iterator[Fault]:
    fields = fields_of(wanted)
    for name, field in fields.items():
        if name in value:
            yield from misfits(value[name], field.type, place_of(path, name))
        elif field.required:
            yield Fault(place_of(path, name), "is required")
    if wanted.__struct_config__.forbid_unknown_fields:
        for name in value:
            if name not in fields:
                yield Fault(place_of(path, name), f"unknown setting; there are {', '.join(sorted(fields))}")
