"""The forms of ids, and the hash of a body."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, strategies as some

from app.api.idempotency import body_hash, idempotency_key
from app.api.ids import decode_id, from_uuid, number, to_uuid
from app.services.errors import ServiceError

object_ids = some.integers(0, 2**96 - 1).map(lambda number: f"{number:024x}")


@given(object_ids)
def test_the_uuid_of_an_id_encodes_it(object_id: str) -> None:
    text = to_uuid(object_id)
    assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (8, uuid.RFC_4122)
    assert (from_uuid(text), decode_id(text.upper())) == (object_id, object_id)


@given(some.uuids())
def test_a_uuid_that_is_none_of_ours_is_nothing(found: uuid.UUID) -> None:
    object_id = from_uuid(str(found))
    assert object_id is None or to_uuid(object_id) == str(found)


def test_every_form_is_told_apart() -> None:
    object_id = "5eb7cf5a86d9755df3a6c593"
    assert decode_id(object_id) == object_id
    assert decode_id(f"wf_{object_id}", handles=True) == object_id
    assert [decode_id(text) for text in (f"wf_{object_id}", object_id.upper(), "", "7", object_id + "\n")] == [None] * 5
    assert [number(text) for text in ("7", "0", "007", "9" * 18, "9" * 19, "\uff11", object_id)] == [
        7,
        None,
        None,
        10**18 - 1,
        None,
        None,
        None,
    ]
    with pytest.raises(ServiceError) as refused:
        decode_id("00000000-0000-4000-8000-000000000000")
    assert refused.value.code == "not_found"


def test_how_long_a_caller_waits_does_not_change_the_hash() -> None:
    one = body_hash("POST /x", {"run_input": {"message": "a", "wait_seconds": 1}, "on_busy": "wait"})
    assert one == body_hash("POST /x", {"on_busy": "reject", "run_input": {"on_busy": "wait", "message": "a"}})
    others = [
        body_hash("POST /y", {"run_input": {"message": "a"}}),
        body_hash("POST /x", {"run_input": {"message": "b"}}),
        body_hash("POST /x", {"run_input": {"message": "a"}}, "0"),
        body_hash("POST /x", {"run_input": {"message": "a"}}, "00"),
        body_hash("POST /x", {"message": "a"}),
    ]
    assert len({one, *others}) == 6


def test_a_key_has_1_to_255_printable_characters() -> None:
    assert [idempotency_key(text) for text in (None, "k", "a b", "x" * 255, "schl\u00fcssel")] == [
        None,
        "k",
        "a b",
        "x" * 255,
        "schl\u00fcssel",
    ]
    for text in ("", "x" * 256, "a\tb", "\x7f"):
        with pytest.raises(ServiceError) as refused:
            idempotency_key(text)
        assert (refused.value.code, refused.value.details[0].path) == ("invalid_value", "Idempotency-Key")
