"""The echo: what it says to a text, a schema and a call; and that the smallest value fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from app.adapters.json_schema import SchemaChecker
from app.engine.talk import Message, ModelAnswer, ModelCall, Tool, ToolCall, Usage
from app.services.performing.echo import Echo
from app.services.performing.smallest import smallest

TOOLS = (Tool(name="look_up", parameters={"type": "object"}),)


def user(text: str) -> Message:
    return Message(role="user", text=text)


async def echoed(*messages: Message, pieces: list[str] | None = None, **given: Any) -> ModelAnswer:
    call = ModelCall(messages=messages, **given)
    return await Echo().complete(call, None if pieces is None else pieces.append)


async def test_the_last_users_text_comes_back() -> None:
    answer = await echoed(Message(role="system", text="be brief"), user("one"), Message(role="assistant"), user("two"))
    assert answer == ModelAnswer(
        text="echo: two",
        finish_reason="stop",
        usage=Usage(input_tokens=4, output_tokens=3, total_tokens=7, estimated=True),
        provider="echo",
        model="echo",
    )


@pytest.mark.parametrize("text", ["", "a", "two words", "  space  around ", "lines\n\nand\ttabs ", "日本語 テキスト"])
async def test_it_streams_word_by_word_and_the_words_add_up(text: str) -> None:
    pieces: list[str] = []
    answer = await echoed(user(text), stream=True, pieces=pieces)
    assert "".join(pieces) == answer.text == f"echo: {text}"
    assert len(pieces) == max(1, len(answer.text.split()))


async def test_nothing_is_streamed_unasked() -> None:
    pieces: list[str] = []
    await echoed(user("x"), pieces=pieces)
    assert pieces == []


async def test_a_tool_is_called_when_asked_and_its_result_is_echoed() -> None:
    asked = user('call look_up {"of": "x", "deep": [1]}')
    answer = await echoed(asked, tools=TOOLS)
    call = ToolCall(id="call_1", name="look_up", arguments={"of": "x", "deep": [1]})
    assert (answer.text, answer.finish_reason, answer.tool_calls) == ("", "tool_calls", (call,))
    said = Message(role="assistant", tool_calls=answer.tool_calls)
    result = Message(role="tool", text="found", tool_call_id="call_1", tool_name="look_up")
    after = await echoed(asked, said, result, tools=TOOLS)
    assert (after.text, after.tool_calls) == ("echo: found", ())
    again = await echoed(asked, said, result, user("call look_up"), tools=TOOLS)
    assert again.tool_calls == (ToolCall(id="call_2", name="look_up", arguments={}),)


@pytest.mark.parametrize("text", ["call other {}", "call", "call look_up now", "please call look_up {}"])
async def test_everything_else_is_a_text(text: str) -> None:
    answer = await echoed(user(text), tools=TOOLS)
    assert (answer.text, answer.tool_calls) == (f"echo: {text}", ())


async def test_arguments_that_are_no_json_stay_a_text() -> None:
    answer = await echoed(user("call look_up {not json}"), tools=TOOLS)
    assert answer.tool_calls[0].arguments == "{not json}"


async def test_a_schema_is_answered_by_its_smallest_value() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    assert json.loads((await echoed(user("x"), schema=schema)).text) == {"ok": False}


SMALLEST: list[tuple[Any, Any]] = [
    ({"type": "string"}, ""),
    ({"type": "string", "minLength": 3}, "xxx"),
    ({"type": "string", "default": "d"}, "d"),
    ({"enum": ["b", "a"]}, "b"),
    ({"type": "integer", "enum": ["b", 4]}, 4),
    ({"const": {"a": 1}}, {"a": 1}),
    ({"type": "integer"}, 0),
    ({"type": "integer", "minimum": 3}, 3),
    ({"type": "integer", "minimum": -3}, 0),
    ({"type": "integer", "minimum": 2.5}, 3),
    ({"type": "integer", "exclusiveMinimum": 3}, 4),
    ({"type": "integer", "exclusiveMinimum": 0}, 1),
    ({"type": "integer", "maximum": -2}, -2),
    ({"type": "integer", "exclusiveMaximum": 0}, -1),
    ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
    ({"type": "integer", "exclusiveMinimum": 8, "multipleOf": 4}, 12),
    ({"type": "number", "minimum": 0.5}, 0.5),
    ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 0.5),
    ({"type": "number", "exclusiveMinimum": 0}, 1),
    ({"type": "number", "exclusiveMaximum": -1}, -2),
    ({"type": "boolean"}, False),
    ({"type": "null"}, None),
    ({"type": ["string", "null"]}, ""),
    ({"type": "array", "items": {"type": "integer"}}, []),
    ({"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2}, [1, 1]),
    ({"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3}, [1, 2, 2]),
    ({"type": "object"}, {}),
    ({"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["b"]}, {"b": 0}),
    ({"type": "object", "required": ["free"]}, {"free": None}),
    ({"type": "object", "minProperties": 2, "properties": {"a": {"const": 1}}}, {"a": 1, "property_1": None}),
    ({"oneOf": [{"type": "integer", "minimum": 2}, {"type": "string"}]}, 2),
    ({"type": "string", "anyOf": [{"type": "integer"}, {"type": "string", "minLength": 1}]}, "x"),
    ({"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": None}),
    ({"$defs": {"n": {"type": "integer", "minimum": 7}}, "$ref": "#/$defs/n"}, 7),
    ({"$defs": {"n": {"const": 1}}, "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/n"}}, [1]),
    (True, None),
    ({}, None),
]


@pytest.mark.parametrize(("schema", "value"), SMALLEST, ids=[json.dumps(schema) for schema, _ in SMALLEST])
def test_the_smallest_value_is_the_default_the_first_choice_or_the_lower_bound(schema: Any, value: Any) -> None:
    found = smallest(schema)
    assert (found, type(found)) == (value, type(value))
    assert SchemaChecker().check(schema, found) == []


def test_a_schema_that_needs_itself_ends() -> None:
    tree = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]}
    assert isinstance(smallest(tree), dict)
    assert smallest({"$ref": "#"}) is None
    assert smallest({"allOf": [{"$ref": "#"}]}) is None
    deep: Any = {"type": "integer"}
    for _ in range(5_000):
        deep = {"type": "array", "minItems": 1, "items": deep}
    assert isinstance(smallest(deep), list)
    assert len(str(smallest({"type": "string", "minLength": 10**300}))) <= 10_000


_words = ["type", "enum", "const", "default", "$ref", "oneOf", "anyOf", "allOf", "properties", "required", "items"]
_words += ["prefixItems", "minItems", "minLength", "minimum", "exclusiveMaximum", "multipleOf", "minProperties"]
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["object", "array", "#", "#/x", "a"])
)
_anything = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_words), inner, max_size=4)
)


@settings(max_examples=300, deadline=None)
@given(_anything)
def test_nothing_that_is_given_as_a_schema_makes_it_fail(schema: Any) -> None:
    json.dumps(smallest(schema))


_leaf = st.sampled_from([schema for schema, _ in SMALLEST if isinstance(schema, dict) and "$ref" not in str(schema)])
_sound = st.recursive(
    _leaf,
    lambda inner: (
        st.builds(
            lambda named: {"type": "object", "properties": named, "required": list(named)},
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        )
        | st.builds(lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 2))
        | st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(_sound)
def test_the_smallest_value_fits_the_schemas_that_answers_have(schema: Any) -> None:
    assert SchemaChecker().check(schema, smallest(schema)) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 10_000, "items": {"default": "d" * 10_000}},
        {"type": "array", "minItems": 10_000, "items": {"type": "string", "minLength": 10_000}},
        {"type": "array", "minItems": 10_000, "items": {"enum": ["e" * 10_000]}},
    ],
)
def test_a_small_schema_makes_no_huge_value(schema: Any) -> None:
    assert len(json.dumps(smallest(schema))) < 1024 * 1024


def test_bounds_beyond_reason_are_as_if_unsaid() -> None:
    assert smallest({"type": "integer", "minimum": 10**400}) == 0
