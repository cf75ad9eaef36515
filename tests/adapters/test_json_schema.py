"""JSON Schemas of answers: every fault is told, nothing is fetched, nothing takes long, nothing raises."""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.json_schema import MAX_ERRORS, MAX_SCHEMA_BYTES, SchemaChecker

SECONDS = 4.0
checker = SchemaChecker()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that would notice a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def nested(depth: int, *, name: str | None = None) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if name is None else {name: value}
    return value


@pytest.mark.parametrize(
    "schema",
    [
        True,
        False,
        {},
        {"type": "object", "required": ["a"], "properties": {"a": {"type": ["string", "null"]}}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": [{"const": 1}], "items": False},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"const": 1}], "additionalItems": False},
        {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True},
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$id": "http://example.com/a", "$defs": {"b": {"$id": "b", "type": "string"}}, "$ref": "b"},
        {"const": 2**200, "maximum": -(2**200)},
        {"unknown": {"keywords": ["are", "kept"]}},
        {"pattern": "^(a+)+$", "patternProperties": {"^\\d{3}$": True}},
    ],
    ids=repr,
)
def test_a_schema_without_fault(schema: Any) -> None:
    assert checker.schema_fault(schema) is None


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        (None, "a JSON Schema is an object, true or false"),
        ([], "a JSON Schema is an object, true or false"),
        ("string", "a JSON Schema is an object, true or false"),
        (1, "a JSON Schema is an object, true or false"),
        ({"type": "text"}, "\"text\" is not valid under any of the schemas listed in the 'anyOf' keyword"),
        ({"properties": []}, '[] is not of type "object"'),
        ({"minLength": -1}, "-1 is less than the minimum of 0"),
        ({"required": ["a", "a"]}, '["a","a"] has non-unique elements'),
        ({"$schema": 1}, '1 is not of type "string"'),
        ({"$ref": "#/nowhere"}, "Pointer '/nowhere' does not exist"),
        ({"$ref": "#nowhere"}, "Anchor 'nowhere' does not exist"),
        ({"pattern": "("}, '"(" is not a "regex"'),
        ({"pattern": "^(?=a)b"}, '"^(?=a)b" is not a "regex"'),
        ({"pattern": "(a)\\1"}, '"(a)\\\\1" is not a "regex"'),
        ({"pattern": "((a{1000}){1000}){1000}"}, '"((a{1000}){1000}){1000}" is not a "regex"'),
        ({"description": "x" * MAX_SCHEMA_BYTES}, f"a schema may have {MAX_SCHEMA_BYTES} bytes"),
        ({"const": "\ud800"}, "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_fault_of_a_schema_is_told(schema: Any, fault: str) -> None:
    assert checker.schema_fault(schema) == fault


def test_a_schema_that_is_too_deep_has_a_fault() -> None:
    assert checker.schema_fault(nested(300, name="not")) == "Recursion limit reached"
    assert checker.schema_fault(nested(5_000, name="not")) == "nested too deeply"


@pytest.mark.parametrize(
    "place", ["$ref", "$dynamicRef", "properties.a.$ref", "properties.a.$dynamicRef", "$defs.a.$ref", "not.$ref"]
)
def test_a_reference_to_a_server_is_refused_without_a_connection(listener: socket.socket, place: str) -> None:
    schema: Any = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
    for name in reversed(place.split(".")):
        schema = {name: schema}
    fault = checker.schema_fault(schema)
    assert fault is not None
    assert "http://127.0.0.1" in fault
    assert checker.check(schema, {"a": 1}) == [("", fault)]
    with pytest.raises(BlockingIOError):  # nobody has come
        listener.accept()


def test_an_unknown_dialect_is_not_fetched(listener: socket.socket) -> None:
    schema = {"$schema": f"http://127.0.0.1:{listener.getsockname()[1]}/meta.json", "type": "string"}
    checker.schema_fault(schema)
    checker.check(schema, 1)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_reference_to_a_file_is_refused_though_the_file_is_there(tmp_path: Path) -> None:
    target = tmp_path / "schema.json"
    target.write_text('{"type": "string"}')
    for schema in ({"$ref": target.as_uri()}, {"$id": tmp_path.as_uri() + "/", "$ref": "schema.json"}):
        fault = checker.schema_fault(schema)
        assert fault is not None
        assert f"the reference {target.as_uri()} leads outside the schema" in fault
        assert checker.check(schema, "text") == [("", fault)]


def test_every_error_is_told_with_its_path() -> None:
    schema = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "items": {"type": "array", "items": {"type": "object", "properties": {"count": {"type": "integer"}}}},
            "a.b": {"type": "object", "properties": {"": {}, "c[0]": {"type": "null"}}},
            "0": {"items": {"type": "string"}},
        },
        "additionalProperties": False,
    }
    value = {"items": [{"count": 1}, {"count": "2"}, 3], "a.b": {"c[0]": 0}, "0": ["a", 1], "more": 1}
    assert sorted(checker.check(schema, value)) == [
        ("", '"name" is a required property'),
        ("", "Additional properties are not allowed ('more' was unexpected)"),
        ("0[1]", '1 is not of type "string"'),
        ('["a.b"]["c[0]"]', '0 is not of type "null"'),
        ("items[1].count", '"2" is not of type "integer"'),
        ("items[2]", '3 is not of type "object"'),
    ]


