"""The classifier in the engine: what the model is asked, which way is taken, what is no class."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.nodes import CATALOGUE
from app.engine.state import decode, encode
from app.engine.talk import Message
from app.engine.validate import check
from tests.engine.agents import asked, says
from tests.engine.graphs import Bench, edge, line, node, source

CLASSES = [{"id": "bill", "description": "About {{what}}"}, {"id": "other"}]


def sorting(**config: Any) -> dict[str, Any]:
    config = {"input": "{{mail}}", "classes": CLASSES, **config}
    ends = [node(name, "end", outputs={"it": "{{sort}}", "by": name}) for name in ("bill", "other", "failed")]
    nodes = [node("start", "start"), node("sort", "classifier", on_error="branch", **config), *ends]
    edges = [edge("sort", "bill", "bill"), edge("sort", "other", "other"), edge("sort", "failed", "error")]
    return source(nodes, [edge("start", "sort"), *edges])


def bench(**config: Any) -> Bench:
    return Bench(sorting(**config), inputs={"mail": "I paid twice", "what": "money"})


def test_a_model_is_shown_the_classes_and_the_run_leaves_by_the_one_it_names() -> None:
    run = bench(instructions="Mind {{what}}.", model="m", temperature=0, max_tokens=9, params={"seed": 1})
    call = asked(run)
    told, text = call.messages
    assert (told.role, text) == ("system", Message(role="user", text="I paid twice"))
    assert '- "bill": About money\n- "other"\n' in told.text and told.text.endswith("\nMind money.")
    assert (call.model, call.temperature, call.max_tokens, call.params, call.stream) == ("m", 0, 9, {"seed": 1}, False)
    chosen = {"type": "string", "enum": ["bill", "other"]}
    assert call.schema == {"type": "object", "properties": {"class": chosen}, "required": ["class"]}
    run.succeed(says('{"class": "other"}', data={"class": "other"}))
    usage = {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3, "estimated": False}
    assert run.at.outputs == {"by": "other", "it": {"class": "other", "usage": usage}}
    assert (run.those("ModelReplied")[0].say, run.those("NodeFinished")[1].handle) == (False, "other")


@pytest.mark.parametrize("repairs", [0, 2])
def test_an_answer_without_a_class_is_repaired_and_then_fails_the_node(repairs: int) -> None:
    run = bench(repair_attempts=repairs)
    for left in range(repairs, 0, -1):
        run.state = decode(encode(run.at))
        run.succeed(says("bills", misfits=("the answer is no JSON",)))
        assert len(asked(run).messages) == 2 + 2 * (repairs - left + 1)
        assert "the answer is no JSON" in asked(run).messages[-1].text
    run.succeed(says("x", misfits=("class: is none",)))
    failed = run.at.outputs["it"]
    assert isinstance(failed, dict) and (run.at.outputs["by"], failed["error_type"]) == ("failed", "invalid_output")
    assert run.at.spent["p/m"].usage.total_tokens == 3 * (repairs + 1)


def test_the_usage_counts_the_repairs() -> None:
    run = bench()
    run.succeed(says("no", misfits=("no JSON",), tokens=5))
    run.succeed(says("", data={"class": "bill"}, tokens=4))
    output = run.at.outputs["it"]
    assert isinstance(output, dict) and output["usage"]["total_tokens"] == 9


@pytest.mark.parametrize("data", [{"class": "none"}, {"class": ["bill"]}, {}, ["bill"], None])
def test_what_no_performer_makes_is_no_class(data: Any) -> None:
    run = bench()
    run.succeed(says("", data=data))
    failed = run.at.outputs["it"]
    assert isinstance(failed, dict) and failed["error_type"] == "invalid_output"


def test_what_was_said_stands_before_the_text() -> None:
    graph = sorting(memory={"window": 1})
    graph["nodes"].append(node("hello", "message", text="Welcome"))
    graph["edges"][0] = edge("start", "hello")
    graph["edges"].append(edge("hello", "sort"))
    run = Bench(graph, inputs={"mail": "m", "what": "w"})
    assert [(message.role, message.text) for message in asked(run).messages[1:]] == [
        ("assistant", "Welcome"),
        ("user", "m"),
    ]


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({"classes": []}, ["classes"]),
        ({"classes": [{"id": "out"}, {"id": "error"}, {"id": "else"}]}, [f"classes[{at}].id" for at in range(3)]),
        ({"classes": [{"id": "expired"}, {"id": "a"}, {"id": "a"}]}, ["classes[0].id", "classes[2].id"]),
        ({"classes": [{"id": ""}, {"id": "{{x}}"}]}, ["classes[1].id", "classes[0].id"]),
        ({"classes": [{"id": "a", "title": "A"}]}, ["classes[0].title"]),
        ({"classes": [{"id": "a", "description": "{{secret.k}}"}]}, ["classes[0].description"]),
        ({"system": "S"}, ["system"]),
        ({"params": {"model": "x"}}, ["params.model"]),
        ({"repair_attempts": 4}, ["repair_attempts"]),
        ({"disabled": True}, ["disabled"]),
        ({"on_error": "default"}, ["on_error"]),
    ],
)
def test_a_bad_config_is_refused_at_its_place(config: dict[str, Any], places: list[str]) -> None:
    config = {"input": "x", "classes": [{"id": "a"}], **config}
    faults = check(line(node("sort", "classifier", **config)), CATALOGUE).faults
    assert [fault.path for fault in faults] == [f"nodes[1].config.{place}" for place in places]


def test_a_class_is_a_way_out_and_nothing_else_is() -> None:
    graph = sorting()
    graph["edges"].append(edge("sort", "bill", "out"))
    (fault,) = check(graph, CATALOGUE).faults
    assert (fault.path, fault.message) == (
        "edges[4].source_handle",
        "unknown handle 'out'; sort has bill, other",
    )


def test_whom_it_asks_is_checked_by_others() -> None:
    claims = check(sorting(provider="p"), CATALOGUE).claims
    assert [(claim.path, claim.value) for claim in claims if claim.about == "model"] == [
        ("nodes[1].config.provider", ["p", None])
    ]
