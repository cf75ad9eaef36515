"""A graph that is executed again and again: the rounds of a loop."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.state import effects
from tests.engine.agents import says
from tests.engine.graphs import Bench, line, node

Json = dict[str, Any]


def loop(*body: Json, **config: Any) -> Bench:
    end = node("end", "end", outputs={"out": "{{loop}}", "n": "[[n?]]"})
    return Bench(line(node("loop", "loop", body=line(*body), **config), end))


def test_a_loop_goes_round_while_it_is_true_and_its_variables_go_along() -> None:
    run = loop(node("add", "set", values={"s": "[[s]]x"}), variables={"s": ""}, **{"while": "vars.s != 'xxx'"})
    assert run.at.outputs["out"] == {"variables": {"s": "xxx"}, "count": 3, "exhausted": False}
    assert [event.index for event in run.those("ItemStarted")] == [0, 1, 2]


@pytest.mark.parametrize(("condition", "count", "exhausted"), [("true", 4, True), ("false", 0, False)])
def test_a_loop_ends_at_its_count_or_before_its_first_round(condition: str, count: int, exhausted: bool) -> None:
    run = loop(node("n", "no_op"), max_count=4, **{"while": condition})
    assert run.at.outputs["out"] == {"variables": {}, "count": count, "exhausted": exhausted}


def test_what_a_body_sets_is_the_loops_and_what_is_around_it_can_be_read() -> None:
    graph = line(
        node("set", "set", values={"n": "outer", "m": "seen"}),
        node(
            "loop",
            "loop",
            body=line(node("in", "set", values={"n": "[[m]]"})),
            max_count=1,
            **{"while": "vars.m == 'seen'"},
        ),
        node("end", "end", outputs={"n": "[[n]]", "inner": "{{loop.variables}}"}),
    )
    assert Bench(graph).at.outputs == {"n": "outer", "inner": {"n": "seen"}}


def test_a_loop_that_asks_goes_on_with_the_answer() -> None:
    run = loop(
        node("q", "ask", prompt="more?", output="more"), variables={"more": "yes"}, **{"while": "vars.more == 'yes'"}
    )
    run.answer("yes")
    run.answer("no")
    assert run.at.outputs["out"] == {"variables": {"more": "no"}, "count": 2, "exhausted": False}


def test_a_failing_round_fails_the_loop() -> None:
    run = loop(node("do", "probe"), **{"while": "true"})
    run.fail(retryable=False)
    assert run.at.error == "node 'loop' failed: round 0: node 'loop[0]/do' failed: timeout!"


def test_the_talk_of_a_loop_goes_from_round_to_round() -> None:
    body = [node("q", "ask", prompt="and?"), node("llm", "llm", prompt="go", memory={"window": 10})]
    run = loop(*body, max_count=2, **{"while": "true"})
    run.answer("one")
    run.succeed(says("first"))
    run.answer("two")
    request: Any = effects(run.at)[0].request
    assert [message["text"] for message in request["messages"]] == ["and?", "one", "and?", "two", "go"]
