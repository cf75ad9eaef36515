"""Expressions: what is true, what fails and says so, and that no text is dangerous."""

import pytest
from hypothesis import given, strategies as st

from app.engine import expression
from app.engine.expression import ExpressionSyntaxError
from app.engine.glob import GlobTooCostlyError, matches
from app.engine.kind import NodeError
from app.engine.values import Value


class Names:
    values: dict[str, Value]
    variables: dict[str, Value]

    def __init__(self) -> None:
        self.values = {
            "age": 20,
            "name": "Ada Lovelace",
            "flag": True,
            "nothing": None,
            "empty": "",
            "from": {"class": 1, "items": [1, 2]},
            "my-node": {"f": "x"},
            "list": ["a", 1],
            "ten": "10",
        }
        self.variables = {"x": 5, "gone": None}

    def read(self, name: str) -> Value:
        return self.values[name]

    def variable(self, name: str) -> Value:
        return self.variables[name]


scope = Names()


@pytest.mark.parametrize(
    "text",
    [
        "age >= 18 and name == 'Ada Lovelace'",
        "{{age}} >= 18 AND NOT {{flag}} == false",
        "1 < age <= 20",
        "[[x]] == 5 And vars.x == 5",
        'nodes["my-node"].f == "x" and {{my-node.f}} == "x"',
        "from.class == 1 and from['items'][1] == 2 and not gone?",
        "'a' in list and 2 not in list and 'class' in from and 'Ada' in name",
        "age in [20, -1] and -1 < 0",
        "is_present(age) and not is_present(nothing) and not is_present(missing.deep) and not is_present(age.x)",
        "is_empty(empty) and is_empty(missing) and is_empty({{nothing}}) and not is_empty(0)",
        "length(name) == 12 and length(list) == 2 and length(from) == 2",
        "contains(name, 'Love') and contains(list, 1)",
        "starts_with(name, 'Ada') and ends_with(name, 'lace')",
        "matches(name, 'A*L?ve*') and not matches(name, 'ada*')",
        "flag == true and flag == True and nothing == null and nothing == None and true != 1",
        "1 == 1.0 and [1, [true]] != [1, [1]] and ten != 10",
        "(age == 1 or flag) and not (age == 1)",
        "false or 'it\\'s \\\\ \\q' == \"it's \\\\ \\q\"",
        "'AND' == 'AND' and 'and' != 'AND' and '{{age}}' != 20",
        "1e3 == 1000 and 1.5 < 2",
    ],
)
def test_is_true(text: str) -> None:
    assert expression.parse(text).truth(scope) is True


@pytest.mark.parametrize(
    ("text", "value"), [("age", 20), ("[age, 'a']", [20, "a"]), ("-age", -20), ("age and 0", False)]
)
def test_has_a_value(text: str, value: Value) -> None:
    assert expression.parse(text).value(scope) == value


def test_what_decides_early_is_all_that_is_read() -> None:
    assert expression.parse("false and missing").truth(scope) is False
    assert expression.parse("true or missing").truth(scope) is True


@pytest.mark.parametrize(
    ("text", "error_type", "words"),
    [
        ("age < name", "invalid_value", "a number cannot be compared with text by <"),
        ("flag < 2", "invalid_value", "a boolean cannot be compared with a number by <"),
        ("nothing > 1", "invalid_value", "null cannot be compared with a number by >"),
        ("ten > 1", "invalid_value", "text cannot be compared with a number by >"),
        ("missing == 1", "invalid_reference", '{{missing}} cannot be read: "missing" is unknown'),
        ("1 in name", "invalid_value", "text cannot contain a number"),
        ("length(age) == 1", "invalid_value", "a number has no length"),
        ("matches(age, 'x')", "invalid_value", "matches takes two texts, not a number and text"),
        ("-name", "invalid_value", "only a number can have a minus sign"),
    ],
)
def test_fails_and_says_so(text: str, error_type: str, words: str) -> None:
    with pytest.raises(NodeError) as caught:
        expression.parse(text).value(scope)
    assert (caught.value.error_type, caught.value.error_message) == (error_type, words)


@pytest.mark.parametrize(
    "text",
    [
        *["", "  ", "age ==", "== 1", "(age", "age)", "age = 1", "age & 1", "age + 1", "age - 1", "a-b", "a * 2"],
        *["age age", "foo(1)", "length()", "length(1, 2)", "length(x=1)", "age.x()", "age[name]", "1, 2", "{'a': 1}"],
        *[
            "lambda x: x",
            "[x for x in list]",
            "age if flag else 1",
            "f'x'",
            "'open",
            "1_000",
            "1e999",
            "12abc",
            "x is y",
        ],
        *[
            "__import__('os')",
            "().__class__",
            "secret.key == 1",
            "{{secret.key}} == 1",
            "{{ age + 1 }}",
            "a\x00b",
            "o0 :=",
        ],
        *["(" * 300 + "1" + ")" * 300, "not " * 2000 + "1", "[" * 60 + "]" * 60, "1 " + "or 1 " * 2000, "9" * 5000],
        *["#", "age # 1", "a; b", "a\\", "**", "~age", "*list"],
    ],
)
def test_is_refused(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError):
        expression.parse(text)


def test_reads_no_attributes_of_objects() -> None:
    with pytest.raises(NodeError):
        expression.parse("name.__class__").value(scope)


_words = st.sampled_from(
    [
        *[
            "age",
            "name",
            "vars.x",
            "{{age}}",
            "[[x]]",
            "nodes['my-node']",
            "from",
            "list",
            "missing",
            "missing?",
            "o0",
            "f_x",
        ],
        *[
            "and",
            "OR",
            "not",
            "in",
            "==",
            "<",
            ">=",
            "(",
            ")",
            "[",
            "]",
            ",",
            "-",
            "1",
            "'a'",
            '"',
            "\\",
            "length(",
            "{{",
        ],
        *["is_empty(", "matches(", "true", "null", "lambda", ":", "=", "\x00", "\n", "1e99", ".", "é", "²", "\ud800"],
    ]
)


@given(st.lists(_words, max_size=14).map(" ".join) | st.lists(_words, max_size=8).map("".join) | st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        expression.parse(text).truth(scope)
    except (ExpressionSyntaxError, NodeError):
        pass


@given(st.text(alphabet="ab", max_size=12), st.text(alphabet="ab*?", max_size=8))
def test_the_glob_agrees_with_the_plain_definition(text: str, pattern: str) -> None:
    def fits(t: str, p: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return fits(t, p[1:]) or (bool(t) and fits(t[1:], p))
        return bool(t) and p[0] in ("?", t[0]) and fits(t[1:], p[1:])

    assert matches(text, pattern) is fits(text, pattern)


def test_a_costly_glob_is_refused() -> None:
    assert not matches("a" * 200_000, "*a" * 3_000 + "*b*")
    with pytest.raises(GlobTooCostlyError):
        matches("a" * 200_000, "*" + "a" * 100 + "?b*")
