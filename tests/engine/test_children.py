"""Workflows that run others within their own run."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.graph import graph_key
from app.engine.messages import Answer, DeadlinePassed, EffectSucceeded, GivenAnswer, Start, Stop
from app.engine.state import ExecutorState, Limits, effects, questions, status
from app.engine.step import step
from tests.engine.agents import calls as calls_of, says
from tests.engine.graphs import RUN, WORKFLOW, compiled, line, node

Json = dict[str, Any]
CHILD = "5eb7cf5a86d9755df3a6c594"
OTHER = "5eb7cf5a86d9755df3a6c595"


class Family:
    """A run of the first graph; the others are there by id and version."""

    def __init__(
        self, top: Json, children: dict[tuple[str, int], Json], versions: dict[str, int], **start: Any
    ) -> None:
        self.graphs = {graph_key(*key): compiled(graph) for key, graph in {(WORKFLOW, 0): top, **children}.items()}
        self.events: list[Any] = []
        self.state: ExecutorState | None = None
        given = {"user": None, "inputs": {}, "versions": versions, **start}
        self.do(Start(now=1.0, run_id=RUN, workflow_id=WORKFLOW, version=0, **given))

    def do(self, command: Any) -> None:
        made = step(self.graphs, self.state, command, Limits())
        self.state = made.state
        self.events += made.events

    @property
    def at(self) -> ExecutorState:
        assert self.state is not None
        return self.state

    def answer(self, value: Any) -> None:
        question = questions(self.at)[0][2]
        self.do(Answer(now=2.0, answers=(GivenAnswer(question.pause_id, value, str(value)),)))

    def paths(self, kind: str) -> list[str]:
        return [event.path for event in self.events if type(event).__name__ == kind]


def calls(workflow_id: str = CHILD, node_id: str = "sub", **config: Any) -> Json:
    return node(node_id, "workflow", workflow_id=workflow_id, **config)


def asks() -> Json:
    start = node(
        "start", "start", inputs=[{"name": "who", "required": True}, {"name": "n", "type": "number", "default": 7}]
    )
    graph = line(
        node("q", "ask", prompt="{{who}}?", output="said"), node("end", "end", outputs={"said": "[[said]]{{n}}"})
    )
    graph["nodes"][0] = start
    return graph


END = node("end", "end", outputs={"it": "{{sub.outputs}}"})


def test_a_child_has_its_own_inputs_and_variables_and_gives_its_outputs() -> None:
    top = line(node("set", "set", values={"said": "mine"}), calls(inputs={"who": "{{name}}"}), END)
    top["nodes"][-1]["config"]["outputs"]["mine"] = "[[said]]"
    run = Family(top, {(CHILD, 3): asks()}, {CHILD: 3}, inputs={"name": "Ann"})
    ((frame, _, question),) = questions(run.at)
    assert (frame.path, question.prompt) == ("sub/", "Ann?")
    run.answer("hello")
    assert run.at.outputs == {"it": {"said": "hello7"}, "mine": "mine"}
    assert run.paths("FrameStarted") == ["", "sub/"]
    assert run.paths("FramePaused") == ["sub/", ""]
    assert run.paths("FrameEnded") == ["sub/", ""]


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({}, "its inputs do not fit: who: is required"),
        ({"who": "A", "n": "x"}, "its inputs do not fit: n: must be a number"),
    ],
)
def test_inputs_that_do_not_fit_fail_the_node(inputs: Json, why: str) -> None:
    run = Family(line(calls(inputs=inputs)), {(CHILD, 0): asks()}, {CHILD: 0})
    assert run.at.error == f"node 'sub' failed: {why}"


def test_the_failure_of_a_child_is_the_nodes() -> None:
    child = line(node("bad", "no_op", simulate_failure=True))
    top = line(calls(on_error="default", default_output="saved"), node("end", "end", outputs={"it": "{{sub}}"}))
    run = Family(top, {(CHILD, 0): child}, {CHILD: 0})
    assert run.at.outputs == {"it": "saved"}
    run = Family(line(calls()), {(CHILD, 0): child}, {CHILD: 0})
    assert run.at.error is not None and run.at.error.startswith("node 'sub' failed: node 'sub/bad' failed")
    failed = next(event for event in run.events if type(event).__name__ == "RunFailed")
    assert failed.error_type == "child_failed"


def test_versions_are_those_of_the_runs_start_unless_the_node_names_one() -> None:
    def says(text: str) -> Json:
        return line(node("end", "end", outputs={"v": text}))

    top = line(
        calls(),
        calls(node_id="old", version=0),
        node("end", "end", outputs={"v": "{{sub.outputs.v}}{{old.outputs.v}}"}),
    )
    run = Family(top, {(CHILD, 0): says("old"), (CHILD, 1): says("new")}, {CHILD: 1})
    assert run.at.outputs == {"v": "newold"}


def test_a_workflow_that_was_not_pinned_fails_the_node() -> None:
    run = Family(line(calls()), {}, {})
    assert run.at.error is not None and "is not among those" in run.at.error


def test_a_child_does_not_read_what_is_around_it() -> None:
    child = line(node("end", "end", outputs={"x": "{{name}}"}))
    run = Family(line(calls()), {(CHILD, 0): child}, {CHILD: 0}, inputs={"name": "Ann"})
    assert run.at.error is not None and '"name" is unknown' in run.at.error


def test_a_workflow_that_runs_itself_is_stopped_five_levels_down() -> None:
    top = line(calls(WORKFLOW))
    run = Family(top, {}, {WORKFLOW: 0})
    assert (status(run.at), run.at.error) == ("failed", "graphs may lie in each other 5 levels deep")
    assert len(run.at.frames) == 1


def test_a_child_in_an_item_and_a_body_in_a_child() -> None:
    child = line(
        node("each", "iteration", items="{{list}}", body=line(node("q", "ask", prompt="{{item}}")), output="{{q}}"),
        node("end", "end", outputs={"got": "{{each.items}}"}),
    )
    body = line(calls(inputs={"list": ["{{item}}"]}))
    top = line(
        node("each", "iteration", items=["a", "b"], body=body, output="{{sub.outputs.got}}"),
        node("end", "end", outputs={"it": "{{each.items}}"}),
    )
    run = Family(top, {(CHILD, 0): child}, {CHILD: 0})
    for text in ("x", "y"):
        assert questions(run.at)[0][0].path in ("each[0]/sub/each[0]/", "each[1]/sub/each[0]/")
        run.answer(text)
    assert run.at.outputs == {"it": [["x"], ["y"]]}


def test_a_stop_ends_children_and_a_timer_in_one_fires() -> None:
    child = line(node("w", "wait", seconds=60))
    run = Family(line(calls()), {(CHILD, 0): child}, {CHILD: 0})
    assert status(run.at) == "running"
    run.do(DeadlinePassed(now=100.0))
    assert status(run.at) == "completed"
    run = Family(line(calls()), {(CHILD, 0): child}, {CHILD: 0})
    run.do(Stop(now=3.0))
    assert (status(run.at), len(run.at.frames)) == ("cancelled", 1)


def test_a_run_whose_graphs_are_gone_is_ended_the_inner_frames_first() -> None:
    run = Family(line(calls()), {(CHILD, 0): line(node("w", "wait", seconds=60))}, {CHILD: 0})
    run.graphs.clear()
    run.do(Stop(now=3.0))
    assert run.paths("FrameEnded") == ["sub/", ""]


def test_the_variables_of_an_answer_are_the_runs_own() -> None:
    child = line(node("q", "ask", prompt="?", output="v"), node("end", "end", outputs={"v": "[[v]]"}))
    top = line(calls(), node("end", "end", outputs={"inner": "{{sub.outputs.v}}", "v": "[[v]]"}))
    run = Family(top, {(CHILD, 0): child}, {CHILD: 0})
    question = questions(run.at)[0][2]
    run.do(Answer(now=2.0, answers=(GivenAnswer(question.pause_id, "a", "a"),), variables={"v": "root's"}))
    assert run.at.outputs == {"inner": "a", "v": "root's"}


def test_effects_of_children_are_named_by_their_path() -> None:
    run = Family(line(calls()), {(CHILD, 0): line(node("do", "probe"))}, {CHILD: 0})
    assert [effect.id for effect in effects(run.at)] == ["sub/do#5.1"]


def test_an_agent_calls_workflows_which_may_ask_and_is_told_of_those_that_fail() -> None:
    tools = [
        {"name": "who", "type": "workflow", "workflow_id": CHILD},
        {"name": "bad", "type": "workflow", "workflow_id": OTHER},
    ]
    top = line(node("it", "agent", prompt="go", tools=tools), node("end", "end", outputs={"it": "{{it.tool_calls}}"}))
    failing = line(node("bad", "no_op", simulate_failure=True))
    run = Family(top, {(CHILD, 0): asks(), (OTHER, 2): failing}, {CHILD: 0, OTHER: 2})
    assert run.graphs[graph_key(WORKFLOW, 0)].children == ((CHILD, None), (OTHER, None))
    result = says("", calls_of("who", 1, who="Ann"), calls_of("bad", 2), calls_of("who", 3))
    run.do(EffectSucceeded(now=2.0, effect_id=effects(run.at)[0].id, result=result))
    ((frame, _, question),) = questions(run.at)
    assert (frame.path, question.prompt) == ("it/", "Ann?")
    run.answer("hello")
    run.do(EffectSucceeded(now=2.0, effect_id=effects(run.at)[0].id, result=says("done")))
    made: Any = run.at.outputs["it"]
    assert [call["status"] for call in made] == ["ok", "error", "error"]
    assert made[0]["result"] == {"said": "hello7"}
    assert ("node 'it/bad' failed" in made[1]["error"], "who: is required" in made[2]["error"]) == (True, True)


def test_a_graph_knows_the_workflows_that_it_may_run() -> None:
    body = line(calls(OTHER, version=2))
    graph = compiled(line(calls(), calls(node_id="again"), node("each", "iteration", items=[], body=body)))
    assert graph.children == ((CHILD, None), (OTHER, 2))
