"""What a reference means while a run is under way: reserved words, outputs, inputs, runtime variables."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.state import decode, encode
from tests.engine.graphs import BEGIN, RUN, WORKFLOW, Bench, edge, line, node, source

INPUTS = {"name": "Ada", "deep": {"list": [{"a b": 2**70}]}, "first": "input", "none": None, "tpl": "{{name}} [[v]]"}
VARIABLES = {"v": [1, 2], "name": "variable", "tpl": "{{name}}"}


def value_of(reference: Any, **start: Any) -> Any:
    """What an end gives out for it, behind a node `first` and one whose id is no identifier."""
    nodes = [node("first", "no_op", output={"x": "output"}), node("my-node", "no_op", output="mine")]
    bench = Bench(
        line(*nodes, node("end", "end", outputs={"it": reference})),
        **{"inputs": INPUTS, "variables": VARIABLES, "user": "eve", "message": "hello", **start},
    )
    assert bench.at.error is None
    return bench.at.outputs["it"]


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("{{name}}", "Ada"),
        ("[[name]]", "variable"),
        ("{{vars.name}}", "variable"),
        ("{{start.name}}", "Ada"),
        ("{{first}}", {"x": "output"}),
        ("{{first.x}}", "output"),
        ("{{start.first}}", "input"),
        ("{{my-node}}", "mine"),
        ('{{nodes["my-node"]}}', "mine"),
        ("{{nodes.first.x}}", "output"),
        ('{{deep.list[0]["a b"]}}', 2**70),
        ("{{none}}", None),
        ("{{none}}!", "!"),
        ("{{nobody?}}", None),
        ("{{name.x.y?}}", None),
        ("[[nobody?]]", None),
        ("[[v[1]]]", 2),
        ("[[v]]", [1, 2]),
        ("v=[[v]]", "v=[1,2]"),
        ("{{message}}", "hello"),
        ("{{sys.run_id}}", RUN),
        ("{{sys.workflow_id}}", WORKFLOW),
        ("{{sys.version}}", 0),
        ("{{sys.turn_number}}", 1),
        ("{{sys.user}}", "eve"),
        ("{{sys.started_at}}", "1970-01-01T00:16:40Z"),
        (["{{name}}", {"{{name}}": "[[v]]", "n": 1}], ["Ada", {"{{name}}": [1, 2], "n": 1}]),
    ],
)
def test_reads(reference: Any, value: Any) -> None:
    assert value_of(reference) == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [("{{tpl}}", "{{name}} [[v]]"), ("<{{tpl}}>", "<{{name}} [[v]]>"), ("[[tpl]] {{tpl}}", "{{name}} {{name}} [[v]]")],
)
def test_nothing_that_was_inserted_is_rendered_again(reference: str, value: str) -> None:
    assert value_of(reference) == value


@pytest.mark.parametrize("word", ["sys", "message", "vars", "nodes"])
def test_a_reserved_word_is_never_an_input(word: str) -> None:
    assert value_of(f"{{{{{word}}}}}", inputs={word: "an input"}) != "an input"


@pytest.mark.parametrize("word", ["item", "index", "args", "pause"])
def test_a_word_that_means_nothing_here_is_unknown(word: str) -> None:
    bench = Bench(line(node("say", "message", text=f"{{{{{word}}}}}")), inputs={word: "an input"})
    assert bench.at.error == f"node 'say' failed: {{{{{word}}}}} cannot be read: \"{word}\" is unknown"


def test_without_a_first_message_it_is_null() -> None:
    assert value_of("{{message}}", message=None, user=None) is None
    assert value_of("{{sys.user}}", user=None) is None


def test_the_turn_number_is_that_of_the_turn() -> None:
    bench = Bench(line(node("ask", "ask", prompt="?"), node("say", "message", text="{{sys.turn_number}}")))
    bench.now += 60
    bench.answer("x")
    assert bench.texts() == ["2"]


def test_all_variables_can_be_kept_in_one_of_them() -> None:
    """A value that held what it is stored in would have no end."""
    bench = Bench(
        line(
            node("keep", "set", values={"all": "{{vars}}", "outputs": "{{nodes}}"}),
            node("again", "set", values={"all": "{{vars}}", "outputs": "{{nodes}}"}),
        ),
        variables={"a": 1},
    )
    assert bench.at.error is None
    everything: Any = bench.at.frames[0].variables["all"]
    assert everything["all"] == {"a": 1}
    assert decode(encode(bench.at)) == bench.at


def growing(values: dict[str, Any]) -> dict[str, Any]:
    nodes = [node("start", "start"), node("grow", "set", values=values), node("ask", "ask", prompt="?")]
    return source(nodes, [edge("start", "grow"), edge("grow", "ask"), edge("ask", "grow")])


@pytest.mark.parametrize(
    ("values", "error_type"),
    [
        ({"v": ["[[v?]]"]}, "invalid_value"),
        ({"v": ["[[v]]", "[[v]]"]}, "too_large"),
        ({"v": "x[[v]][[v]]"}, "too_large"),
        ({f"v{number}": "x[[v]]" for number in range(200)}, "too_large"),
        ({"w": ["[[v]]"] * 1_000}, "too_large"),
    ],
)
def test_no_value_grows_without_bound(values: dict[str, Any], error_type: str) -> None:
    bench = Bench(growing(values), variables={"v": "x" * 30_000} if len(values) > 1 else {"v": "x" * 5_000})
    while not bench.at.ended:
        assert bench.at.turn < 250
        bench.answer("x")
        assert decode(encode(bench.at)) == bench.at
    assert bench.those("RunFailed")[0].error_type == error_type
    assert bench.now == BEGIN
