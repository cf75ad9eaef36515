"""Templates: what is a reference, what it becomes, and what is refused."""

import pytest
from hypothesis import given, strategies as st

from app.engine import template
from app.engine.kind import NodeError
from app.engine.template import Rendering, TemplateSyntaxError
from app.engine.values import Value


class Names:
    def __init__(self, values: dict[str, Value], variables: dict[str, Value] | None = None) -> None:
        self.values = values
        self.variables = variables or {}

    def read(self, name: str) -> Value:
        return self.values[name]

    def variable(self, name: str) -> Value:
        return self.variables[name]


scope = Names(
    {
        "name": "Ada",
        "n": 3,
        "yes": True,
        "none": None,
        "my-node": {"list": [{"a b": 1}], "text": "{{name}}"},
        "big": "x" * 300_000,
    },
    {"count": 7, "items": ["a", "b"]},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {{name}}, [[count]]!", "Hello Ada, 7!"),
        ("{{ n }}/{{yes}}/{{none}}/", "3/true//"),
        ("x{{my-node.list}}", 'x[{"a b":1}]'),
        ('x{{my-node.list[0]["a b"]}}', "x1"),
        ("{{my-node.text}} stays", "{{name}} stays"),
        ('{{nodes["my-node"].text?}} {{vars.count}}', "{{name}} 7"),
        ("[[items[1]]]]", "b]"),
        ("{{gone?}}{{name.gone?}}{{my-node.list[9]?}}.", "."),
        ('[[1,2]] [["a"]] [[true]] [[]] [[ [[count]]', '[[1,2]] [["a"]] [[true]] [[]] [[ 7'),
        ('{"a": {"b": 1}} %} }} #}', '{"a": {"b": 1}} %} }} #}'),
        ("", ""),
    ],
)
def test_renders_as_text(text: str, expected: str) -> None:
    assert template.parse(text).text(scope) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{{n}}", 3), ("[[items]]", ["a", "b"]), ("{{gone?}}", None), (" {{n}}", " 3"), ("{{n}}{{n}}", "33")],
)
def test_a_text_that_is_one_reference_keeps_its_type(text: str, expected: Value) -> None:
    assert template.parse(text).value(scope) == expected


def test_renders_lists_and_objects_but_no_keys() -> None:
    value: Value = {"{{n}}": ["{{n}}", {"a": "n={{n}}"}, 1, None, True]}
    assert Rendering(scope).value(value) == {"{{n}}": [3, {"a": "n=3"}, 1, None, True]}


@pytest.mark.parametrize("text", ["{{gone}}", "{{name.x}}", "{{n[0]}}", "[[name]]", "{{my-node.list[1]}}"])
def test_a_missing_value_is_named(text: str) -> None:
    with pytest.raises(NodeError) as caught:
        template.parse(text).text(scope)
    assert caught.value.error_type == "invalid_reference"
    assert text in caught.value.error_message


@pytest.mark.parametrize(
    "text", ["{{ n + 1 }}", "{{n|upper}}", "{% if n %}{% endif %}", "{# x #}", '{{ "}}" }}', "{{}}"]
)
def test_everything_else_in_braces_is_rich(text: str) -> None:
    parsed = template.parse(text)
    assert parsed.is_rich
    with pytest.raises(NodeError):
        parsed.value(scope)


@pytest.mark.parametrize("text", ["{{", "a {{name}", "{% if", "{# x", "{{name}} {{"])
def test_open_braces_are_refused(text: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="has no"):
        template.parse(text)


def test_tells_its_references_and_their_braces() -> None:
    paths = template.parse("{{a.b}} {{ c|d }} [[e]]").paths
    assert [(path.first, path.steps, path.braces) for path in paths] == [("a", ("b",), "{{"), ("e", (), "[[")]


def test_rendered_text_is_bounded() -> None:
    with pytest.raises(NodeError) as caught:
        template.parse("a{{big}}").text(scope)
    assert caught.value.error_type == "too_large"
    with pytest.raises(NodeError):
        template.parse("é{{n}}").text(scope, 2)
    assert template.parse("{{n}}a").text(scope, 2) == "3a"


def test_many_rendered_texts_are_bounded_together() -> None:
    with pytest.raises(NodeError) as caught:
        Rendering(scope).value(["{{big}}"] * 20)
    assert caught.value.error_type == "too_large"


@given(st.text(alphabet="{}[]%#\"'.?a1- \n") | st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        parsed = template.parse(text)
    except TemplateSyntaxError:
        return
    assert template.parse(text) == parsed
    if not parsed.paths and not parsed.is_rich:
        assert parsed.text(scope) == text


def test_hostile_texts_are_read_in_linear_time() -> None:
    for text in ("{{" * 100_000, "[[" * 100_000, "[[a" * 100_000, "{{ " * 50_000 + "'", "{{a}} {{'" * 2_000):
        try:
            template.parse(text)
        except TemplateSyntaxError:
            pass
