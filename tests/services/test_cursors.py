"""Where a reader stands among events and open texts, as it travels in `Last-Event-ID`."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from app.engine import messages as said
from app.services.cursors import Cursor, TextDelta, TextReset, cursor_of
from app.services.errors import ServiceError

numbers = st.integers(1, 10**15 - 1)


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "x",
        "1:",
        "1:1",
        "1:1.1",
        "1:1.1.1.1",
        "1:1.1.1,",
        "1:2.1.0",
        "1:0.1.1",
        "\u0661",
        "1" * 16,
        "1 ",
        "1:1.1.x",
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ServiceError):
        cursor_of(text)


def test_more_texts_than_a_run_can_have_open_are_refused() -> None:
    with pytest.raises(ServiceError):
        cursor_of("99:" + ",".join(f"{seq}.1.1" for seq in range(1, 66)))


@given(after=numbers, told=st.dictionaries(numbers, st.tuples(numbers, st.integers(0, 10**15 - 1)), max_size=64))
def test_a_cursor_is_read_as_it_was_written(after: int, told: dict[int, tuple[int, int]]) -> None:
    told = {seq: where for seq, where in told.items() if seq <= after}
    read = cursor_of(str(Cursor(after, told)))
    assert (read.after, read.told) == (after, told)


def test_nothing_is_the_beginning() -> None:
    for nothing in (None, ""):
        assert str(cursor_of(nothing)) == "0"


def test_a_text_is_told_piece_by_piece_and_anew_by_the_next_telling() -> None:
    cursor = Cursor(5)
    assert cursor.reset(4, 1) == []
    assert cursor.rest(4, 1, "añ", "n", "n") == [
        TextDelta(seq=4, attempt=1, offset=0, text="añ", path="n", node_id="n")
    ]
    assert str(cursor) == "5:4.1.2"
    assert cursor.rest(4, 1, "añ", "n", "n") == []
    (more,) = cursor.rest(4, 1, "añ\U0001f600x", "n", "n")
    assert (more.offset, more.text, str(cursor)) == (2, "\U0001f600x", "5:4.1.4")
    assert cursor.reset(4, 1) == []
    assert cursor.reset(4, 3) == [TextReset(seq=4, attempt=3)]
    assert str(cursor) == "5:4.3.0"


def test_a_text_is_closed_by_its_answer_its_failure_or_the_end_of_the_run() -> None:
    node = {"at": 0.0, "node_id": "n", "node_name": "n", "path": "n", "visit": 1}
    ends = [
        said.ModelReplied(seq=6, call_seq=4, telling=1, text="", **node),
        said.ModelFailed(seq=6, call_seq=4, error_type="e", error_message="", **node),
        said.RunEnded(seq=6, at=0.0, status="completed"),
        said.RunFailed(seq=6, at=0.0, error_type="e", error_message=""),
    ]
    for event in ends:
        cursor = Cursor(5, {4: (1, 7)})
        cursor.passed(event)
        assert str(cursor) == "6"
    cursor = Cursor(5, {4: (1, 7), 3: (1, 0)})
    cursor.passed(ends[0])
    cursor.passed(said.Warned(seq=7, at=0.0, message=""))
    assert str(cursor) == "7:3.1.0"
