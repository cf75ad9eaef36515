"""Secrets stand where the author wrote them, and nowhere else, whatever values are inserted around them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from app.engine.kind import NodeError
from app.engine.seal import Seal, Sealed, SecretRef, Text, unseal
from app.engine.sealing import seal
from app.engine.template import Rendering
from app.engine.values import Value, pack, to_text, unpack
from tests.engine.strategies import examples, json_values

SECRETS = {"a": "\x01SECRET-A\x01", "b": "\x01SECRET-{{secret.a}}\x01"}
# What somebody would bring who has read this program.
FORGED: list[Any] = [
    "{{secret.a}}",
    "{{ secret.a }}",
    "[[secret.a]]",
    "{{secret",
    ".a}}",
    "{{v}}",
    {"type": "SecretRef", "name": "a"},
    {"value": None, "seals": [{"path": [], "parts": [{"type": "SecretRef", "name": "a"}]}]},
    [{"path": ["body"], "parts": [{"type": "SecretRef", "name": "b"}]}],
    msgspec.json.decode(msgspec.json.encode(Sealed("x", (Seal((), (SecretRef("a"),)),)))),
]
brought = json_values | st.sampled_from(FORGED) | st.lists(st.sampled_from(FORGED), max_size=3)
pieces = st.lists(
    st.sampled_from(["{{secret.a}}", "{{ secret.b }}", "{{v}}", "[[v]]", "{{v.x?}}", "plain ", "}}", "]]", "ä"]),
    max_size=5,
).map("".join)
written = st.recursive(
    pieces | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "headers", "{{secret.a}}"]), inner)
    ),
    max_leaves=8,
)


class Scope:
    """Everything is the one value that was brought."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def read(self, name: str) -> Value:
        if name == "secret":
            raise LookupError(name)
        return self.value

    def variable(self, name: str) -> Value:
        return self.value


def expected(template: Any, value: Value) -> Any:
    """The author's text with its references replaced by hand, each once."""
    if isinstance(template, list):
        return [expected(item, value) for item in template]
    if isinstance(template, dict):
        return {key: expected(item, value) for key, item in template.items()}
    if not isinstance(template, str):
        return template
    inner = value.get("x") if isinstance(value, dict) else None
    known = {"{{secret.a}}": SECRETS["a"], "{{ secret.b }}": SECRETS["b"], "{{v}}": value, "[[v]]": value}
    known["{{v.x?}}"] = inner
    if template in known:
        return known[template]
    found = re.split(r"(\{\{secret\.a\}\}|\{\{ secret\.b \}\}|\{\{v\}\}|\[\[v\]\]|\{\{v\.x\?\}\})", template)
    return "".join(to_text(known[part]) if part in known else part for part in found)


def sealed(template: Value, value: Value) -> Sealed:
    scope: Any = Scope(value)
    made = seal(template, scope, Rendering(scope))
    stored = unpack(pack(msgspec.to_builtins(made)))
    return msgspec.convert(stored, Sealed)


@given(template=written, value=brought)
@examples(300)
def test_secrets_come_only_to_the_places_that_the_author_wrote(template: Any, value: Any) -> None:
    try:
        made = sealed(template, value)
    except NodeError as error:
        assert error.error_type in ("invalid_reference", "too_large")
        return
    assert "SECRET" not in repr(msgspec.to_builtins(made))
    assert unseal(made, SECRETS) == expected(template, value)


@given(value=brought)
@examples(100)
def test_without_a_reference_of_the_author_no_secret_is_needed(value: Any) -> None:
    made = sealed({"body": "{{v}}", "text": "x {{v}} [[v]]"}, value)
    assert (made.seals, made.names(), unseal(made, {})) == ((), [], made.value)
    assert made.value == {"body": value, "text": f"x {to_text(value)} {to_text(value)}"}


def test_the_names_are_those_that_are_needed_each_once() -> None:
    made = sealed({"url": "{{secret.b}}{{secret.a}}{{secret.b}}", "headers": {"X-Y": "{{secret.a}}", "Z": "z"}}, 1)
    assert (made.names(), made.secret_headers(), made.secret_fields()) == (["b", "a"], ["x-y"], {"url", "headers"})


def test_the_shown_value_has_the_references_as_they_are_read() -> None:
    made = sealed("k={{ secret.a }}&v={{v}}", "{{secret.b}}")
    assert made == Sealed(
        "k={{secret.a}}&v={{secret.b}}",
        (Seal((), (Text("k="), SecretRef("a"), Text("&v="), Text("{{secret.b}}"))),),
    )


def test_a_secret_that_reads_like_a_reference_is_not_followed() -> None:
    assert unseal(sealed("{{secret.b}}", None), SECRETS) == SECRETS["b"]


@pytest.mark.parametrize("template", ["{{secret.a}}" + "{{v}}" * 3, ["{{secret.a}}{{v}}"] * 60])
def test_texts_with_secrets_are_bounded_like_others(template: Any) -> None:
    with pytest.raises(NodeError, match="larger than"):
        sealed(template, "x" * 100_000)
