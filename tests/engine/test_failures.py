"""Failures: retries of effects and of nodes, what on_error catches, what ends the run."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.messages import EffectFailed, EffectSucceeded, NodeFinished, NodeRetried
from app.engine.state import BackingOff, Effect, Working, effects, next_deadline
from tests.engine.graphs import BEGIN, Bench, edge, fan, line, node, source

RETRY = {"max_attempts": 3, "delay_seconds": 2, "backoff": 3}
WORK: dict[str, Any] = {"node_id": "work", "node_name": "work", "path": "work", "visit": 2}


def work(**config: Any) -> dict[str, Any]:
    return node("work", "probe", **config)


def effect(attempt: int = 1, **more: Any) -> Effect:
    words: dict[str, Any] = {"operation": "probe", "request": None, "once": True, "timeout_seconds": 30.0, **more}
    return Effect(id="work#2.1", attempt=attempt, **words)


def test_an_effect_keeps_its_id_over_its_attempts() -> None:
    bench = Bench(line(work(retry=RETRY)))
    assert effects(bench.at) == [effect()]
    made = bench.fail()
    assert made.effects == ()
    assert made.events == (NodeRetried(seq=7, at=BEGIN, **WORK, attempt=1, error_type="timeout", delay_seconds=2),)
    assert bench.at.frames[0].visits[0].wait == BackingOff(BEGIN + 2, effect(2))
    assert bench.wait(2).effects == (effect(2),)
    bench.fail()
    assert next_deadline(bench.at, bench.limits) == BEGIN + 2 + 6
    assert bench.wait(6).effects == (effect(3),)
    bench.fail()
    assert (bench.status, bench.at.error) == ("failed", "node 'work' failed: timeout!")
    assert bench.at.termination_source == "execution_error"


def test_every_effect_of_a_node_has_its_own_attempts() -> None:
    bench = Bench(line(work(retry={"max_attempts": 2})))
    assert bench.fail().effects == (effect(2),)
    assert bench.succeed("again").effects[0].id == "work#2.2"
    assert [(one.id, one.attempt) for one in bench.fail().effects] == [("work#2.2", 2)]
    bench.succeed("done")
    assert (bench.status, bench.at.executions) == ("completed", 2)


@pytest.mark.parametrize(("retryable", "retry"), [(False, RETRY), (True, None), (True, {"max_attempts": 1})])
def test_a_failure_is_final(retryable: bool, retry: Any) -> None:
    bench = Bench(line(work(**({"retry": retry} if retry else {}))))
    bench.fail("http_status", retryable=retryable)
    assert (bench.status, bench.those("NodeRetried")) == ("failed", [])


def test_a_failure_of_an_earlier_attempt_does_not_count() -> None:
    bench = Bench(line(work(retry={"max_attempts": 2})))
    first = EffectFailed(
        now=BEGIN, effect_id="work#2.1", attempt=1, error_type="timeout", error_message="", retryable=True
    )
    bench.do(first)
    assert bench.do(first).events == ()
    assert bench.at.frames[0].visits[0].wait == Working(effect(2))


def test_retries_of_a_node_back_off_and_end_in_the_failure() -> None:
    bench = Bench(line(node("flaky", "no_op", simulate_failure=True, retry=RETRY)))
    assert (bench.status, next_deadline(bench.at, bench.limits)) == ("running", BEGIN + 2)
    bench.wait(2)
    assert next_deadline(bench.at, bench.limits) == BEGIN + 8
    bench.wait(6)
    assert (bench.status, bench.at.termination_source, bench.at.turn) == ("failed", "execution_error", 1)
    retried = [(event.attempt, event.error_type, event.delay_seconds) for event in bench.those("NodeRetried")]
    assert retried == [(1, "simulated", 2), (2, "simulated", 6)]


def test_a_retry_is_no_execution() -> None:
    bench = Bench(line(node("flaky", "no_op", simulate_failure=2, retry={"max_attempts": 3}, output="ok")))
    assert (bench.status, bench.at.frames[0].outputs["flaky"]) == ("completed", "ok")
    assert (bench.at.executions, bench.kinds().count("NodeStarted"), bench.kinds().count("NodeRetried")) == (2, 2, 2)


def test_a_delay_is_waited_in_every_attempt() -> None:
    flaky = node("flaky", "no_op", simulate_failure=1, delay_seconds=5, retry={"max_attempts": 2, "delay_seconds": 1})
    bench = Bench(line(flaky))
    deadlines = []
    while not bench.at.ended:
        deadlines.append((next_deadline(bench.at, bench.limits) or 0.0) - bench.now)
        bench.wait(deadlines[-1])
    assert (deadlines, bench.status) == ([5, 1, 5], "completed")


CAUGHT: dict[str, Any] = {"error_type": "timeout", "error_message": "timeout!"}


@pytest.mark.parametrize(
    ("config", "outputs", "finished"),
    [
        ({"on_error": "branch"}, {"error": CAUGHT}, {"output": CAUGHT, "handle": "error"}),
        ({"on_error": "default", "default_output": 7}, {"out": 7}, {"output": 7, "handle": "out"}),
        ({"on_error": "default"}, {"out": None}, {"output": None, "handle": "out"}),
        (
            {"on_error": "default", "default_output": {"who": ["{{name}}", "[[v]]!"]}},
            {"out": {"who": [["Ada"], "1!"]}},
            {"output": {"who": [["Ada"], "1!"]}, "handle": "out"},
        ),
    ],
)
def test_on_error_catches_a_failure(config: dict[str, Any], outputs: Any, finished: dict[str, Any]) -> None:
    ends = [node("good", "end", outputs={"out": "{{work}}"}), node("bad", "end", outputs={"error": "{{work}}"})]
    edges = [edge("start", "work"), edge("work", "good")]
    edges += [edge("work", "bad", "error")] if config["on_error"] == "branch" else []
    bench = Bench(
        source([node("start", "start"), work(**config), *ends], edges), inputs={"name": ["Ada"]}, variables={"v": 1}
    )
    bench.fail(retryable=False)
    assert (bench.status, bench.at.outputs) == ("completed", outputs)
    assert bench.those("NodeFinished")[1] == NodeFinished(seq=7, at=BEGIN, **WORK, **finished, **CAUGHT)


def test_retries_come_before_on_error() -> None:
    bench = Bench(line(work(retry={"max_attempts": 2}, on_error="default", default_output="d")))
    bench.fail()
    assert bench.status == "running"
    bench.fail()
    assert bench.at.frames[0].outputs["work"] == "d"


def test_a_default_that_cannot_be_rendered_fails_the_run() -> None:
    bench = Bench(line(work(on_error="default", default_output="{{nobody}}")))
    bench.fail(retryable=False)
    assert (bench.status, bench.those("RunFailed")[0].error_type) == ("failed", "invalid_reference")


def test_an_error_without_an_edge_ends_its_branch_only() -> None:
    bench = Bench(fan(work(on_error="branch"), node("end", "end", outputs={"x": 1})))
    bench.fail(retryable=False)
    assert (bench.status, bench.at.outputs) == ("completed", {"x": 1})


def test_a_failure_ends_what_else_is_under_way() -> None:
    bench = Bench(fan(work(), node("other", "probe"), node("ask", "ask", prompt="?"), node("nap", "wait", seconds=9)))
    bench.fail(retryable=False)
    assert (bench.status, bench.at.frames[0].visits, effects(bench.at)) == ("failed", (), [])


@pytest.mark.parametrize("result", ["\ud800", 10**5_000, {"a": ["\udfff"]}], ids=["text", "number", "deep"])
def test_a_result_that_cannot_be_kept_fails_its_effect(result: Any) -> None:
    bench = Bench(line(work(on_error="branch")))
    bench.do(EffectSucceeded(now=BEGIN, effect_id="work#2.1", result=result))
    assert bench.those("NodeFinished")[1].error_type == "invalid_output"


@pytest.mark.parametrize(
    ("message", "kept"), [("bad \ud800 text", "bad ? text"), ("x" * 5_000, "x" * 4_096)], ids=["surrogate", "long"]
)
def test_the_message_of_an_effect_is_kept_readable(message: str, kept: str) -> None:
    bench = Bench(line(work()))
    bench.do(EffectFailed(now=BEGIN, effect_id="work#2.1", error_type="code_error", error_message=message))
    assert bench.at.error == f"node 'work' failed: {kept}"


@pytest.mark.parametrize(("config", "seconds"), [({}, 30.0), ({"timeout_seconds": 2.5}, 2.5)])
def test_a_time_out_of_the_node_bounds_its_effects(config: dict[str, Any], seconds: float) -> None:
    assert effects(Bench(line(work(**config))).at)[0].timeout_seconds == seconds
