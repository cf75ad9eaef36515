"""JSON Schema of answers, by jsonschema-rs. Nothing is ever fetched: a reference outside the schema is a fault."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from app.engine.values import MAX_DEPTH, is_deeper, to_json

MAX_ERRORS = 100
MAX_SCHEMA_BYTES = 64 * 1024
# All errors of a value are built, each with a copy of what it is about, before the first can be read: a list of a hundred
# thousand wrong items would cost a second. Where bytes of the schema times parts of the value are more than this, only
# the first error is told.
MAX_WORK = 2_000_000
PART_CHARACTERS = 64  # of a text count as one part
# Patterns run in linear time, so that no schema can hold up the server.
_PATTERNS = jsonschema_rs.RegexOptions()
_FAULTS = (jsonschema_rs.ReferencingError, ValueError)  # jsonschema_rs.ValidationError is a ValueError
_plain_name = re.compile(r"[^.\[\]\"]+")


def _refuse(uri: str) -> Any:
    raise ValueError(f"the reference {uri} leads outside the schema")


@lru_cache(maxsize=1_000)
def _validator(packed: bytes) -> Any:
    schema = msgspec.json.decode(packed)
    kind = jsonschema_rs.validator_cls_for(schema)
    return kind(schema, retriever=_refuse, pattern_options=_PATTERNS)


class SchemaChecker:
    """Implements ports.AnswerChecker. No JSON Schema and no JSON value makes it raise."""

    def schema_fault(self, schema: Any) -> str | None:
        if not isinstance(schema, dict | bool):
            return "a JSON Schema is an object, true or false"
        try:
            packed = to_json(schema)
            if len(packed) > MAX_SCHEMA_BYTES:
                return f"a schema may have {MAX_SCHEMA_BYTES} bytes"
            _validator(packed)
        except _FAULTS as error:
            return _first_line(error)
        return None

    def check(self, schema: Any, value: Any) -> list[tuple[str, str]]:
        """The first 100 at most."""
        if is_deeper(value, MAX_DEPTH):  # far deeper, the recursion in the library would end the process
            return [("", f"is nested deeper than {MAX_DEPTH} levels")]
        try:
            packed = to_json(schema)
            validator = _validator(packed)
            if validator.is_valid(value):
                return []
            errors = _errors(validator, value, MAX_WORK // len(packed))
            return [(_place(value, error.instance_path), str(error.message)[:500]) for error in errors]
        except _FAULTS as error:
            return [("", _first_line(error))]


def _errors(validator: Any, value: Any, parts: int) -> list[Any]:
    if not _has_more(value, parts):
        return list(islice(validator.iter_errors(value), MAX_ERRORS))
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return [error]
    return []


def _has_more(value: Any, parts: int) -> bool:
    waiting, seen = [value], 0
    while waiting and seen <= parts:
        part = waiting.pop()
        seen += 1
        if isinstance(part, str):
            seen += len(part) // PART_CHARACTERS
        elif isinstance(part, dict | list):
            waiting.extend(part.values() if isinstance(part, dict) else part)
    return seen > parts


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["the schema is not valid"])[0][:500]


def _place(value: Any, path: list[str | int]) -> str:
    """`items[0].name`; a name that would be misread is quoted: `["a.b"]`. Walks the value, because the library gives the
    name "0" as a number."""
    place = ""
    for step in path:
        if isinstance(value, dict):
            name = str(step)
            value = value.get(name)
            if _plain_name.fullmatch(name):
                place += f".{name}" if place else name
            else:
                place += f"[{msgspec.json.encode(name).decode()}]"
        else:
            value = value[step] if isinstance(value, list) and isinstance(step, int) else None
            place += f"[{step}]"
    return place
