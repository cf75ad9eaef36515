"""JSON Schema of answers, by jsonschema-rs. Nothing is ever fetched: a reference outside the schema is a fault."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

MAX_ERRORS = 100
MAX_SCHEMA_BYTES = 64 * 1024
# Patterns run in linear time, so that no schema can hold up the server.
_PATTERNS = jsonschema_rs.RegexOptions()


def _refuse(uri: str) -> Any:
    raise ValueError(f"the reference {uri} leads outside the schema")


@lru_cache(maxsize=1_000)
def _validator(schema: bytes) -> Any:
    kind = jsonschema_rs.validator_cls_for(msgspec.json.decode(schema))
    return kind(msgspec.json.decode(schema), retriever=_refuse, pattern_options=_PATTERNS)


class SchemaChecker:
    """Implements ports.AnswerChecker."""

    def schema_fault(self, schema: Any) -> str | None:
        if not isinstance(schema, dict | bool):
            return "a JSON Schema is an object, true or false"
        try:
            packed = msgspec.json.encode(schema)
        except (OverflowError, TypeError, ValueError):
            return "the schema holds a number that is too large"
        if len(packed) > MAX_SCHEMA_BYTES:
            return f"a schema may have {MAX_SCHEMA_BYTES} bytes"
        try:
            _validator(packed)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            return _first_line(error)
        except ValueError as error:
            return _first_line(error)
        return None

    def check(self, schema: Any, value: Any) -> list[tuple[str, str]]:
        found = []
        for error in _validator(msgspec.json.encode(schema)).iter_errors(value):
            found.append((_place(error.instance_path), str(error.message)[:500]))
            if len(found) == MAX_ERRORS:
                break
        return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["the schema is not valid"])[0][:500]


def _place(path: list[str | int]) -> str:
    """`items[0].name`."""
    place = ""
    for step in path:
        place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
    return place
