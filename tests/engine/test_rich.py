"""Rich templates and code in the engine: what is asked of those who run them, and what comes of their answers."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.messages import EffectSucceeded
from app.engine.rich import source_of
from app.engine.state import Limits, decode, effects, encode, next_deadline
from app.engine.validate import check
from tests.engine.graphs import Bench, edge, line, node, source
from tests.engine.probe import KINDS


def asked(run: Bench) -> Any:
    effect = effects(run.at)[0]
    assert (effect.operation, effect.once) == ("render", False)
    return effect.request


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("{{ a | upper }}", {"a": "A"}),
        ("{{ a + b }} {{ a.c }} {{ unknown }}", {"a": "A", "b": [1]}),
        ("{% for one in b %}{{ one.a }}{% endfor %}", {"b": [1]}),
        ("{{ [[x]] | length }}", {}),
        ("[[x]] [[y.z]] {# #}", {"vars": {"x": "X", "y": {"z": 1}}}),
        ("{{ vars.x }}{{ vars['y'] }}{{ 1 + 1 }}", {"vars": {"x": "X", "y": {"z": 1}}}),
        ("{{ vars[a] }}", {"a": "A", "vars": {"x": "X", "y": {"z": 1}, "far": True}}),
        ('{{ nodes["my-node"].text ~ nodes.gone }}', {"nodes": {"my-node": {"text": "hi"}}}),
        ("{{ nodes | length }}", {"nodes": {"start": {"a": "A", "b": [1]}, "my-node": {"text": "hi"}}}),
        ("{{ message ~ sys.turn_number }}", {"message": "first", "sys": ...}),
        ("{{ 'a' }}{{ x }} {{ 1 }}", {"a": "A"}),  # what stands in a text may come along
        ("{# {{ a }} #}{% set c = 1 %}", {}),
        ('{{ "}}" ~ a }}', {"a": "A"}),
    ],
)
def test_a_renderer_gets_the_names_that_a_text_mentions(text: str, scope: dict[str, Any]) -> None:
    run = Bench(
        line(node("my-node", "message", text="hi"), node("it", "message", text=text)),
        inputs={"a": "A", "b": [1]},
        variables={"x": "X", "y": {"z": 1}, "far": True},
        message="first",
    )
    found = asked(run)["scope"]
    if "sys" in found:
        found["sys"] = ...
    assert found == scope


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("{{ a }} {{ b|upper }}", "{{ a }} {{ b|upper }}"),
        ("[[x]] {# #}", '{{ vars["x"] }} {# #}'),
        ("[[x.y[0]]] {# #}", '{{ vars["x"]["y"][0] }} {# #}'),
        ("[[x?]]{{a.b?}}{{ 1+1 }}", '{{ vars["x"]|default(none) }}{{ a.b|default(none) }}{{ 1+1 }}'),
        ('[[1, 2]] {{ {"a": [1]} }}', '[[1, 2]] {{ {"a": [1]} }}'),
    ],
)
def test_references_of_ours_are_written_in_the_renderers_words(text: str, becomes: str) -> None:
    assert source_of(text) == becomes


def test_a_nodes_texts_are_rendered_once_all_at_once_and_before_it_is_entered() -> None:
    values = {"a": "{{ n + 1 }}", "b": ["{{ n + 1 }}", "n: {{ n|abs }}", "{{n}}"]}
    run = Bench(line(node("it", "set", values=values), node("said", "message", text="[[b]]")), inputs={"n": 3})
    assert asked(run) == {"texts": ["{{ n + 1 }}", "n: {{ n|abs }}"], "scope": {"n": 3}, "max_bytes": 256 * 1024}
    run.state = decode(encode(run.at))  # as after a restart
    run.succeed([4, "n: 3"])
    assert (run.status, run.texts()) == ("completed", ['[4,"n: 3",3]'])
    assert run.those("NodeStarted")[1].node_id == "it"


def test_what_was_inserted_is_never_rendered_again() -> None:
    run = Bench(line(node("it", "message", text="{{ a ~ '' }}")), inputs={"a": "{{ secret.key }}"})
    run.succeed(["{{ secret.key }} [[a]]"])
    assert (run.status, run.texts()) == ("completed", ["{{ secret.key }} [[a]]"])


def test_a_default_is_for_when_rendering_has_failed_too() -> None:
    config = {"text": "{{ gone|upper }}", "on_error": "default", "default_output": {"text": "{{a}}"}}
    run = Bench(line(node("it", "message", **config), node("said", "message", text="{{it.text}}")), inputs={"a": "b"})
    run.fail("invalid_reference", retryable=False)
    assert (run.status, run.texts()) == ("completed", ["b"])
    rich = line(node("it", "message", text="", default_output=["{{ a|upper }}"]))
    assert [fault.path for fault in check(rich, KINDS).faults] == ["nodes[1].config.default_output[0]"]


@pytest.mark.parametrize("result", [None, [], ["a", "b"], {"0": "a"}, "a"])
def test_a_renderer_that_does_not_keep_its_word_fails_the_node(result: Any) -> None:
    run = Bench(line(node("it", "message", text="{{ 1 + 1 }}")))
    run.succeed(result)
    assert (run.status, run.at.error) == (
        "failed",
        "node 'it' failed: the renderer of templates gave no list of as many texts",
    )


def test_a_failed_rendering_is_the_nodes_failure_and_can_be_caught() -> None:
    graph = source(
        [node("start", "start"), node("it", "http", url="{{ gone + 1 }}", on_error="branch"), node("e", "end")],
        [edge("start", "it"), edge("it", "e", "error")],
    )
    run = Bench(graph)
    run.fail("invalid_reference", retryable=False)
    assert run.status == "completed"
    assert run.those("HttpRequested") == [], "nothing was to be sent yet"


def test_a_rendered_text_is_bounded_like_any_other() -> None:
    run = Bench(line(node("it", "message", text="{{ 1 + 1 }}")), Limits(text_bytes=10))
    assert asked(run)["max_bytes"] == 10
    run.succeed(["x" * (256 * 1024 + 1)])
    assert (run.status, run.at.error is not None and "larger than" in run.at.error) == ("failed", True)


@pytest.mark.parametrize("kind", [node("it", "message", text="{{ 1 + 1 }}"), node("it", "code", code="output = 1")])
def test_a_crashed_sandbox_is_tried_once_more_without_a_retry_of_the_node(kind: dict[str, Any]) -> None:
    run = Bench(line(kind))
    assert run.fail("sandbox_limit").effects[0].attempt == 2
    run.fail("sandbox_limit")
    assert run.status == "failed"


def test_what_the_code_did_wrong_is_not_tried_again() -> None:
    run = Bench(line(node("it", "code", code="1/0")))
    run.fail("code_error", retryable=False)
    assert run.status == "failed"


def test_a_nodes_own_retry_adds_attempts_to_a_crashed_sandbox_and_takes_none_away() -> None:
    for most, tried in ((1, 2), (4, 4)):
        run = Bench(line(node("it", "code", code="output = 1", retry={"max_attempts": most})))
        while run.status == "running":
            attempt = effects(run.at)[0].attempt
            run.fail("sandbox_limit")
        assert attempt == tried


def test_code_gets_its_inputs_and_gives_its_output() -> None:
    config = {"code": "output = {{ x }}", "inputs": {"n": "{{n}}", "t": "{{ n ~ '!' }}"}, "timeout_seconds": 2}
    run = Bench(line(node("it", "code", **config), node("said", "message", text="{{it.output}}")), inputs={"n": 2**70})
    run.succeed(["text"])
    effect = effects(run.at)[0]
    assert (effect.operation, effect.once, effect.id) == ("code", False, "it#2.2")
    assert effect.request == {
        "code": "output = {{ x }}",
        "inputs": {"n": 2**70, "t": "text"},
        "timeout_seconds": 2,
    }
    assert effect.timeout_seconds > 2, "waiting for a worker is not the code's time"
    run.succeed({"output": [1], "printed": ""})
    assert (run.status, run.texts()) == ("completed", ["[1]"])


def test_a_template_is_always_rendered_outside() -> None:
    run = Bench(line(node("it", "template", template="{{n}}"), node("end", "end", outputs={"a": "{{it.output}}"})))
    assert asked(run)["texts"] == ["{{ n }}"]
    run.do(EffectSucceeded(now=run.now, effect_id=effects(run.at)[0].id, result=[[1]]))
    assert (run.status, run.at.outputs) == ("completed", {"a": [1]})


def test_a_disabled_node_has_nothing_rendered() -> None:
    run = Bench(line(node("it", "message", text="{{ 1 + 1 }}", disabled=True)))
    assert (run.status, run.texts()) == ("completed", [])


def test_a_hostile_text_is_looked_through_in_linear_time() -> None:
    for text in ('{{ "}}' + "{#" * 100_000 + '" }}', "{{ a }}" + "{#" * 100_000 + "#}" + "{{ 1 + 1 }}"):
        assert asked(Bench(line(node("it", "message", text=text)), inputs={"a": 1}))["texts"]


def test_rendering_is_bounded_by_the_nodes_own_time_where_that_is_shorter() -> None:
    for config, seconds in ({}, 30), ({"timeout_seconds": 1}, 1), ({"timeout_seconds": 300}, 30):
        run = Bench(line(node("it", "template", template="{{ 1 + 1 }}", **config)))
        assert effects(run.at)[0].timeout_seconds == seconds


def test_a_time_to_wait_for_may_be_rich() -> None:
    run = Bench(line(node("it", "wait", until="{{ day ~ 'T00:00:00Z' }}")), inputs={"day": "1970-01-02"})
    run.succeed(["1970-01-02T00:00:00Z"])
    assert next_deadline(run.at, run.limits) == 86_400
