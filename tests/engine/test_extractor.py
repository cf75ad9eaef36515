"""The extractor in the engine: what the model is asked for, and what becomes of what it found."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.json_schema import SchemaChecker
from app.engine.nodes import CATALOGUE
from app.engine.talk import Message
from app.engine.validate import check
from tests.engine.agents import asked, says
from tests.engine.graphs import Bench, edge, line, node, source

FIELDS = [
    {"name": "who", "required": True, "description": "Who {{does}}"},
    {"name": "size", "options": ["S", "{{large}}", "L"]},
    {"name": "count", "type": "number"},
    {"name": "gift", "type": "boolean", "required": True},
    {"name": "lines", "type": "list"},
    {"name": "rest", "type": "json", "required": True},
]


def bench(fields: Any = FIELDS, **config: Any) -> Bench:
    nodes = [
        node("start", "start"),
        node("take", "extractor", on_error="branch", input="{{mail}}", fields=fields, **config),
        node("end", "end", outputs={"it": "{{take}}"}),
    ]
    edges = [edge("start", "take"), edge("take", "end"), edge("take", "end", "error")]
    return Bench(source(nodes, edges), inputs={"mail": "Ada wants two", "does": "orders", "large": "L"})


def output(run: Bench) -> Any:
    assert run.status == "completed", run.at.error
    return run.at.outputs["it"]


def test_a_model_is_asked_for_an_object_of_the_fields() -> None:
    run = bench(instructions="Mind {{does}}.")
    told, text = asked(run).messages
    assert (told.role, text) == ("system", Message(role="user", text="Ada wants two"))
    assert '\n- "who", a text: Who orders\n- "size", a text of ["S","L"], if there is one\n' in told.text
    assert told.text.endswith("\nMind orders.")
    assert asked(run).schema == {
        "type": "object",
        "properties": {
            "who": {"type": ["string"], "description": "Who orders"},
            "size": {"type": ["string", "null"], "enum": ["S", "L", None]},
            "count": {"type": ["number", "null"]},
            "gift": {"type": ["boolean"]},
            "lines": {"type": ["array", "null"]},
            "rest": {"type": ["object", "array", "string", "number", "boolean"]},
        },
        "required": ["who", "gift", "rest"],
    }


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ({}, ["x", "", None], [1, ["x"]]),
        ({"options": ["a", "b"]}, ["b", None], ["c", ""]),
        ({"type": "number"}, [1, 1.5, 2**70, None], ["1", True]),
        ({"type": "boolean"}, [False, None], [0, "no"]),
        ({"type": "list"}, [[], [1, {}], None], [{}, "x"]),
        ({"type": "json"}, [{}, [], 1, "x", False, None], []),
    ],
)
def test_the_schema_takes_what_is_of_the_fields_type_and_null_only_where_it_may_be_missing(
    field: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    for required in (False, True):
        schema = asked(bench([{"name": "it", "required": required, **field}])).schema
        assert SchemaChecker().schema_fault(schema) is None
        fits = [value for value in [*good, *bad] if SchemaChecker().check(schema, {"it": value}) == []]
        assert fits == [value for value in good if value is not None or not required]
        assert (SchemaChecker().check(schema, {}) == []) is not required


def test_every_field_is_in_the_data_and_nothing_else() -> None:
    run = bench()
    run.succeed(says("", data={"who": "Ada", "count": 2**70, "gift": False, "rest": {"a": [1]}, "more": 1}))
    assert output(run) == {
        "data": {"who": "Ada", "size": None, "count": 2**70, "gift": False, "lines": None, "rest": {"a": [1]}},
        "usage": {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3, "estimated": False},
    }


def test_what_is_required_and_missing_is_repaired_and_then_fails_the_node() -> None:
    run = bench()
    run.succeed(says("{}", misfits=('"who" is missing',), data={}))
    assert '"who" is missing' in asked(run).messages[-1].text
    run.succeed(says("{}", misfits=('"who" is missing',), data={}))
    assert output(run)["error_type"] == "invalid_output"
    assert len(run.those("ModelCalled")) == 2


@pytest.mark.parametrize("data", [{"who": "x", "rest": 1}, {"who": None, "gift": True, "rest": 1}, [], None])
def test_what_no_performer_makes_is_no_data(data: Any) -> None:
    run = bench()
    run.succeed(says("", data=data))
    assert output(run)["error_type"] == "invalid_output"


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ([], [""]),
        ([{"name": ""}, {"name": "a"}, {"name": "a"}], ["[0].name", "[2].name"]),
        ([{"name": "{{x}}"}], ["[0].name"]),
        ([{"type": "text"}], ["[0].name"]),
        ([{"name": "a", "type": "date"}], ["[0].type"]),
        ([{"name": "a", "type": "number", "options": ["1"]}], ["[0].options"]),
        ([{"name": "a", "options": []}], ["[0].options"]),
        ([{"name": "a", "options": ["x", "x", ""]}], ["[0].options[1]", "[0].options[2]"]),
    ],
)
def test_bad_fields_are_refused_at_their_place(fields: Any, places: list[str]) -> None:
    faults = check(line(node("take", "extractor", input="x", fields=fields)), CATALOGUE).faults
    assert [fault.path for fault in faults] == [f"nodes[1].config.fields{place}" for place in places]
