"""The values users bring: any JSON, kept exactly. Encoded as msgpack, with integers beyond 64 bits as an extension type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    Value = None | bool | int | float | str | list[Any] | dict[str, Any]
else:
    Value = Any  # where a union is declared, msgspec refuses the extension type

BIG_INT: Final = 1
MAX_DEPTH: Final = 200  # levels of lists and objects: encoders, decoders and comparisons recurse
INTEGER_BOUND: Final = 10**4_300  # Python writes and reads no longer ones

_encoder = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()


class UnstorableValueError(ValueError):
    """A value that cannot be kept: text with a lone surrogate, too deep a nesting, an integer of thousands of digits."""


def _wrap(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else _wrap_integer(value)
    if isinstance(value, dict):
        return {key: _wrap(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_wrap(item) for item in value]
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        body = {encoded: _wrap(getattr(value, name)) for encoded, name in names}
        return body if config.tag is None else {config.tag_field: config.tag, **body}
    return value


def _wrap_integer(value: int) -> msgspec.msgpack.Ext:
    if not -INTEGER_BOUND < value < INTEGER_BOUND:
        raise UnstorableValueError("an integer has more than 4300 digits")
    return msgspec.msgpack.Ext(BIG_INT, value.to_bytes((value.bit_length() + 8) // 8, "big", signed=True))


def ext_hook(code: int, data: memoryview) -> Any:
    """Decodes the extension type. Raises UnstorableValueError for a code that we never write."""
    if code == BIG_INT:
        return int.from_bytes(bytes(data), "big", signed=True)
    raise UnstorableValueError(f"unknown extension type {code}")


def pack(value: Any) -> bytes:
    """msgpack of a struct or value; big integers wrapped only when there are any. Raises UnstorableValueError."""
    try:
        try:
            return _encoder.encode(value)
        except OverflowError:
            return _encoder.encode(_wrap(value))
    except UnicodeEncodeError as error:
        raise UnstorableValueError("text with a lone surrogate cannot be stored") from error
    except RecursionError as error:
        raise UnstorableValueError(f"values may be nested {MAX_DEPTH} levels deep") from error


def unpack(data: bytes) -> Any:
    """The plain values of `pack`."""
    return msgspec.msgpack.decode(data, ext_hook=ext_hook)


def as_stored(value: Any) -> Value:
    """A struct as plain values, as they come from the store: lists, no tuples. Raises UnstorableValueError."""
    plain: Value = unpack(pack(value))
    return plain


def to_text(value: Value) -> str:
    """How a value reads inside a text: text as it is, null as nothing, everything else as JSON (graph.md, Values)."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return to_json(value).decode()


def to_json(value: Any) -> bytes:
    """Compact JSON; integers of any size. Raises UnstorableValueError."""
    try:
        try:
            return _json.encode(value)
        except OverflowError:  # the slow way, only for integers beyond 64 bits
            return json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError as error:
        raise UnstorableValueError("nested too deeply") from error
    except ValueError as error:
        raise UnstorableValueError(str(error)) from error


def size_of(value: Value) -> int:
    """Bytes of the stored form. Raises UnstorableValueError."""
    return len(pack(value))


def measure(value: Value) -> int:
    """As `size_of`, but raises UnstorableValueError for everything that a state cannot keep, too deep a nesting included."""
    size = size_of(value)
    if size > MAX_DEPTH and is_deeper(value, MAX_DEPTH):  # every level takes a byte at least
        raise UnstorableValueError(f"values may be nested {MAX_DEPTH} levels deep")
    return size


def is_deeper(value: Value, depth: int) -> bool:
    """Are there more than `depth` levels of lists and objects?"""
    level = [value]
    for _ in range(depth + 1):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for items in inner for item in items]
        if not inner:
            return False
    return True


def storable_text(text: str) -> str:
    """The text, with a mark in the place of each lone surrogate."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
