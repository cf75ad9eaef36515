"""Graphs of the documentation, run in the engine: time passes when nothing else can happen, and no request gets out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.json_schema import SchemaChecker
from app.adapters.sandbox.both import Sandboxes
from app.engine.graph import Graph, graph_key
from app.engine.messages import (
    Answer,
    AnyCommand,
    AnyEvent,
    DeadlinePassed,
    EffectFailed,
    EffectSucceeded,
    GivenAnswer,
    Start,
)
from app.engine.nodes import CATALOGUE
from app.engine.nodes.start import Start as StartNode
from app.engine.state import Effect, ExecutorState, Limits, effects, next_deadline, questions
from app.engine.step import step
from app.engine.validate import check
from app.engine.values import Value, to_text
from app.ports import EffectContext, EffectError, HttpRequest
from app.ports.web import WebPage
from app.services.answers import fit
from app.services.performing.code import CodePerformer
from app.services.performing.render import RenderPerformer
from app.services.performing.web_search import WebSearchPerformer
from tests.services.model_effects import echoing
from tests.services.test_web_search_performer import Pages

PAGE = WebPage(title="Tea", url="https://tea.example/", snippet="All about tea.")  # what there is in the web


def run_through(graph: Graph, inputs: Any, answers: Any) -> tuple[ExecutorState, list[AnyEvent]]:
    """To its end. Questions are answered in the order in which they were asked; when there are no more answers, time goes
    by."""
    graphs, now = {graph_key("w", 0): graph}, 1_700_000_000.0
    assert isinstance(graph.start.kind, StartNode)
    accepted, misfits = graph.start.kind.accept(inputs)
    assert misfits == []
    made = step(graphs, None, _start(accepted, now))
    events, given = list(made.events), list(answers)
    while not made.state.ended:
        command: AnyCommand
        if effects(made.state):
            command = _performed(effects(made.state)[0], now)
        elif questions(made.state) and given:
            command = Answer(now=now, answers=(_answer(made.state, given.pop(0)),))
        else:
            due = next_deadline(made.state, Limits())
            assert due is not None, "it waits for ever"
            now = due
            command = DeadlinePassed(now=now)
        made = step(graphs, made.state, command)
        events += made.events
    assert given == [], "these answers were not asked for"
    return made.state, events


def _performed(effect: Effect, now: float) -> EffectSucceeded | EffectFailed:
    """By the sandboxes and the echo; the web has one page; a request goes to an address that is refused."""
    context = EffectContext(
        workspace="w",
        run_id="r",
        effect_id=effect.id,
        idempotency_key=effect.id,
        attempt=1,
        operation=effect.operation,
        request=effect.request,
    )
    try:
        result = asyncio.run(_perform(context))
    except EffectError as error:
        return EffectFailed(
            now=now,
            effect_id=effect.id,
            error_type=error.error_type,
            error_message=error.message,
            retryable=error.retryable,
        )
    return EffectSucceeded(now=now, effect_id=effect.id, result=result)


async def _perform(context: EffectContext) -> Value:
    sandboxes = Sandboxes()
    try:
        match context.operation:
            case "http":
                return await _refused(context.request)
            case "code":
                return await CodePerformer(sandboxes.code).perform(context)
            case "render":
                return await RenderPerformer(sandboxes.templates).perform(context)
            case "model":
                return await echoing().perform(context)
            case "web_search":
                return await WebSearchPerformer(Pages(PAGE)).perform(context)
    finally:
        await sandboxes.close()
    raise AssertionError(f"no example does {context.operation}")


async def _refused(request: Any) -> Value:
    asked = HttpRequest(method=request["method"], url=request["fields"]["value"]["url"])
    with pytest.raises(EffectError) as caught:
        await GuardedHttp(AddressGuard()).send(asked)
    assert caught.value.error_type == "blocked_address"
    raise caught.value


def outputs(
    nodes: list[dict[str, Any]], edges: list[tuple[str, str, str]], given: dict[str, Value]
) -> dict[str, Value]:
    """Of a graph behind its start that runs through at once, given the same values as inputs and as runtime variables.
    Edges: source, handle, target."""
    arrows = [{"source": source, "source_handle": handle, "target": target} for source, handle, target in edges]
    checked = check({"nodes": [{"id": "start", "type": "start"}, *nodes], "edges": arrows}, CATALOGUE)
    assert checked.graph is not None, checked.faults
    graphs = {graph_key("w", 0): checked.graph}
    state = step(graphs, None, _start(given, 0.0, given)).state
    while effects(state):
        state = step(graphs, state, _performed(effects(state)[0], 0.0)).state
    assert state.ended == "completed", state.error
    return state.outputs


def _start(inputs: dict[str, Value], now: float, variables: dict[str, Value] | None = None) -> Start:
    return Start(
        now=now, run_id="r", workflow_id="w", version=0, user=None, inputs=inputs, variables=dict(variables or {})
    )


def _answer(state: ExecutorState, value: Value) -> GivenAnswer:
    question = questions(state)[0][2]
    value, wrong = fit(question, value, SchemaChecker())
    assert wrong == []
    return GivenAnswer(question.pause_id, value, to_text(value))
