"""Pause and resume: when a run is held, what stands still meanwhile, what goes on afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.messages import DeadlinePassed, EffectSucceeded, GivenAnswer, Pause, Resume
from app.engine.state import Effect, Sleeping, effects, encode, next_deadline, questions
from app.engine.step import RefusedError, Step
from tests.engine.graphs import BEGIN, Bench, edge, fan, line, node, source

ASK = node("ask", "ask", prompt="?", expires_in_seconds=100)


def work(name: str = "work", **config: Any) -> dict[str, Any]:
    return node(name, "probe", **config)


def held(graph: Any, at: float = BEGIN) -> Bench:
    bench = Bench(graph)
    bench.now = at
    bench.do(Pause(now=at))
    assert bench.status == "paused"
    return bench


def resumed(bench: Bench, at: float, *answers: GivenAnswer) -> Step:
    bench.now = at
    return bench.do(Resume(now=at, answers=answers))


def test_a_waiting_run_is_held_at_once_in_a_turn_of_its_own() -> None:
    bench = held(line(ASK))
    assert (bench.at.turn, bench.at.held_at, bench.kinds()[-3:]) == (
        2,
        BEGIN,
        ["FramePaused", "TurnEnded", "RunPaused"],
    )
    resumed(bench, BEGIN + 1)
    assert (bench.at.turn, bench.status, bench.kinds()[-1]) == (3, "waiting_for_user_input", "ReadyForInput")


def test_a_pause_of_a_running_run_joins_its_turn() -> None:
    bench = held(line(node("nap", "wait", seconds=60)))
    assert (bench.at.turn, [event.turn for event in bench.those("TurnEnded")]) == (1, [1])


def test_once_effects_in_flight_settle_first() -> None:
    nodes = work("a"), work("b", once=False), work("c", on_error="default")
    bench = Bench(fan(*nodes, then=node("said", "message", text="on")))
    bench.do(Pause(now=BEGIN))
    assert (bench.status, bench.at.pausing) == ("running", True)
    bench.succeed("A")
    bench.fail(retryable=False, which=1)
    assert (bench.status, bench.at.pausing, bench.texts()) == ("paused", False, [])
    assert [effect.id for effect in resumed(bench, BEGIN + 5).effects] == ["b#3.1"]
    assert (bench.status, bench.texts()) == ("running", ["on", "on"])


def test_a_replayable_effect_is_dropped_and_runs_again_on_resume() -> None:
    bench = held(line(work(once=False), node("end", "end", outputs={"x": "{{work}}"})))
    effect = Effect(id="work#2.1", operation="probe", request=None, once=False, timeout_seconds=30.0)
    assert effects(bench.at) == []
    before = bench.at
    late = EffectSucceeded(now=BEGIN, effect_id="work#2.1", result="dropped")
    assert bench.do(late) == Step(before, (), ())
    assert resumed(bench, BEGIN + 5).effects == (effect,)
    bench.succeed("fresh")
    assert bench.at.outputs == {"x": "fresh"}


def test_no_attempt_starts_while_a_run_is_about_to_be_held() -> None:
    retry = {"max_attempts": 3}
    bench = Bench(fan(work("a", retry=retry), work("b")))
    bench.do(Pause(now=BEGIN))
    assert bench.fail().effects == ()
    assert [effect.id for effect in effects(bench.at)] == ["b#3.1"]
    bench.succeed(which=0)
    assert bench.status == "paused"
    again = resumed(bench, BEGIN + 50).effects
    assert [(effect.id, effect.attempt) for effect in again] == [("a#2.1", 2)]


def test_between_two_effects_of_one_node_the_run_is_held() -> None:
    bench = Bench(line(work()))
    bench.do(Pause(now=BEGIN))
    bench.succeed("again")
    assert bench.status == "paused"
    assert [effect.id for effect in resumed(bench, BEGIN + 1).effects] == ["work#2.2"]


def test_every_clock_stands_while_held() -> None:
    retry = {"max_attempts": 2, "delay_seconds": 40}
    flaky = node("flaky", "no_op", simulate_failure=True, retry=retry, on_error="default")
    bench = Bench(fan(ASK, node("nap", "wait", seconds=60), flaky, work(retry={**retry, "delay_seconds": 50})))
    bench.fail()
    bench.do(Pause(now=BEGIN + 30))
    assert next_deadline(bench.at, bench.limits) is None
    before = bench.at
    assert bench.do(DeadlinePassed(now=BEGIN + 9_000)) == Step(before, (), ())
    resumed(bench, BEGIN + 1_030)
    deadlines = []
    while not bench.at.ended:
        bench.now = next_deadline(bench.at, bench.limits) or 0.0
        deadlines.append(bench.now - BEGIN)
        bench.do(DeadlinePassed(now=bench.now))
        if effects(bench.at):
            bench.succeed()
    assert deadlines == [1_040, 1_050, 1_060, 1_100]


def test_the_rest_of_a_deadline_is_left_after_a_pause() -> None:
    bench = held(line(ASK), BEGIN + 50)
    resumed(bench, BEGIN + 500)
    assert questions(bench.at)[0][2].expires_at == BEGIN + 550
    assert bench.do(DeadlinePassed(now=BEGIN + 549)).events == ()
    bench.wait(50)
    assert bench.at.termination_source == "expired"


def test_a_short_timer_stays_short_however_long_the_run_is_held() -> None:
    """One of a minute counts as input from outside."""
    bench = held(line(node("nap", "wait", seconds=10), node("ask", "ask", prompt="?")), BEGIN + 1)
    resumed(bench, BEGIN + 1_001)
    assert bench.at.frames[0].visits[0].wait == Sleeping(BEGIN + 1_010, BEGIN + 1_000)
    bench.wait(9)
    assert bench.at.since_input == {"start": 1, "nap": 1, "ask": 1}


def test_what_was_due_when_the_run_was_held_fires_on_resume() -> None:
    bench = held(line(node("nap", "wait", seconds=10), node("said", "message", text="up")), BEGIN + 10)
    resumed(bench, BEGIN + 99)
    assert (bench.status, bench.texts()) == ("completed", ["up"])


def test_a_clock_that_goes_backwards_moves_no_deadline_forward() -> None:
    bench = held(line(ASK), BEGIN + 50)
    resumed(bench, BEGIN + 40)
    assert next_deadline(bench.at, bench.limits) == BEGIN + 100


def test_resume_may_answer() -> None:
    bench = held(fan(ASK, node("other", "ask", prompt="!"), then=node("said", "message", text="{{ask?}}")))
    resumed(bench, BEGIN + 1, GivenAnswer("pause_1", "yes", "yes"))
    assert (bench.texts(), [question.pause_id for _, _, question in questions(bench.at)]) == (["yes"], ["pause_2"])
    assert bench.at.turn == 3


def test_resume_writes_variables() -> None:
    bench = held(line(node("ask", "ask", prompt="?"), node("said", "message", text="[[v]]")))
    bench.do(Resume(now=BEGIN, variables={"v": 1}))
    bench.answer("x")
    assert bench.texts() == ["1"]


@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        ("held", Pause(now=BEGIN), "already_paused"),
        ("held", Resume(now=BEGIN, answers=(GivenAnswer("pause_9", 1, "1"),)), "pause_already_answered"),
        ("waiting", Resume(now=BEGIN), "not_paused"),
        ("pausing", Resume(now=BEGIN), "not_paused"),
        ("pausing", Pause(now=BEGIN), "already_paused"),
    ],
)
def test_is_refused(before: str, command: Any, code: str) -> None:
    bench = Bench(line(work()) if before == "pausing" else line(ASK))
    if before != "waiting":
        bench.do(Pause(now=BEGIN))
    stored = encode(bench.at)
    with pytest.raises(RefusedError) as refused:
        bench.do(command)
    assert (refused.value.code, encode(bench.at)) == (code, stored)


def test_answers_are_refused_while_held() -> None:
    bench = held(line(ASK))
    with pytest.raises(RefusedError) as refused:
        bench.answer("x")
    assert refused.value.code == "run_paused"


def test_a_held_join_goes_on_where_it_was() -> None:
    nodes = [node("start", "start"), work("a"), work("b"), node("said", "message", text="once", join="all")]
    edges = [edge("start", "a"), edge("start", "b"), edge("a", "said"), edge("b", "said")]
    bench = Bench(source(nodes, edges))
    bench.succeed()
    bench.do(Pause(now=BEGIN))
    bench.succeed()
    assert (bench.status, bench.at.frames[0].arrivals) == ("paused", {"said": 1})
    resumed(bench, BEGIN + 1)
    assert (bench.status, bench.texts()) == ("completed", ["once"])
