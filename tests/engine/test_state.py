"""The stored state: it comes back, also from older and smaller shapes; and what is derived from it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from app.engine.kind import Answered, Choice, Expired, Succeeded, Woke
from app.engine.state import (
    FORMAT,
    Asking,
    BackingOff,
    Effect,
    Entering,
    ExecutorState,
    Failed,
    Frame,
    Limits,
    Origin,
    Question,
    Received,
    Sleeping,
    UnknownFormatError,
    Visit,
    Wait,
    Working,
    at_rest,
    decode,
    effects,
    encode,
    has_timers,
    next_deadline,
    questions,
    status,
    upcast,
    visits,
)
from app.engine.values import pack, unpack

EFFECT = Effect(id="outer/a#3.1", operation="http", request={"n": 2**70}, once=True, timeout_seconds=5.0)
QUESTION = Question(pause_id="pause_1", kind="ask", prompt="?", choices=(Choice("a", "A"),), expires_at=50.0)
WAITS: list[Wait] = [
    Entering(),
    *(Received(reply) for reply in (Succeeded([2**70]), Answered(None, ""), Woke(), Expired())),
    Failed("timeout", "late"),
    Working(replace(EFFECT, attempt=2)),
    Sleeping(9.0, 1.0),
    BackingOff(8.0, EFFECT),
    BackingOff(8.0),
    Asking(QUESTION, 1.0),
]
ORIGIN = Origin(run_id="r", workflow_id="w", version=3, user=None, started_at=1.0)


def state(*waits: Wait, **more: Any) -> ExecutorState:
    """The waits in turn in the run's own frame and in one within it."""
    every = [Visit(node_id=f"n{number}", number=number, wait=wait) for number, wait in enumerate(waits, start=1)]
    root = Frame(graph="w@3", inputs={"n": -(2**99)}, visits=tuple(every[::2]), arrivals={"join": 2})
    child = Frame(path="outer/", graph="x@0", inputs={"i": 1}, variables={"v": []}, visits=tuple(every[1::2]), parent=1)
    return ExecutorState(format=FORMAT, origin=ORIGIN, frames=(root, child), **more)


def test_every_shape_survives_storage() -> None:
    full = state(*WAITS, turn=4, since_input={"a": 3}, held_at=9.5, outputs={"x": 2**64}, message="hi", pausing=True)
    assert decode(encode(full)) == full
    assert decode(encode(state())) == state()


def test_visits_of_all_frames_are_in_the_order_of_their_numbers() -> None:
    assert [visit.number for visit in visits(state(*WAITS))] == list(range(1, len(WAITS) + 1))


def test_what_has_its_default_is_not_written_and_the_format_always_is() -> None:
    small = ExecutorState(format=FORMAT, origin=ORIGIN, frames=(Frame(graph="w@3"),))
    origin = {"run_id": "r", "workflow_id": "w", "version": 3, "user": None, "started_at": 1.0}
    assert unpack(encode(small)) == {"format": 1, "origin": origin, "frames": [{"graph": "w@3"}]}


def test_states_of_today_are_read_when_fields_have_been_added() -> None:
    wider: Any = msgspec.defstruct(
        "Wider",
        [("rounds", int, 0), ("children", dict[str, int], {})],
        bases=(ExecutorState,),
        frozen=True,
        kw_only=True,
    )
    known = state(*WAITS, turn=2)
    read: Any = msgspec.msgpack.decode(encode(replace(known, frames=())), type=wider)
    assert (read.rounds, read.children, read.turn, read.origin) == (0, {}, 2, ORIGIN)
    narrowed = {**unpack(encode(known)), "added_later": [1]}  # and the other way round
    assert decode(pack(narrowed)) == known


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(UnknownFormatError, match="state format 2, this process knows 1"):
        decode(pack({**unpack(encode(state())), "format": 2, "frames": "of another shape"}))


def test_an_older_format_is_brought_up_step_by_step() -> None:
    upcasters = {
        1: lambda old: {**old, "turn": old["turns"]},
        2: lambda old: {key: value for key, value in old.items() if key != "turns"},
    }
    assert upcast({"format": 1, "turns": 7}, upcasters, 3) == {"format": 3, "turn": 7}
    assert upcast({"format": 3, "turn": 7}, upcasters, 3) == {"format": 3, "turn": 7}


@pytest.mark.parametrize(
    ("waits", "more", "word", "deadline"),
    [
        ([Asking(QUESTION, 1.0)], {}, "waiting_for_user_input", 50.0),
        ([Asking(replace(QUESTION, expires_at=None), 1.0)], {}, "waiting_for_user_input", None),
        ([Asking(QUESTION, 1.0), Working(EFFECT)], {"working_since": 0.0}, "running", 50.0),
        ([Asking(QUESTION, 1.0), Sleeping(9.0, 1.0)], {}, "waiting_for_user_input", 9.0),
        ([Sleeping(9.0, 1.0), BackingOff(8.0)], {}, "running", 8.0),
        ([Sleeping(9.0, 1.0), BackingOff(8.0)], {"pausing": True}, "running", 9.0),
        ([Working(EFFECT)], {"working_since": 100.0, "worked_seconds": 50.0}, "running", 350.0),
        ([Working(EFFECT)], {"working_since": 100.0, "worked_seconds": 999.0}, "running", 100.0),
        ([Asking(QUESTION, 1.0), Working(EFFECT), Sleeping(9.0, 1.0)], {"held_at": 3.0}, "paused", None),
        ([], {"ended": "completed"}, "completed", None),
        ([], {"ended": "aborted_looping_risk"}, "aborted_looping_risk", None),
    ],
)
def test_derives_status_and_deadline(
    waits: list[Wait], more: dict[str, Any], word: str, deadline: float | None
) -> None:
    found = state(*waits, **more)
    assert (status(found), next_deadline(found, Limits())) == (word, deadline)
    assert at_rest(found) is (word != "running")


def test_derives_what_is_open() -> None:
    found = state(*WAITS)
    assert effects(found) == [replace(EFFECT, attempt=2)]
    assert effects(replace(found, held_at=1.0)) == []
    assert [(frame.path, visit.number, question) for frame, visit, question in questions(found)] == [("", 11, QUESTION)]
    assert (has_timers(found), has_timers(state(Working(EFFECT), Asking(QUESTION, 1.0)))) == (True, False)
    assert has_timers(replace(found, ended="cancelled")) is False
