"""Branches: joins, cycles, and the bounds that every turn has."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.engine.messages import Warned
from app.engine.state import Limits
from tests.engine.graphs import KEY, Bench, edge, fan, line, node, source


def diamond(join: str) -> dict[str, Any]:
    merge = node("merge", "message", text="merged", join=join)
    return fan(node("left", "ask", prompt="Left?"), node("right", "no_op"), then=merge)


@pytest.mark.parametrize(("join", "before", "after"), [("all", [], ["merged"]), ("any", ["merged"], ["merged"] * 2)])
def test_a_join_runs_once_for_all_and_each_time_for_any(join: str, before: list[str], after: list[str]) -> None:
    bench = Bench(diamond(join))
    assert bench.texts() == before
    bench.answer("x")
    assert (bench.status, bench.texts()) == ("completed", after)


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
    assert Bench(graph).texts() == ["merged"]


def test_a_join_that_no_token_reaches_does_not_run() -> None:
    graph = diamond("all")
    graph["edges"] = [one for one in graph["edges"] if one["target"] != "merge"]
    bench = Bench(graph)
    bench.answer("x")
    assert (bench.status, bench.texts()) == ("completed", [])


def test_a_join_waits_for_a_branch_that_is_far_away() -> None:
    graph = diamond("all")
    graph["nodes"].append(node("late", "wait", seconds=5))
    graph["edges"] = [*graph["edges"][:3], edge("left", "late"), edge("late", "merge")]
    graph["edges"].append(edge("right", "merge"))
    bench = Bench(graph)
    bench.answer("x")
    assert bench.texts() == []
    bench.wait(5)
    assert (bench.status, bench.texts()) == ("completed", ["merged"])


def test_joins_in_a_row_each_run_once() -> None:
    nodes = [node(name, "no_op") for name in "dabc"]  # a token is at the second before one is at the first
    first, second = node("first", "message", text="1", join="all"), node("second", "message", text="2", join="all")
    edges = [edge("start", name) for name in "dabc"] + [edge(name, "first") for name in "abc"]
    graph = source(
        [node("start", "start"), *nodes, second, first], [*edges, edge("d", "second"), edge("first", "second")]
    )
    assert Bench(graph).texts() == ["1", "2"]


def test_a_join_after_a_cycle_waits_until_the_cycle_has_ended() -> None:
    nodes = [
        node("start", "start"),
        node("ask", "ask", prompt="?", output="v"),
        node("more", "condition", cases=[{"handle": "more", "expression": "[[v]] != 'stop'"}]),
        node("end", "message", text="all", join="all"),
    ]
    edges = [edge("start", "ask"), edge("start", "end"), edge("ask", "more"), edge("more", "ask", "more")]
    bench = Bench(source(nodes, [*edges, edge("more", "end", "more"), edge("more", "end", "else")]))
    for answer in ("a", "b", "stop"):
        assert bench.texts() == []
        bench.answer(answer)
    assert (bench.status, bench.texts()) == ("completed", ["all"])


def test_parallel_branches_take_turns_in_the_order_of_their_tokens() -> None:
    left, right = node("l1", "message", text="l1"), node("r1", "message", text="r1")
    graph = fan(left, right)
    graph["nodes"] += [node("l2", "message", text="l2"), node("r2", "message", text="r2")]
    graph["edges"] += [edge("l1", "l2"), edge("r1", "r2")]
    assert Bench(graph).texts() == ["l1", "r1", "l2", "r2"]


def test_a_retry_at_once_goes_before_younger_tokens() -> None:
    flaky = node("flaky", "no_op", simulate_failure=1, retry={"max_attempts": 2})
    bench = Bench(fan(flaky, node("say", "message", text="x")))
    assert [event.node_id for event in bench.those("NodeFinished")] == ["start", "flaky", "say"]


@pytest.mark.parametrize(("asks", "status"), [(10, "waiting_for_user_input"), (11, "failed")])
def test_branches_are_bounded(asks: int, status: str) -> None:
    bench = Bench(fan(*(node(f"a{number}", "ask", prompt="?") for number in range(asks))))
    assert (bench.status, bench.at.termination_source) == (status, None if asks == 10 else "limit")


def test_what_can_never_move_is_a_failure() -> None:
    """Validation keeps joins off cycles; here one got there."""
    bench = Bench(line(node("ask", "ask", prompt="?"), node("a", "no_op"), node("b", "no_op", join="all")))
    graph = bench.graphs[KEY]
    back = msgspec.structs.replace(graph.edges[0], id="back", source="b", target="b")
    nodes = {**graph.nodes}
    bench.graphs[KEY] = msgspec.structs.replace(
        graph, nodes=nodes, by_target={**graph.by_target, "b": (*graph.by_target["b"], back)}, ancestors_of_joins={}
    )
    bench.answer("x")
    failed = bench.those("RunFailed")[0]
    assert (bench.status, bench.at.termination_source) == ("failed", "execution_error")
    assert (failed.error_type, failed.error_message) == ("stuck", "nothing in this run can move any more")


# ---- bounds


def loop(kind: str = "no_op", **config: Any) -> dict[str, Any]:
    return source(
        [node("start", "start"), node("again", kind, **config)], [edge("start", "again"), edge("again", "again")]
    )


def test_a_tight_loop_is_aborted() -> None:
    bench = Bench(loop())
    why = "node 'again' may be executed 25 times without input from outside"
    assert (bench.status, bench.at.termination_source, bench.at.error) == ("aborted_looping_risk", "looping_risk", why)
    assert bench.kinds().count("NodeStarted") == 1 + 25
    assert [event.message for event in bench.events if isinstance(event, Warned)] == [why]
    assert bench.events[-1].status == "aborted_looping_risk"


def test_an_answer_begins_the_count_anew() -> None:
    graph = source(
        [node("start", "start"), node("ask", "ask", prompt="?"), node("say", "message", text="x")],
        [edge("start", "ask"), edge("ask", "say"), edge("say", "ask")],
    )
    bench = Bench(graph)
    for _ in range(60):
        bench.answer("x")
    assert (bench.status, bench.at.since_input) == ("waiting_for_user_input", {"say": 1, "ask": 1})


def test_an_answer_to_another_branch_counts_as_well() -> None:
    graph = loop("wait", seconds=1)
    graph["nodes"].append(node("ask", "ask", prompt="?"))
    graph["edges"].append(edge("start", "ask"))
    bench = Bench(graph)
    for _ in range(20):
        bench.wait(1)
    bench.answer("x")
    for _ in range(20):
        bench.wait(1)
    assert bench.status == "running"


@pytest.mark.parametrize(("seconds", "rounds", "ends"), [(59, 25, True), (60, 60, False)])
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("wait", {"seconds": "s"}),
        ("no_op", {"delay_seconds": "s"}),
        ("ask", {"prompt": "?", "expires_in_seconds": "s", "on_error": "default"}),
    ],
)
def test_a_clock_of_a_minute_counts_as_input_from_outside(
    kind: str, config: dict[str, Any], seconds: float, rounds: int, ends: bool
) -> None:
    bench = Bench(loop(kind, **{name: seconds if value == "s" else value for name, value in config.items()}))
    for _ in range(rounds):
        bench.wait(seconds)
    assert (bench.at.ended == "aborted_looping_risk") is ends


def test_executions_of_a_turn_are_bounded_and_begin_anew_with_each() -> None:
    nodes = [node(f"n{number}", "no_op") for number in range(8)]
    graph = line(*nodes, node("ask", "ask", prompt="?"), *(node(f"m{number}", "no_op") for number in range(10)))
    assert Bench(graph, Limits(turn_executions=9)).at.ended == "aborted_looping_risk"
    bench = Bench(graph, Limits(turn_executions=10))
    assert (bench.status, bench.at.executions) == ("waiting_for_user_input", 10)
    bench.answer("x")
    assert (bench.status, bench.at.executions) == ("completed", 10)


def test_500_executions_are_allowed() -> None:
    assert Bench(line(*(node(f"n{number}", "no_op") for number in range(499)))).status == "completed"


def test_a_turn_works_for_a_bounded_time_not_counting_timers_and_people() -> None:
    work = node("work", "probe")
    bench = Bench(line(work, node("nap", "wait", seconds=1_000), node("more", "probe"), node("ask", "ask", prompt="?")))
    bench.now += 200
    bench.succeed()
    bench.wait(1_000)
    assert (bench.at.worked_seconds, bench.at.working_since) == (200, bench.now)
    assert bench.wait(99.5).events == ()
    bench.wait(0.5)
    assert (bench.status, bench.at.termination_source) == ("failed", "limit")
    assert bench.at.error == "a turn may work for 300 seconds"


def test_no_effect_starts_when_the_time_is_over() -> None:
    bench = Bench(line(node("work", "probe"), node("more", "probe")))
    bench.now += 300
    made = bench.succeed()
    assert (bench.status, bench.at.termination_source, made.effects) == ("failed", "limit", ())


def test_the_next_turn_has_its_own_time() -> None:
    bench = Bench(line(node("work", "probe"), node("ask", "ask", prompt="?"), node("more", "probe")))
    bench.now += 299
    bench.succeed()
    bench.answer("x")
    bench.now += 299
    bench.succeed()
    assert (bench.status, bench.at.worked_seconds) == ("completed", 299)


@pytest.mark.parametrize(
    "big",
    [
        node("big", "no_op", output="{{start.text}}"),
        node("big", "message", text="{{start.text}}"),
        node("big", "set", values={"v": "{{start.text}}"}),
        node("big", "no_op", simulate_failure=True, on_error="default", default_output="{{start.text}}"),
        node("big", "show_state"),
    ],
    ids=lambda big: big["type"],
)
def test_the_bytes_of_a_step_are_bounded(big: dict[str, Any]) -> None:
    graph = source([node("start", "start"), big], [edge("start", "big"), edge("big", "big")])
    text = "x" * 60_000
    bench = Bench(graph, Limits(events_bytes=1_000_000), inputs={"text": text}, variables={"v": text})
    assert (bench.status, bench.at.termination_source) == ("failed", "limit")
    assert bench.at.error == "a turn may make 1000000 bytes of events"
