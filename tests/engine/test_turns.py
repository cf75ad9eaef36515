"""Turns: what opens one, what closes it, how events are numbered, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine import messages as said
from app.engine.graph import graph_key
from app.engine.messages import Abort, Answer, AnyCommand, DeadlinePassed, EffectSucceeded, Pause, Resume, Start, Stop
from app.engine.state import Frame, at_rest, encode
from app.engine.step import RefusedError, Step, fail_start, step
from tests.engine.graphs import BEGIN, KEY, RUN, WORKFLOW, Bench, compiled, edge, fan, line, node, source

ASK = node("ask", "ask", prompt="Who are you?", output="name")
GREET = node("greet", "message", text="Hello, [[name]]!")
END = node("end", "end", outputs={"greeting": "{{greet.text}}"})


def begin(**more: Any) -> Start:
    words: dict[str, Any] = {"run_id": RUN, "workflow_id": WORKFLOW, "version": 0, "user": None, "inputs": {}}
    return Start(now=BEGIN, **{**words, **more})


def test_a_run_waits_for_a_person_and_ends_with_the_answer() -> None:
    bench = Bench(line(ASK, GREET, END), message="hi")
    first = len(bench.events)
    bench.now = 1_009.0
    bench.answer("Ada")
    assert (bench.status, bench.at.turn, bench.at.outputs) == ("completed", 2, {"greeting": "Hello, Ada!"})
    start: dict[str, Any] = {"node_id": "start", "node_name": "start", "path": "start", "visit": 1}
    ask: dict[str, Any] = {"node_id": "ask", "node_name": "ask", "path": "ask", "visit": 2}
    greet: dict[str, Any] = {"node_id": "greet", "node_name": "greet", "path": "greet", "visit": 3}
    end: dict[str, Any] = {"node_id": "end", "node_name": "end", "path": "end", "visit": 4}
    assert bench.events[:first] == [
        said.RunStarted(seq=1, at=BEGIN),
        said.FrameStarted(seq=2, at=BEGIN, path=""),
        said.UserSpoke(seq=3, at=BEGIN, text="hi"),
        said.NodeStarted(seq=4, at=BEGIN, **start),
        said.NodeFinished(seq=5, at=BEGIN, **start, output={}, handle="out"),
        edge_taken(6, BEGIN, "start", "ask"),
        said.NodeStarted(seq=7, at=BEGIN, **ask),
        said.QuestionOpened(seq=8, at=BEGIN, **ask, pause_id="pause_1", kind="ask", prompt="Who are you?"),
        said.FramePaused(seq=9, at=BEGIN, path="", last_node_id="ask"),
        said.TurnEnded(seq=10, at=BEGIN, turn=1, executions=2, started_at=BEGIN),
        said.ReadyForInput(seq=11, at=BEGIN),
    ]
    assert bench.events[first:] == [
        said.UserSpoke(seq=12, at=1_009.0, text="Ada", value="Ada", pause_id="pause_1", **ask),
        said.NodeFinished(seq=13, at=1_009.0, **ask, output="Ada", handle="out"),
        edge_taken(14, 1_009.0, "ask", "greet"),
        said.NodeStarted(seq=15, at=1_009.0, **greet),
        said.Said(seq=16, at=1_009.0, **greet, text="Hello, Ada!"),
        said.NodeFinished(seq=17, at=1_009.0, **greet, output={"text": "Hello, Ada!"}, handle="out"),
        edge_taken(18, 1_009.0, "greet", "end"),
        said.NodeStarted(seq=19, at=1_009.0, **end),
        said.NodeFinished(seq=20, at=1_009.0, **end, output={"greeting": "Hello, Ada!"}),
        said.FrameEnded(seq=21, at=1_009.0, path="", last_node_id="end"),
        said.TurnEnded(seq=22, at=1_009.0, turn=2, executions=2, started_at=1_009.0),
        said.RunEnded(seq=23, at=1_009.0, status="completed", outputs={"greeting": "Hello, Ada!"}),
    ]


def edge_taken(seq: int, at: float, source: str, target: str) -> said.EdgeTaken:
    number = {"start": 0, "ask": 1, "greet": 2}[source]
    return said.EdgeTaken(
        seq=seq,
        at=at,
        edge_id=f"e{number}",
        source=source,
        source_name=source,
        target=target,
        target_name=target,
        handle="out",
        conditional=False,
        path="",
    )


def test_a_turn_stays_open_while_effects_and_timers_are_all_there_is() -> None:
    bench = Bench(fan(node("work", "probe"), node("nap", "wait", seconds=5)))
    assert (bench.status, bench.at.turn, bench.those("TurnEnded")) == ("running", 1, [])
    bench.wait(5)
    bench.succeed("x")
    assert [(event.turn, event.executions) for event in bench.those("TurnEnded")] == [(1, 3)]
    assert (bench.status, bench.at.turn) == ("completed", 1)


def test_a_timer_that_fires_at_rest_opens_a_turn() -> None:
    bench = Bench(fan(ASK, node("nap", "wait", seconds=5)))
    assert bench.status == "waiting_for_user_input"
    bench.wait(5)
    assert (bench.status, bench.at.turn) == ("waiting_for_user_input", 2)
    ended = bench.those("TurnEnded")[-1]
    assert (ended.turn, ended.started_at, ended.executions) == (2, BEGIN + 5, 0)


def test_the_run_is_at_rest_only_when_no_effect_is_in_flight() -> None:
    bench = Bench(fan(ASK, node("work", "probe")))
    assert not at_rest(bench.at)
    with pytest.raises(RefusedError) as refused:
        bench.answer("x")
    assert refused.value.code == "turn_in_progress"
    bench.succeed()
    assert (bench.status, bench.at.turn) == ("waiting_for_user_input", 1)


@pytest.mark.parametrize(
    ("end", "status", "source", "closing"),
    [
        (Stop(now=BEGIN), "cancelled", "stopped", said.RunEnded(seq=0, at=BEGIN, status="cancelled")),
        (
            Abort(now=BEGIN, source="stale_run_reaper", error_message="all died\ud800"),
            "failed",
            "stale_run_reaper",
            said.RunFailed(seq=0, at=BEGIN, error_type="stale_run_reaper", error_message="all died?"),
        ),
    ],
)
@pytest.mark.parametrize("graph", [line(ASK), line(node("work", "probe")), line(node("nap", "wait", seconds=9))])
@pytest.mark.parametrize(("paused", "graphs"), [(False, True), (True, True), (False, False), (True, False)])
def test_stop_and_abort_end_any_run_even_without_its_graph(
    graph: Any, paused: bool, graphs: bool, end: AnyCommand, status: str, source: str, closing: Any
) -> None:
    bench = Bench(graph)
    if paused:
        bench.do(Pause(now=BEGIN))
    if not graphs:
        bench.graphs = {}
    turns = bench.at.turn + at_rest(bench.at)
    bench.do(end)
    assert (bench.status, bench.at.termination_source, bench.at.turn) == (status, source, turns)
    assert (bench.at.frames[0].visits, bench.at.frames[0].arrivals, bench.at.held_at) == ((), {}, None)
    assert bench.kinds()[-3:-1] == ["FrameEnded", "TurnEnded"]
    last = bench.events[-1]
    assert last == type(closing)(
        **{**{name: getattr(closing, name) for name in closing.__struct_fields__}, "seq": last.seq}
    )
    refuses_everything(bench)


def refuses_everything(bench: Bench) -> None:
    ended = encode(bench.at)
    more: dict[str, Any] = {"effect_id": "work#2.1", "result": 1}
    for command in (Stop, Pause, Resume, DeadlinePassed):
        refuses(bench, command(now=9e9), "run_ended")
    refuses(bench, Answer(now=9e9, answers=()), "run_ended")
    refuses(bench, EffectSucceeded(now=9e9, **more), "run_ended")
    refuses(bench, Abort(now=9e9, source="limit", error_message="!"), "run_ended")
    refuses(bench, begin(), "run_started")
    assert encode(bench.at) == ended


def refuses(bench: Bench, command: AnyCommand, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        bench.do(command)
    assert refused.value.code == code


def test_a_completed_run_refuses_everything() -> None:
    refuses_everything(Bench(line(END | {"config": {}})))


def test_only_a_start_begins_a_run() -> None:
    graphs = {KEY: compiled(line(ASK))}
    with pytest.raises(RefusedError) as refused:
        step(graphs, None, Stop(now=1.0))
    assert refused.value.code == "not_started"


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (begin(version=7), "graph_mismatch"),
        (begin(start_node="nowhere"), "unknown_node"),
        (begin(inputs={"a": "\ud800"}), "unstorable_value"),
        (begin(variables={"a": 10**5_000}), "unstorable_value"),
        (begin(message="\ud800"), "unstorable_value"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_start_is_refused(start: Start, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        step({KEY: compiled(line(ASK))}, None, start)
    assert refused.value.code == code


def test_a_run_may_begin_elsewhere() -> None:
    bench = Bench(line(ASK, GREET, END), start_node="greet", variables={"name": "Bob"})
    assert bench.at.outputs == {"greeting": "Hello, Bob!"}


def test_a_start_may_fail_before_its_first_node() -> None:
    made = fail_start({KEY: compiled(line(ASK))}, begin(message="hi"), "limit", "the state is too large")
    assert (made.state.ended, made.state.turn, made.state.termination_source) == ("failed", 1, "limit")
    assert made.state.frames == (Frame(graph=KEY),)
    assert [type(event).__name__ for event in made.events] == [
        *("RunStarted", "FrameStarted", "UserSpoke", "FrameEnded", "TurnEnded", "RunFailed")
    ]


@pytest.mark.parametrize("other", [{}, {graph_key(WORKFLOW, 1): None}, {KEY: line(node("other", "no_op"))}])
def test_nothing_but_an_end_moves_a_run_whose_graph_is_another(other: Any) -> None:
    bench = Bench(line(ASK))
    bench.graphs = {key: compiled(graph or line(ASK)) for key, graph in other.items()}
    before = encode(bench.at)
    for command in (Pause(now=1.0), Answer(now=1.0, answers=())):
        with pytest.raises(RefusedError):
            bench.do(command)
    with pytest.raises(RefusedError) as refused:
        bench.answer("x")
    assert refused.value.code == "graph_mismatch"
    assert encode(bench.at) == before


def test_a_result_that_is_late_or_of_another_attempt_changes_nothing() -> None:
    bench = Bench(line(node("work", "probe")))
    before = bench.at
    for effect_id, attempt in (("work#2.2", None), ("work#1.1", None), ("work#2.1", 2)):
        late = EffectSucceeded(now=BEGIN, effect_id=effect_id, attempt=attempt, result=1)
        assert bench.do(late) == Step(before, (), ())
    bench.do(EffectSucceeded(now=BEGIN, effect_id="work#2.1", attempt=1, result=1))
    assert bench.status == "completed"


def test_time_that_brings_nothing_changes_nothing() -> None:
    bench = Bench(line(node("ask", "ask", prompt="?", expires_in_seconds=10)))
    before = bench.at
    assert bench.wait(9.9) == Step(before, (), ())
    assert bench.wait(0.1).events


def test_a_run_without_a_way_on_is_complete() -> None:
    bench = Bench(source([node("start", "start"), node("other", "no_op")], [edge("other", "start")]))
    assert (bench.status, bench.at.outputs) == ("completed", {})
