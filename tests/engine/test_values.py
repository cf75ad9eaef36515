"""The users' values: kept exactly, or refused with a clear error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given

from app.engine.values import (
    MAX_DEPTH,
    UnstorableValueError,
    is_deeper,
    measure,
    pack,
    size_of,
    storable_text,
    to_json,
    to_text,
    unpack,
)
from tests.engine.strategies import json_values


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@given(json_values)
def test_any_json_comes_back_exactly(value: Any) -> None:
    again = unpack(pack(value))
    assert again == value and repr(again) == repr(value)
    assert len(pack(value)) == size_of(value) == measure(value)


@pytest.mark.parametrize(
    "value",
    [
        2**63 - 1,
        2**64 - 1,
        2**64,
        -(2**63),
        -(2**63) - 1,
        10**4_300 - 1,
        -(10**4_300) + 1,
        {"$a.b": [2**64, {"": -(2**99)}]},
    ],
)
def test_integers_of_any_size_are_kept(value: Any) -> None:
    assert unpack(pack(value)) == value


class Part(msgspec.Struct, tag="part", tag_field="kind", rename="camel"):
    big_number: int
    others: tuple[Any, ...] = ()


def test_a_struct_with_a_big_integer_looks_like_one_without() -> None:
    assert unpack(pack(Part(1, (2,)))) == {"kind": "part", "bigNumber": 1, "others": [2]}
    assert unpack(pack(Part(2**70, (Part(3),)))) == {
        "kind": "part",
        "bigNumber": 2**70,
        "others": [{"kind": "part", "bigNumber": 3, "others": []}],
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("\ud800", "lone surrogate"),
        ({"\udfff": 1}, "lone surrogate"),
        ([2**70, "\ud800"], "lone surrogate"),
        (nested(5_000), "200 levels"),
        ([2**70, nested(5_000)], "200 levels"),
        ([10**5_000], "more than 4300 digits"),
    ],
)
def test_what_cannot_be_kept_is_refused(value: Any, words: str) -> None:
    with pytest.raises(UnstorableValueError, match=words):
        pack(value)
    with pytest.raises(UnstorableValueError):
        to_json(value)


def test_nesting_is_bounded_where_values_are_measured() -> None:
    assert measure(nested(MAX_DEPTH)) == MAX_DEPTH + 1
    with pytest.raises(UnstorableValueError, match="200 levels"):
        measure(nested(MAX_DEPTH + 1))
    assert not is_deeper(nested(3), 3) and is_deeper(nested(3), 2)
    assert (is_deeper([], 0), is_deeper({}, 1), is_deeper({"a": [[]]}, 2), is_deeper("abc", 0)) == (
        True,
        False,
        True,
        False,
    )


def test_an_unknown_extension_is_refused() -> None:
    with pytest.raises(UnstorableValueError, match="extension type 9"):
        unpack(msgspec.msgpack.encode(msgspec.msgpack.Ext(9, b"")))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as {it} is", "as {it} is"),
        (None, ""),
        (True, "true"),
        (2**70, "1180591620717411303424"),
        (1.5, "1.5"),
        ([1, "a", None], '[1,"a",null]'),
        ({"ä": 2**70}, '{"ä":1180591620717411303424}'),
    ],
)
def test_reads_inside_a_text(value: Any, text: str) -> None:
    assert to_text(value) == text


def test_a_lone_surrogate_in_a_message_is_marked() -> None:
    assert storable_text("a\ud800é") == "a?é"
    assert storable_text("aé") == "aé"
