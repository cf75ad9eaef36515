"""A graph that is executed once for each item of a list, and what bounds graphs within graphs."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.messages import Answer, GivenAnswer, Pause, Resume, Stop
from app.engine.nodes.iteration import GROUP
from app.engine.state import Limits, effects, encode, questions
from tests.engine.graphs import Bench, edge, line, node, source

Json = dict[str, Any]


def each(*body: Json, **config: Any) -> Json:
    return node("each", "iteration", body=line(*body), **{"items": "{{list}}", **config})


def over(items: Any, *body: Json, limits: Limits | None = None, **config: Any) -> Bench:
    end = node("end", "end", outputs={"items": "{{each.items}}", "errors": "{{each.errors}}"})
    return Bench(line(each(*body, **config), end), limits, inputs={"list": items})


def gives(value: Any) -> Json:
    return node("out", "end", outputs={"it": value})


def settle(run: Bench) -> list[int]:
    """Performs every effect until nothing is in flight; what is stored is given back. The sizes of the states on the way."""
    kept: dict[int, Any] = {}
    sizes = []
    while not run.at.ended and effects(run.at):
        effect: Any = effects(run.at)[0]
        sizes.append(len(encode(run.at)))
        match effect.operation:
            case "keep_results":
                kept[effect.request["group"]] = effect.request["results"]
                run.succeed(None)
            case "kept_results":
                run.succeed([one for group in range(effect.request["groups"]) for one in kept[group]])
            case "rest":
                run.succeed(None)
            case _:
                run.succeed(f"done {effect.request}")
    return sizes


# ---- iteration


def test_every_item_is_done_and_the_results_stand_in_the_order_of_the_items() -> None:
    run = over(["a", "b"], gives("{{index}}: {{item}}"))
    assert run.at.outputs == {"items": [{"it": "0: a"}, {"it": "1: b"}], "errors": []}
    assert [(event.path, event.index) for event in run.those("ItemStarted")] == [("each", 0), ("each", 1)]
    assert [(event.index, event.status) for event in run.those("ItemFinished")] == [(0, "ok"), (1, "ok")]
    assert [event.path for event in run.those("NodeStarted") if event.node_id == "out"] == [
        "each[0]/out",
        "each[1]/out",
    ]


@pytest.mark.parametrize(
    ("items", "output", "expected"),
    [
        ([], "{{item}}", []),
        ([1, 2], "{{item}}", [1, 2]),
        ([{"n": 1}], "{{item.n}}{{set.x}}[[who]]", ["12Ann"]),
        ([1], {"n": "{{item}}", "of": "{{list}}"}, [{"n": 1, "of": [1]}]),
        ([1], None, [{}]),
    ],
)
def test_an_item_gives_what_its_output_says_read_inside_it(items: Any, output: Any, expected: Any) -> None:
    graph = line(
        node("who", "set", values={"who": "Ann"}),
        each(node("set", "set", values={"x": 2}), output=output),
        node("end", "end", outputs={"items": "{{each.items}}"}),
    )
    assert Bench(graph, inputs={"list": items}).at.outputs == {"items": expected}


def test_an_item_has_a_copy_of_the_variables_that_is_dropped_at_its_end() -> None:
    graph = line(
        node("set", "set", values={"n": 1}),
        each(node("in", "set", values={"n": "[[n]]{{item}}"}), output="[[n]]"),
        node("end", "end", outputs={"items": "{{each.items}}", "n": "[[n]]"}),
    )
    assert Bench(graph, inputs={"list": ["a", "b"]}).at.outputs == {"items": ["1a", "1b"], "n": 1}


def test_nothing_outside_reads_into_a_body() -> None:
    graph = line(each(gives("x")), node("end", "end", outputs={"out": "{{out.it}}"}))
    run = Bench(graph, inputs={"list": [1]})
    assert run.at.error is not None and '"out" is unknown' in run.at.error


def test_a_body_reads_the_item_around_its_own() -> None:
    inner = node("in", "iteration", items="{{item.of}}", body=line(gives("{{index}}{{item}}")), output="{{item}}")
    run = over([{"of": ["a", "b"]}, {"of": []}], inner, output="{{in.items}}")
    assert run.at.outputs["items"] == [["a", "b"], []]
    assert [event.path for event in run.those("NodeStarted") if event.node_id == "out"] == [
        "each[0]/in[0]/out",
        "each[0]/in[1]/out",
    ]


@pytest.mark.parametrize("parallel", [1, 3, 10])
def test_at_most_so_many_items_are_under_way_and_results_keep_their_order(parallel: int) -> None:
    run = over(list(range(7)), node("do", "probe", request="{{item}}"), output="{{do}}", parallel=parallel)
    while effects(run.at):
        flying: list[Any] = [effect.request for effect in effects(run.at)]
        assert len(flying) <= parallel
        run.succeed(flying[-1] * 10, which=len(flying) - 1)  # the last first
    assert run.at.outputs["items"] == [0, 10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize(
    ("policy", "items"),
    [("null", [None, "ok", None, "ok"]), ("drop", ["ok", "ok"])],
)
def test_failed_items_are_told_and_null_or_left_out(policy: str, items: list[Any]) -> None:
    run = over(["a", "b", "c", "d"], node("do", "probe", request="{{item}}"), output="{{do}}", on_item_error=policy)
    while effects(run.at):
        request: Any = effects(run.at)[0].request
        run.fail("http_status", retryable=False) if request in "ac" else run.succeed("ok")
    assert run.at.outputs["items"] == items
    errors = run.at.outputs["errors"]
    assert errors == [
        {"index": index, "error_type": "http_status", "error_message": f"node 'each[{index}]/do' failed: http_status!"}
        for index in (0, 2)
    ]


def test_a_failing_item_cancels_those_in_flight_and_fails_the_node() -> None:
    run = over([1, 2, 3], node("do", "probe", request="{{item}}"), parallel=3)
    run.fail("timeout", retryable=False, which=1)
    assert (run.status, effects(run.at)) == ("failed", [])
    assert run.at.error == "node 'each' failed: item 1: node 'each[1]/do' failed: timeout!"
    assert run.those("RunFailed")[0].error_type == "item_failed"


def test_on_error_catches_a_failed_item_and_the_others_are_cancelled_first() -> None:
    graph = source(
        [
            node("start", "start"),
            each(node("do", "probe", request="{{item}}"), parallel=2, on_error="branch"),
            node("end", "end", outputs={"why": "{{each.error_type}} {{each.index}}"}),
        ],
        [edge("start", "each"), edge("each", "end", "error")],
    )
    run = Bench(graph, inputs={"list": [1, 2]})
    run.fail(retryable=False)
    assert (run.status, run.at.outputs) == ("completed", {"why": "item_failed 0"})
    assert [(event.index, event.status) for event in run.those("ItemFinished")] == [(0, "error"), (1, "cancelled")]


@pytest.mark.parametrize(
    ("items", "error_type"), [("text", "invalid_value"), ({"a": 1}, "invalid_value"), (list(range(1_001)), "too_large")]
)
def test_what_is_no_list_or_too_long_is_refused(items: Any, error_type: str) -> None:
    run = over(items, gives("x"))
    assert run.those("RunFailed")[0].error_type == error_type
    assert run.those("ItemStarted") == []


def test_a_thousand_items_leave_the_state_in_groups_and_come_back_in_order() -> None:
    run = over(list(range(1_000)), node("do", "probe", request="{{item}}"), output="{{do}}", parallel=10)
    sizes = settle(run)
    assert run.at.outputs["items"] == [f"done {index}" for index in range(1_000)]
    early, late = max(sizes[100:300]), max(sizes[700:900])
    assert late <= early, "a commit grows with the items that are done"
    assert len(sizes) == 1_000 + 1_000 // GROUP + 1


def test_no_step_executes_without_end_and_no_group_waits_for_another() -> None:
    nothing = [node(f"n{index}", "no_op") for index in range(20)]
    run = over(list(range(250)), *nothing, parallel=10)
    steps = len(run.those("NodeStarted"))
    assert steps < 1_300, "the first step did too much"
    settle(run)
    assert (run.status, len(run.at.outputs["items"])) == ("completed", 250)  # type: ignore[arg-type]


def test_results_that_are_too_large_together_fail_before_they_are_all_made() -> None:
    limits = Limits(output_bytes=1_000)
    run = over(list(range(50)), gives("x" * 100), limits=limits)
    assert run.those("RunFailed")[0].error_type == "too_large"
    assert len(run.those("ItemStarted")) < 15


def test_counts_are_per_item() -> None:
    run = over(list(range(60)), gives("x"), limits=Limits(turn_executions=10, node_executions=5))
    assert run.status == "completed"
    again = node("again", "iteration", items="{{list}}", body=line(*[node(f"n{i}", "no_op") for i in range(11)]))
    run = Bench(line(again), Limits(turn_executions=10), inputs={"list": [1]})
    assert run.status == "aborted_looping_risk"


def test_an_effect_in_an_item_is_tried_again_alone() -> None:
    retry = {"max_attempts": 2, "delay_seconds": 5}
    run = over(["a", "b"], node("do", "probe", request="{{item}}", retry=retry), output="{{do}}", parallel=2)
    run.fail("timeout")
    assert [(effect.request, effect.attempt) for effect in effects(run.at)] == [("b", 1)]
    run.wait(5)
    assert [(effect.request, effect.attempt) for effect in effects(run.at)] == [("a", 2), ("b", 1)]
    run.succeed("A")
    run.succeed("B")
    assert run.at.outputs["items"] == ["A", "B"]


# ---- people in items


def test_ten_items_ask_and_are_answered_in_any_order_some_at_once() -> None:
    ask = node("q", "ask", prompt="{{item}}?")
    run = over(list(range(10)), ask, output="{{q}}", parallel=10)
    opened = questions(run.at)
    assert [question.prompt for _, _, question in opened] == [f"{index}?" for index in range(10)]
    assert [frame.path + visit.node_id for frame, visit, _ in opened] == [f"each[{index}]/q" for index in range(10)]
    ids = [question.pause_id for _, _, question in opened]
    for some in ([7], [0, 9, 3], [1, 2], [8], [4, 6], [5]):
        answers = tuple(GivenAnswer(ids[index], f"a{index}", f"a{index}") for index in some)
        run.do(Answer(now=run.now, answers=answers))
    assert run.at.outputs["items"] == [f"a{index}" for index in range(10)]


def test_an_item_that_waits_keeps_its_place_and_the_others_go_on() -> None:
    body = source(
        [
            node("start", "start"),
            node("is", "condition", cases=[{"handle": "odd", "expression": "item == 1"}]),
            node("q", "ask", prompt="?"),
            node("out", "end"),
        ],
        [edge("start", "is"), edge("is", "q", "odd"), edge("is", "out", "else"), edge("q", "out")],
    )
    run = Bench(line(node("each", "iteration", items="{{list}}", body=body, parallel=2)), inputs={"list": [1, 2, 3, 4]})
    assert run.status == "waiting_for_user_input"
    assert [event.index for event in run.those("ItemFinished")] == [1, 2, 3]
    run.answer("x")
    assert run.status == "completed"


def test_a_stop_ends_the_items_and_a_pause_holds_them() -> None:
    run = over([1, 2], node("do", "probe", once=False), parallel=2)
    run.do(Pause(now=run.now))
    assert (run.status, effects(run.at)) == ("paused", [])
    run.do(Resume(now=run.now, answers=(), variables={}))
    assert len(effects(run.at)) == 2
    run.do(Stop(now=run.now))
    assert (run.status, len(run.at.frames)) == ("cancelled", 1)


# ---- limits


def nested(levels: int, *body: Json) -> Json:
    """A graph with so many bodies within each other."""
    inner = line(*body)
    for _ in range(levels):
        inner = line(node("each", "iteration", items=[1], body=inner))
    return inner


def test_a_pause_five_levels_down_is_answered_there() -> None:
    run = Bench(nested(5, node("q", "ask", prompt="?")))
    ((frame, _, _),) = questions(run.at)
    assert frame.path == "each[0]/" * 5
    run.answer("x")
    assert run.status == "completed"


def test_parallel_branches_are_counted_in_each_item() -> None:
    body = source(
        [node("start", "start"), *[node(f"n{index}", "probe") for index in range(4)]],
        [edge("start", f"n{index}") for index in range(4)],
    )
    graph = line(node("each", "iteration", items="{{list}}", body=body, parallel=5))
    assert Bench(graph, Limits(branches=4), inputs={"list": [1] * 5}).status == "running"
    assert Bench(graph, Limits(branches=3), inputs={"list": [1] * 5}).status == "failed"


def test_so_many_graphs_at_once_fail_the_run() -> None:
    inner = node("in", "iteration", items="{{list}}", body=line(node("do", "probe")), parallel=10)
    run = over(list(range(10)), inner, parallel=10, limits=Limits(frames=50))
    assert run.at.error == "a run may execute 50 graphs at once"
