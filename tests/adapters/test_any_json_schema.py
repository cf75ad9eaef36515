"""Any JSON Schema and any JSON value: the checker answers, and its two answers agree."""

from math import isfinite
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from app.adapters.json_schema import MAX_ERRORS, SchemaChecker

KEYWORDS = (
    "$anchor $comment $defs $dynamicAnchor $dynamicRef $id $recursiveAnchor $recursiveRef $ref $schema $vocabulary "
    "additionalItems additionalProperties allOf anyOf const contains contentEncoding contentMediaType contentSchema "
    "default definitions dependencies dependentRequired dependentSchemas deprecated description else enum examples "
    "exclusiveMaximum exclusiveMinimum format if items maxContains maxItems maxLength maxProperties maximum minContains "
    "minItems minLength minProperties minimum multipleOf not oneOf pattern patternProperties prefixItems properties "
    "propertyNames readOnly required then title type unevaluatedItems unevaluatedProperties uniqueItems writeOnly"
).split()
TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"]
NAMES = st.sampled_from(["a", "b", "", "0", "a.b", "a/b", "a~b", "%", "é"])
REFERENCES = st.sampled_from(
    [
        "#",
        "",
        "#/",
        "#/$defs/a",
        "#/properties/a",
        "#a",
        "a",
        "/",
        "?",
        "http://[",
        "http://x/",
        "file:///etc/passwd",
        "urn:x",
    ]
)
PATTERNS = st.sampled_from(
    ["", "a", "^a*$", "(a|b)+", "(", "[", "\\d", "\\p{L}", "(?=a)", "(a)\\1", "\\u0041", "a{1,9}"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text(max_size=5)
    | st.text(st.characters(categories=["Cs", "L"]), max_size=2)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)
)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A schema of keywords with the values that they want."""
    count, number = st.integers(0, 5), st.integers(-5, 5) | st.floats(-5, 5) | st.just(2**70)
    some, named = st.lists(inner, min_size=1, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
    wanted: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
        **dict.fromkeys(("properties", "$defs", "definitions", "dependentSchemas"), named),
        **dict.fromkeys(("not", "if", "then", "else", "items", "contains", "additionalProperties"), inner),
        **dict.fromkeys(("propertyNames", "unevaluatedItems", "unevaluatedProperties", "additionalItems"), inner),
        **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxContains"), count),
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), number),
        **dict.fromkeys(("const", "default"), VALUES),
        **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef", "$id"), REFERENCES),
        "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "required": st.lists(NAMES, max_size=3, unique=True),
        "pattern": PATTERNS,
        "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "uniqueItems": st.booleans(),
        "format": st.sampled_from(["date", "email", "regex", "uri", "no-such-format"]),
        "$schema": st.sampled_from([f"http://json-schema.org/draft-0{number}/schema#" for number in (3, 4, 6, 7)]),
    }
    return st.fixed_dictionaries({}, optional=wanted)


SOUND = st.recursive(st.booleans() | st.fixed_dictionaries({"type": st.sampled_from(TYPES)}), keywords, max_leaves=8)
WILD = st.dictionaries(st.sampled_from(KEYWORDS) | st.text(max_size=3), VALUES | REFERENCES | PATTERNS, max_size=5)
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@QUICK
@given(schema=SOUND | WILD | VALUES, value=VALUES)
def test_any_schema_takes_any_value_without_raising(schema: Any, value: Any) -> None:
    checker = SchemaChecker()
    fault, errors = checker.schema_fault(schema), checker.check(schema, value)
    assert fault is None or fault
    assert len(errors) <= MAX_ERRORS
    assert all(isinstance(path, str) and message for path, message in errors)


@QUICK
@given(schema=SOUND, value=VALUES)
def test_a_value_fits_a_schema_or_its_negation(schema: Any, value: Any) -> None:
    checker = SchemaChecker()
    negated = {"not": schema}
    root_is_meant = "$" in str(schema)  # a reference to the root, or a dialect, means something else one level down
    if root_is_meant or checker.schema_fault(schema) is not None:
        return
    fits, opposite = not checker.check(schema, value), not checker.check(negated, value)
    assert fits != opposite


@QUICK
@given(value=VALUES.filter(lambda value: not _is_out_of_json(value)))
def test_a_value_is_its_own_constant_and_one_of_itself(value: Any) -> None:
    checker = SchemaChecker()
    assert checker.schema_fault({"const": value}) is None
    assert checker.check({"const": value}, value) == []
    assert checker.check({"enum": [0, value]}, value) == []


def _is_out_of_json(value: Any) -> bool:
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, dict):
        return any(_is_out_of_json(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(_is_out_of_json(part) for part in value)
    return isinstance(value, str) and not value.isascii() and any("\ud800" <= mark <= "\udfff" for mark in value)
