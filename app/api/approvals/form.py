"""The form of an approval as a browser sends it: what was typed, the vote that it makes, and what is wrong with it."""

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from app.engine.ballot import Field
from app.engine.values import Value, to_text
from app.services.errors import Detail

MOST_PARTS: Final = 2_000
DIGITS: Final = 300  # of a number that is typed
_number: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_integer: Final = re.compile(r"[+-]?\d+")


class Typed(msgspec.Struct, frozen=True):
    """What stands in the form: `fields` in the order of the ballot's, a box that is ticked as `true`."""

    fields: tuple[str, ...]
    reason: str = ""
    action: str | None = None


def untouched(fields: Sequence[Field]) -> Typed:
    """The form as it is first shown."""
    return Typed(tuple(to_text(field.default) for field in fields))


def typed(body: bytes, fields: Sequence[Field]) -> Typed:
    """From `application/x-www-form-urlencoded`; what is not ours is ignored. Raises ValueError for too many parts."""
    parts = parse_qs(body.decode("latin-1"), keep_blank_values=True, errors="replace", max_num_fields=MOST_PARTS)

    def first(name: str) -> str:
        return parts.get(name, [""])[0].replace("\r\n", "\n")

    return Typed(
        fields=tuple(first(name_of(index)) for index in range(len(fields))),
        reason=first("reason"),
        action=first("action") or None,
    )


def name_of(index: int) -> str:
    """Of a field's part in the form: the author's names may be any text."""
    return f"f{index}"


def vote_of(given: Typed, fields: Sequence[Field]) -> dict[str, Value]:
    """The answer to the pause."""
    values = {field.name: _value(field, text) for field, text in zip(fields, given.fields, strict=True)}
    return {"action": given.action, "fields": values, "reason": given.reason or None}


def _value(field: Field, text: str) -> Value:
    """A number that is none stays a text, which will be refused; one that was emptied is not the default again."""
    if field.type == "boolean":
        return text == "true"
    if field.type == "select":
        return text or None
    if field.type == "number":
        return _number_of(text.strip(), None if field.default is None else "")
    return text


def _number_of(text: str, empty: Value) -> Value:
    if not text:
        return empty
    if not _number.fullmatch(text) or len(text) > DIGITS:
        return text
    found: Any = int(text) if _integer.fullmatch(text) else float(text)
    return text if found in (float("inf"), float("-inf")) else found


class Errors(msgspec.Struct, frozen=True):
    """What is wrong: with each field (by its index), with the choice of an action, and with the whole."""

    fields: dict[int, str] = {}
    action: str | None = None
    whole: tuple[str, ...] = ()


def errors_of(details: Sequence[Detail], pause_id: str, fields: Sequence[Field]) -> Errors:
    """The faults of an answer beside what they are about."""
    places = {f"answers.{pause_id}.fields.{field.name}": index for index, field in enumerate(fields)}
    by_field = {places[detail.path]: detail.message for detail in details if detail.path in places}
    is_missing = any(detail.path == f"answers.{pause_id}.action" for detail in details)
    rest = [detail for detail in details if detail.path not in (*places, f"answers.{pause_id}.action")]
    said = [(detail.path.removeprefix(f"answers.{pause_id}").lstrip("."), detail.message) for detail in rest]
    return Errors(
        fields=by_field,
        action="choose one of these" if is_missing else None,
        whole=tuple(f"{place}: {message}" if place else message for place, message in said),
    )
