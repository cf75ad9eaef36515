"""Frames: a run may execute several graphs at once, each with its own values. What opens and closes them comes later."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from app.engine.messages import Answer, GivenAnswer, Stop
from app.engine.state import Asking, Frame, Question, Visit, decode, effects, encode, questions
from tests.engine.graphs import BEGIN, Bench, compiled, line, node

CHILD = "child@3"


def nested() -> Bench:
    """A run whose question is open in its own frame and in one within it."""
    bench = Bench(line(node("ask", "ask", prompt="?"), node("say", "message", text="{{ask}} {{who}} [[v?]]")))
    inner = line(
        node("ask", "ask", prompt="inner?", output="v"),
        node("say", "message", text="{{ask}} {{who}} [[v]]"),
        node("work", "probe"),
        node("end", "end", outputs={"inner": 1}),
    )
    bench.graphs[CHILD] = compiled(inner)
    asking = Asking(Question(pause_id="pause_2", kind="ask", prompt="inner?"), BEGIN)
    visit = Visit(node_id="ask", number=3, wait=asking)
    root = replace(bench.at.frames[0], inputs={"who": "outer"})
    child = Frame(path="outer[0]/", graph=CHILD, inputs={"who": "inner"}, visits=(visit,), parent=2)
    bench.state = decode(encode(replace(bench.at, frames=(root, child), next_pause=3, next_visit=4)))
    return bench


def answer(*pause_ids: str) -> Answer:
    return Answer(now=BEGIN, answers=tuple(GivenAnswer(pause_id, pause_id, pause_id) for pause_id in pause_ids))


def test_questions_of_all_frames_are_the_runs() -> None:
    bench = nested()
    assert [(frame.path, question.pause_id) for frame, _, question in questions(bench.at)] == [
        ("", "pause_1"),
        ("outer[0]/", "pause_2"),
    ]


def test_each_frame_moves_in_its_own_graph_with_its_own_values() -> None:
    bench = nested()
    bench.do(answer("pause_2", "pause_1"))
    assert bench.texts() == ["pause_1 outer ", "pause_2 inner pause_2"]
    assert [event.path for event in bench.those("Said")] == ["say", "outer[0]/say"]
    assert [effect.id for effect in effects(bench.at)] == ["outer[0]/work#6.1"]
    root, child = bench.at.frames
    assert (root.variables, child.variables, child.parent) == ({}, {"v": "pause_2"}, 2)
    assert bench.at.since_input == {"say": 1, "outer[0]/say": 1, "outer[0]/work": 1}


def test_the_run_goes_on_as_long_as_a_frame_does() -> None:
    bench = nested()
    bench.do(answer("pause_1"))
    assert (bench.status, bench.kinds()[-4:-2]) == ("waiting_for_user_input", ["FramePaused", "FramePaused"])
    bench.do(answer("pause_2"))
    assert bench.status == "running"
    bench.succeed()
    assert (bench.status, bench.at.frames[1].results) == ("completed", {"inner": 1})


def test_a_run_is_stopped_in_all_its_frames_the_inner_ones_first() -> None:
    bench = nested()
    bench.graphs.pop(CHILD)
    bench.do(Stop(now=BEGIN))
    assert [event.path for event in bench.those("FrameEnded")] == ["outer[0]/", ""]
    assert [frame.visits for frame in bench.at.frames] == [(), ()]


def test_the_variables_of_an_answer_are_the_runs_own() -> None:
    bench = nested()
    given: Any = replace(answer("pause_2"), variables={"v": "root's"})
    bench.do(given)
    assert [frame.variables for frame in bench.at.frames] == [{"v": "root's"}, {"v": "pause_2"}]