def test_the_path_of_a_value_in_a_list_begins_with_its_place() -> None:
    schema = {"items": {"properties": {"a": {"const": 1}}}}
    assert checker.check(schema, [{"a": 1}, {"a": 2}]) == [("[1].a", "1 was expected")]


@pytest.mark.parametrize(
    ("schema", "value", "errors"),
    [
        ({"type": "integer"}, 2**200, []),
        ({"type": "integer"}, -(2**200), []),
        ({"const": 2**200}, 2**200, []),
        ({"const": 2**200}, 2**200 + 1, [("", f"{2**200} was expected")]),
        ({"maximum": 2**200}, 2**200 + 1, [("", f"{2**200 + 1} is greater than the maximum of {2**200}")]),
        ({"multipleOf": 2}, 2**200, []),
        ({"multipleOf": 3}, 2**200, [("", f"{2**200} is not a multiple of 3")]),
        ({"enum": [2**64, 1]}, 2**64, []),
        ({"type": "integer"}, 1.0, []),
        ({"type": "integer"}, 1.5, [("", '1.5 is not of type "integer"')]),
        ({"type": "number"}, True, [("", 'true is not of type "number"')]),
        ({"multipleOf": 0.1}, 0.3, []),
        ({"maxLength": 1}, "\U0001f600", []),
        (False, None, [("", "False schema does not allow null")]),
        (True, None, []),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_numbers_of_any_size_are_compared_exactly(schema: Any, value: Any, errors: list[tuple[str, str]]) -> None:
    assert checker.check(schema, value) == errors


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_json_number_is_no_number(number: float) -> None:
    assert checker.check({"type": "number"}, number) == [("", 'null is not of type "number"')]


@pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}, [["\udfff"]]], ids=ascii)
def test_text_that_is_none_is_an_error(value: Any) -> None:
    ((path, message),) = checker.check({"type": "integer"}, value)
    assert (path, "surrogates not allowed" in message) == ("", True)


def test_a_schema_with_a_fault_takes_no_value() -> None:
    assert checker.check({"minLength": -1}, "text") == [("", "-1 is less than the minimum of 0")]
    assert checker.check(nested(5_000, name="not"), "text") == [("", "nested too deeply")]


def test_no_pattern_takes_long() -> None:
    began = time.monotonic()
    for pattern in ("^(a+)+$", "^(a|aa)+$", "^(.*a){20}$", "(x+x+)+y"):
        schema = {"pattern": pattern, "type": "string"}
        assert checker.schema_fault(schema) is None
        assert len(checker.check(schema, "a" * 50_000 + "!" + "x" * 50_000)) == 1
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"$dynamicAnchor": "node", "$dynamicRef": "#node"},
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    ],
    ids=repr,
)
def test_a_schema_that_refers_to_itself_comes_to_an_end(schema: Any) -> None:
    assert checker.schema_fault(schema) is None
    for value in (1, nested(100), nested(100, name="a")):
        assert checker.check(schema, value) == []


def test_a_recursive_schema_finds_what_is_wrong_deep_down() -> None:
    schema = {"type": "array", "items": {"$ref": "#"}}
    assert checker.check(schema, nested(150)) == [("[0]" * 150, '1 is not of type "array"')]
    assert checker.check(schema, [[], [[], [[]]]]) == []


@pytest.mark.parametrize("depth", [201, 5_000, 100_000])
@pytest.mark.parametrize("schema", [True, {"items": {"$ref": "#"}}, {"const": 1}], ids=repr)
def test_values_that_are_too_deep_are_refused(schema: Any, depth: int) -> None:
    assert checker.check(schema, nested(depth)) == [("", "is nested deeper than 200 levels")]


def test_a_hundred_errors_are_told_at_most() -> None:
    found = checker.check({"items": {"type": "string"}}, [1] * 1_000)
    assert found == [(f"[{place}]", '1 is not of type "string"') for place in range(MAX_ERRORS)]


def test_a_message_has_a_bound() -> None:
    ((path, message),) = checker.check({"type": "integer"}, "x" * 100_000)
    assert (path, message) == ("", '"' + "x" * 499)


def test_of_a_large_value_the_first_error_is_told_soon() -> None:
    began = time.monotonic()
    many = checker.check({"items": {"type": "string"}}, ["a", *[1] * 200_000])
    assert many == [("[1]", '1 is not of type "string"')]
    heavy = checker.check({"allOf": [{"type": "integer"}] * 2_000}, {"a": "x" * 250_000})
    assert [path for path, _ in heavy] == [""]
    assert time.monotonic() - began < SECONDS


def test_a_large_value_that_fits_is_checked_soon() -> None:
    began = time.monotonic()
    assert checker.check({"items": {"type": "integer"}, "uniqueItems": True}, list(range(100_000))) == []
    assert time.monotonic() - began < SECONDS


def test_a_value_is_left_as_it_was() -> None:
    value = {"a": [1, {"b": 2**70}], "c": "text"}
    checker.check({"properties": {"a": {"default": 1}}, "required": ["d"]}, value)
    assert value == {"a": [1, {"b": 2**70}], "c": "text"}


def test_the_checks_leave_the_recursion_limit_alone() -> None:
    before = sys.getrecursionlimit()
    checker.check({"items": {"$ref": "#"}}, nested(150))
    assert sys.getrecursionlimit() == before
