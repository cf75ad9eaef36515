"""Questions to people: what is asked, which answers are taken, choices, deadlines, several at once."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.kind import Choice
from app.engine.messages import Answer, DeadlinePassed, GivenAnswer, QuestionExpired
from app.engine.state import Question, encode, next_deadline, questions
from app.engine.step import RefusedError
from tests.engine.graphs import BEGIN, Bench, edge, fan, line, node, source


def asked(**config: Any) -> Question:
    """What an ask with this config asks."""
    bench = Bench(line(node("ask", "ask", **config)), variables={"name": "Ada", "n": 3}, inputs={"list": [1]})
    return questions(bench.at)[0][2]


@pytest.mark.parametrize(
    ("config", "question"),
    [
        ({"prompt": "Hi [[name]], {{list}}"}, {"prompt": "Hi Ada, [1]"}),
        ({"prompt": "{{list}}"}, {"prompt": "[1]"}),
        ({"prompt": "?", "schema": {"type": "number"}}, {"schema": {"type": "number"}}),
        ({"prompt": "?", "schema": {"pattern": "{{x}}"}}, {"schema": {"pattern": "{{x}}"}}),
        ({"prompt": "?", "expires_in_seconds": 0.5}, {"expires_at": BEGIN + 0.5}),
        ({"prompt": "?", "choices": ["a", "[[n]]"]}, {"choices": (Choice("a", "a"), Choice("3", "3"))}),
        (
            {"prompt": "?", "choices": [{"id": "x"}, {"id": "y", "title": "[[name]]"}], "branch_on_choice": True},
            {"choices": (Choice("x", "x"), Choice("y", "Ada"))},
        ),
    ],
)
def test_asks(config: dict[str, Any], question: dict[str, Any]) -> None:
    assert asked(**config) == Question(**{"pause_id": "pause_1", "kind": "ask", "prompt": "?", **question})


@pytest.mark.parametrize("value", ["text", None, 0, False, {"a": [2**80]}, "{{ask}} [[v]]"])
def test_the_answer_is_the_output_and_the_variable_as_it_is(value: Any) -> None:
    ask = node("ask", "ask", prompt="?", output="v")
    bench = Bench(line(ask, node("end", "end", outputs={"output": "{{ask}}", "variable": "[[v]]"})))
    bench.answer(value)
    assert bench.at.outputs == {"output": value, "variable": value}


def forked() -> dict[str, Any]:
    ask = node("ask", "ask", prompt="?", choices=["yes", "no"], branch_on_choice=True)
    ask["config"] |= {"expires_in_seconds": 10, "on_expiry": "branch"}
    ends = [node(f"end-{way}", "end", outputs={"went": way, "answer": "{{ask}}"}) for way in ("yes", "no", "expired")]
    ways = [edge("ask", end["id"], end["id"].removeprefix("end-")) for end in ends]
    return source([node("start", "start"), ask, *ends], [edge("start", "ask"), *ways])


@pytest.mark.parametrize("choice", ["yes", "no"])
def test_a_choice_branches(choice: str) -> None:
    bench = Bench(forked())
    bench.answer(choice)
    assert bench.at.outputs == {"went": choice, "answer": choice}
    assert [event.conditional for event in bench.those("EdgeTaken")] == [False, True]


def test_an_expired_question_takes_its_own_way() -> None:
    bench = Bench(forked())
    assert next_deadline(bench.at, bench.limits) == BEGIN + 10
    made = bench.do(DeadlinePassed(now=BEGIN + 10))
    assert (bench.at.outputs, bench.at.turn) == ({"went": "expired", "answer": None}, 2)
    ask: dict[str, Any] = {"node_id": "ask", "node_name": "ask", "path": "ask", "visit": 2}
    assert made.events[0] == QuestionExpired(seq=11, at=BEGIN + 10, **ask, pause_id="pause_1")


@pytest.mark.parametrize(
    ("config", "ending", "source", "outputs"),
    [
        ({}, "failed", "expired", {}),
        ({"on_error": "default", "default_output": "none"}, "completed", None, {"answer": "none"}),
    ],
)
def test_an_expired_question_without_a_way_out_fails_as_expired(
    config: dict[str, Any], ending: str, source: str | None, outputs: dict[str, Any]
) -> None:
    ask = node("ask", "ask", prompt="?", expires_in_seconds=10, **config)
    bench = Bench(line(ask, node("end", "end", outputs={"answer": "{{ask}}"})))
    bench.wait(10)
    assert (bench.status, bench.at.termination_source, bench.at.outputs) == (ending, source, outputs)
    assert bench.those("NodeFinished")[1].error_type == "expired"


def test_an_answer_after_the_deadline_is_refused_before_the_deadline_has_fired() -> None:
    bench = Bench(line(node("ask", "ask", prompt="?", expires_in_seconds=10)))
    bench.now += 10
    with pytest.raises(RefusedError) as refused:
        bench.answer("late")
    assert refused.value.code == "pause_expired"


def test_the_last_pauses_that_expired_are_remembered() -> None:
    ask = node("ask", "ask", prompt="?", expires_in_seconds=60, on_error="default")
    bench = Bench(source([node("start", "start"), ask], [edge("start", "ask"), edge("ask", "ask")]))
    bench.wait(60)
    assert bench.at.expired == ("pause_1",)
    for _ in range(40):
        bench.wait(60)
    assert bench.at.expired == tuple(f"pause_{number}" for number in range(10, 42))


def two() -> dict[str, Any]:
    return fan(node("a", "ask", prompt="a?"), node("b", "ask", prompt="b?"), then=node("end", "end", join="all"))


def test_several_pauses_are_answered_one_by_one() -> None:
    bench = Bench(two())
    bench.answer("x", which=1)
    assert [question.prompt for _, _, question in questions(bench.at)] == ["a?"]
    assert bench.status == "waiting_for_user_input"
    bench.answer("y")
    assert (bench.status, bench.at.turn) == ("completed", 3)


def test_several_pauses_are_answered_together() -> None:
    bench = Bench(two())
    given = tuple(GivenAnswer(question.pause_id, 1, "1") for _, _, question in reversed(questions(bench.at)))
    bench.do(Answer(now=BEGIN, answers=given, variables={"v": 1}))
    assert (bench.status, bench.at.turn, bench.at.frames[0].variables) == ("completed", 2, {"v": 1})
    assert [event.pause_id for event in bench.those("UserSpoke")] == ["pause_1", "pause_2"]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ((), "missing_answer"),
        ((("pause_1", 1), ("pause_9", 1)), "pause_already_answered"),
        ((("pause_1", 1), ("pause_1", 2)), "pause_already_answered"),
        ((("pause_1", "\ud800"),), "unstorable_value"),
        ((("pause_3", "neither"),), "invalid_answer"),
        ((("pause_1", 1), ("pause_3", None)), "invalid_answer"),
    ],
)
def test_answers_are_taken_all_or_none(answers: tuple[tuple[str, Any], ...], code: str) -> None:
    graph = fan(
        node("a", "ask", prompt="a?"), node("b", "ask", prompt="b?"), node("c", "ask", prompt="c?", choices=["c"])
    )
    bench = Bench(graph)
    before = encode(bench.at)
    with pytest.raises(RefusedError) as refused:
        bench.do(Answer(now=BEGIN, answers=tuple(GivenAnswer(*one, "") for one in answers), variables={"v": 1}))
    assert (refused.value.code, encode(bench.at)) == (code, before)


def test_an_answer_is_taken_once() -> None:
    bench = Bench(line(node("ask", "ask", prompt="1?"), node("more", "ask", prompt="2?")))
    first = Answer(now=BEGIN, answers=(GivenAnswer("pause_1", "x", "x"),))
    bench.do(first)
    with pytest.raises(RefusedError) as refused:
        bench.do(first)
    assert refused.value.code == "pause_already_answered"


def test_variables_are_written_before_the_answer() -> None:
    ask = node("ask", "ask", prompt="?", output="v")
    bench = Bench(line(ask, node("end", "end", outputs={"v": "[[v]]", "w": "[[w]]"})))
    bench.do(Answer(now=BEGIN, answers=(GivenAnswer("pause_1", "answer", ""),), variables={"v": "given", "w": 1}))
    assert bench.at.outputs == {"v": "answer", "w": 1}


def test_an_answer_that_is_too_large_for_a_variable_fails_the_node() -> None:
    bench = Bench(line(node("ask", "ask", prompt="?", output="v")))
    bench.answer("x" * 300_000)
    assert (bench.status, bench.those("NodeFinished")[-1].error_type) == ("failed", "too_large")
