"""The pure step: what each kind does, how turns open and close, joins, retries, deadlines, limits."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.messages import (
    Abort,
    Answer,
    DeadlinePassed,
    GivenAnswer,
    Pause,
    Resume,
    Start,
    Stop,
)
from app.engine.state import Limits, at_rest, decode, encode, next_deadline, questions, status
from app.engine.step import RefusedError, step
from tests.engine.graphs import RUN, WORKFLOW, Bench, edge, line, node, source

ASK = node("ask", "ask", prompt="Who are you?", output="name")
GREET = node("greet", "message", text="Hello, [[name]]!")
END = node("end", "end", outputs={"greeting": "{{greet.text}}"})


def test_a_run_waits_for_a_person_and_ends_with_the_answer() -> None:
    bench = Bench(line(ASK, GREET, END))
    assert status(bench.at) == "waiting_for_user_input"
    assert bench.kinds()[-3:] == ["FramePaused", "TurnEnded", "ReadyForInput"]
    bench.answer("Ada")
    assert (status(bench.at), bench.at.turn, bench.at.outputs) == ("completed", 2, {"greeting": "Hello, Ada!"})
    assert [event.seq for event in bench.events] == list(range(1, len(bench.events) + 1))
    assert bench.kinds()[-1] == "RunEnded"


def test_a_state_survives_encoding_with_integers_beyond_64_bits() -> None:
    bench = Bench(line(ASK, GREET, END), inputs={"n": 2**200, "list": [-(2**70), 1.5, None, {"$a.b": "x"}]})
    assert decode(encode(bench.at)) == bench.at
    assert decode(encode(bench.at)).frames[0].inputs == {"n": 2**200, "list": [-(2**70), 1.5, None, {"$a.b": "x"}]}


@pytest.mark.parametrize(("amount", "handle"), [(500, "large"), (100, "else"), (-1, "else")])
def test_a_condition_takes_the_first_true_case(amount: int, handle: str) -> None:
    graph = source(
        [
            node("start", "start"),
            node("size", "condition", cases=[{"handle": "large", "expression": "amount > 100"}]),
            node("large", "end", outputs={"went": "large"}),
            node("small", "end", outputs={"went": "else"}),
        ],
        [edge("start", "size"), edge("size", "large", "large"), edge("size", "small", "else")],
    )
    assert Bench(graph, inputs={"amount": amount}).at.outputs == {"went": handle}


def diamond(join: str) -> dict[str, Any]:
    return source(
        [
            node("start", "start"),
            node("left", "ask", prompt="Left?"),
            node("right", "no_op"),
            node("merge", "message", text="merged", join=join),
        ],
        [edge("start", "left"), edge("start", "right"), edge("left", "merge"), edge("right", "merge")],
    )


@pytest.mark.parametrize(("join", "times"), [("all", 1), ("any", 2)])
def test_a_join_runs_once_for_all_and_each_time_for_any(join: str, times: int) -> None:
    bench = Bench(diamond(join))
    bench.answer("x")
    assert status(bench.at) == "completed"
    assert [event.text for event in bench.events if hasattr(event, "text") and event.text == "merged"] == [
        "merged"
    ] * times


def test_a_join_for_all_goes_on_when_a_branch_has_died() -> None:
    graph = source(
        [
            node("start", "start"),
            node("choose", "condition", cases=[{"handle": "yes", "expression": "false"}]),
            node("other", "no_op"),
            node("merge", "message", text="merged", join="all"),
        ],
        [edge("start", "choose"), edge("start", "other"), edge("choose", "merge", "yes"), edge("other", "merge")],
    )
    assert "Said" in Bench(graph).kinds()


def test_a_choice_branches_and_an_expired_question_takes_its_own_way() -> None:
    def graph() -> dict[str, Any]:
        ask = node(
            "ask", "ask", prompt="?", choices=["yes"], branch_on_choice=True, expires_in_seconds=10, on_expiry="branch"
        )
        ends = [node("said", "end", outputs={"went": "yes"}), node("late", "end", outputs={"went": "expired"})]
        return source(
            [node("start", "start"), ask, *ends],
            [edge("start", "ask"), edge("ask", "said", "yes"), edge("ask", "late", "expired")],
        )

    answered = Bench(graph())
    answered.answer("yes")
    assert answered.at.outputs == {"went": "yes"}
    late = Bench(graph())
    assert next_deadline(late.at, late.limits) == 1_010.0
    assert late.do(DeadlinePassed(now=1_009.9)).events == ()
    late.do(DeadlinePassed(now=1_010.0))
    assert (late.at.outputs, late.at.turn) == ({"went": "expired"}, 2)


def test_an_expired_question_without_a_way_out_fails_the_run_as_expired() -> None:
    bench = Bench(line(node("ask", "ask", prompt="?", expires_in_seconds=10)))
    bench.do(DeadlinePassed(now=1_010.0))
    assert (status(bench.at), bench.at.termination_source) == ("failed", "expired")
    assert bench.kinds()[-1] == "RunFailed"


def test_retries_back_off_and_end_in_the_failure() -> None:
    retry = {"max_attempts": 3, "delay_seconds": 2, "backoff": 3}
    bench = Bench(line(node("flaky", "no_op", simulate_failure=True, retry=retry)))
    assert (status(bench.at), next_deadline(bench.at, bench.limits)) == ("running", 1_002.0)
    bench.do(DeadlinePassed(now=1_002.0))
    assert next_deadline(bench.at, bench.limits) == 1_008.0
    bench.do(DeadlinePassed(now=1_008.0))
    assert (status(bench.at), bench.at.termination_source, bench.at.turn) == ("failed", "execution_error", 1)


def test_a_retry_that_succeeds_counts_its_failures() -> None:
    bench = Bench(line(node("flaky", "no_op", simulate_failure=2, retry={"max_attempts": 3}, output="ok")))
    assert status(bench.at) == "completed"
    assert bench.kinds().count("NodeRetried") == 2


@pytest.mark.parametrize(
    ("config", "went"),
    [
        ({"on_error": "branch"}, {"error": "simulated"}),
        ({"on_error": "default", "default_output": 7}, {"out": 7}),
    ],
)
def test_on_error_catches_a_failure(config: dict[str, Any], went: dict[str, Any]) -> None:
    ends = [
        node("ok", "end", outputs={"out": "{{bad}}"}),
        node("bad_end", "end", outputs={"error": "{{bad.error_type}}"}),
    ]
    edges = [edge("start", "bad"), edge("bad", "ok")]
    if config["on_error"] == "branch":
        edges.append(edge("bad", "bad_end", "error"))
    else:
        ends = ends[:1]
    graph = source([node("start", "start"), node("bad", "no_op", simulate_failure=True, **config), *ends], edges)
    assert Bench(graph).at.outputs == went


def test_a_disabled_node_is_passed_through() -> None:
    bench = Bench(line(node("ask", "ask", prompt="?", disabled=True), node("end", "end")))
    assert status(bench.at) == "completed"


def test_pause_holds_at_once_while_waiting_and_resume_moves_every_clock() -> None:
    bench = Bench(line(node("ask", "ask", prompt="?", expires_in_seconds=100)))
    bench.do(Pause(now=1_050.0))
    assert (status(bench.at), next_deadline(bench.at, bench.limits)) == ("paused", None)
    with pytest.raises(RefusedError) as refused:
        bench.answer("x")
    assert refused.value.code == "run_paused"
    bench.do(Resume(now=1_500.0))
    assert (status(bench.at), next_deadline(bench.at, bench.limits)) == ("waiting_for_user_input", 1_550.0)


def test_stop_ends_a_waiting_run_and_nothing_moves_it_afterwards() -> None:
    bench = Bench(line(ASK))
    bench.do(Stop(now=1_001.0))
    assert (status(bench.at), bench.at.termination_source) == ("cancelled", "stopped")
    for command in (
        Stop(now=1.0),
        Pause(now=1.0),
        DeadlinePassed(now=9e9),
        Abort(now=1.0, source="x", error_message="y"),
    ):
        with pytest.raises(RefusedError):
            bench.do(command)


def test_a_wait_is_a_timer_and_its_turn_stays_open() -> None:
    bench = Bench(line(node("wait", "wait", seconds=60), node("end", "end", outputs={"at": "{{wait.waited_until}}"})))
    assert (status(bench.at), at_rest(bench.at)) == ("running", False)
    bench.do(DeadlinePassed(now=1_060.0))
    assert (bench.at.outputs, bench.at.turn) == ({"at": "1970-01-01T00:17:40Z"}, 1)


def loop(seconds: float | None = None) -> dict[str, Any]:
    middle = node("again", "no_op") if seconds is None else node("again", "wait", seconds=seconds)
    return source([node("start", "start"), middle], [edge("start", "again"), edge("again", "again")])


def test_a_tight_loop_is_aborted() -> None:
    bench = Bench(loop())
    assert (status(bench.at), bench.at.termination_source) == ("aborted_looping_risk", "looping_risk")
    assert bench.kinds().count("NodeStarted") == 1 + 25


@pytest.mark.parametrize(("seconds", "rounds", "ends"), [(59, 25, True), (60, 60, False)])
def test_a_timer_of_a_minute_counts_as_input_from_outside(seconds: float, rounds: int, ends: bool) -> None:
    bench = Bench(loop(seconds))
    for _ in range(rounds):
        bench.now += seconds
        bench.do(DeadlinePassed(now=bench.now))
    assert bool(bench.at.ended) is ends


def test_a_turn_that_executes_too_many_nodes_is_aborted() -> None:
    nodes = [node(f"n{number}", "no_op") for number in range(20)]
    bench = Bench(line(*nodes), Limits(turn_executions=10))
    assert status(bench.at) == "aborted_looping_risk"


def test_too_many_branches_fail_the_run_as_a_limit() -> None:
    asks = [node(f"a{number}", "ask", prompt="?") for number in range(11)]
    graph = source([node("start", "start"), *asks], [edge("start", one["id"]) for one in asks])
    bench = Bench(graph)
    assert (status(bench.at), bench.at.termination_source) == ("failed", "limit")


def test_several_pauses_are_answered_together_or_one_by_one() -> None:
    graph = source(
        [
            node("start", "start"),
            node("a", "ask", prompt="a?"),
            node("b", "ask", prompt="b?"),
            node("end", "end", join="all"),
        ],
        [edge("start", "a"), edge("start", "b"), edge("a", "end"), edge("b", "end")],
    )
    one = Bench(graph)
    one.answer("x", which=1)
    assert [question.prompt for _, _, question in questions(one.at)] == ["a?"]
    one.answer("y")
    both = Bench(graph)
    given = tuple(GivenAnswer(question.pause_id, 1, "1") for _, _, question in questions(both.at))
    both.do(Answer(now=1_001.0, answers=given))
    assert (status(one.at), one.at.turn, status(both.at), both.at.turn) == ("completed", 3, "completed", 2)


def test_an_unknown_reference_fails_the_node_and_says_so() -> None:
    bench = Bench(line(node("say", "message", text="Hi {{nobody}}")))
    assert status(bench.at) == "failed"
    assert "nobody" in (bench.at.error or "")


def test_a_second_start_and_a_command_before_the_start_are_refused() -> None:
    bench = Bench(line(ASK))
    with pytest.raises(RefusedError):
        bench.do(Start(now=1.0, run_id=RUN, workflow_id=WORKFLOW, version=0, user=None, inputs={}))
    with pytest.raises(RefusedError):
        step(bench.graphs, None, Stop(now=1.0))
