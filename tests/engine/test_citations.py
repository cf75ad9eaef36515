"""Citations of models: which references count, in which order, and what tools add."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from app.engine.citations import addresses, cited, joined
from app.engine.kind import Context, Leave, NodeKind, Outcome
from app.engine.state import effects
from app.engine.values import Value
from tests.engine.agents import calls, restart, says
from tests.engine.graphs import Bench, edge, line, node, source
from tests.engine.probe import KINDS


class Found(NodeKind, frozen=True, kw_only=True):
    """Leaves with what its config says was found."""

    kind: ClassVar[str] = "search"

    output: Value = None

    def enter(self, ctx: Context) -> Outcome:
        return Leave(ctx.value(self.output))


class Entries(Found, frozen=True, kw_only=True):
    kind: ClassVar[str] = "entries"


class Pages(Found, frozen=True, kw_only=True):
    kind: ClassVar[str] = "web_search"


SEARCHING = {**KINDS, "search": Found, "entries": Entries, "web_search": Pages}
NODES = [
    node("docs", "search", output={"results": [{"url": "d1"}, {"url": None}, {"url": "d2"}]}),
    node("list", "entries", output={"entries": [{"url": "l1"}, {"url": "d2"}]}),
    node("my-web", "web_search", output={"results": [{"url": "w1"}]}),
    node("other", "no_op", output={"results": [{"url": "no"}]}),
]


def bench(kind: str, **config: Any) -> Bench:
    it = node("it", kind, **config)
    graph = line(*NODES, it, node("end", "end", outputs={"it": "{{it}}"}))
    return Bench(graph, kinds=SEARCHING, inputs={"web": "x"}, variables={"docs": "d"})


def citations(run: Bench) -> Any:
    assert run.status == "completed", run.at.error
    output = run.at.outputs["it"]
    assert isinstance(output, dict)
    return output["citations"]


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"prompt": "hi"}, []),
        ({"prompt": "{{docs.results[0].url}}"}, ["d1", "d2"]),
        ({"prompt": "{{list}} then {{docs}} {{list.count?}}"}, ["l1", "d2", "d1"]),
        ({"prompt": "{{my-web}}", "system": "{{nodes.list.entries}}"}, ["l1", "d2", "w1"]),
        ({"prompt": "{{other}} [[docs]] {{web}} docs list", "params": {"a": ["{{my-web.results}}"]}}, ["w1"]),
        ({"messages": [{"role": "user", "content": "{{docs}}"}, {"role": "system", "content": "{{list}}"}]}, 3),
        ({"prompt": '{{nodes["my-web"].results}}'}, ["w1"]),
        ({"prompt": "{{nodes}}"}, ["d1", "d2", "l1", "w1"]),
    ],
)
def test_what_the_texts_refer_to_is_cited_in_their_order(config: dict[str, Any], wanted: Any) -> None:
    run = bench("llm", **config)
    restart(run)
    run.succeed(says())
    assert citations(run) == (["d1", "d2", "l1"] if wanted == 3 else wanted)


FOUND = {"docs": ["d"], "list": ["l"], "my-web": ["w"]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{% for x in docs.results %}{{ x.text }} list{% endfor %}", ["d"]),
        ("{{ list|length }}{{docs}}{{ nodes['my-web'].count + 1 }}", ["l", "d", "w"]),
        ("{{docs}}{{ list|length }}", ["d", "l"]),
        ('{{ nodes["docs"]|upper }}{{ nodes.list | upper }}', ["d", "l"]),
        ("{{ nodes|length }}", ["d", "l", "w"]),
        ("{{ x.docs|upper }}{{ x['docs'] }}{{ x|docs }}{{ 'docs' ~ \"list\" }}{{ mydocs|upper }}", []),
        ("{# {{ docs|upper }} #}{{ list|upper }}", ["l"]),
        ("docs {{ list|upper }} docs {{ list|upper }}", ["l"]),
        ({"a": ["{{list}}", 5, None], "docs": "{{ docs|upper }}"}, ["l", "d"]),
        (None, []),
    ],
)
def test_names_in_the_code_of_rich_templates_count(text: Any, wanted: list[str]) -> None:
    assert list(cited(text, FOUND)) == wanted


@pytest.mark.parametrize(
    ("kind", "output", "urls"),
    [
        ("search", {"results": [{"url": "a"}, {}, {"url": 5}, "x", {"url": ""}, {"url": "b" * 2_049}]}, ["a"]),
        ("web_search", {"results": [{"url": "b" * 2_048}]}, ["b" * 2_048]),
        ("entries", {"entries": [{"url": "a"}], "results": [{"url": "b"}]}, ["a"]),
        ("search", {"results": {"url": "a"}}, []),
        ("search", {"error_type": "timeout"}, []),
        ("search", None, []),
        ("http", {"results": [{"url": "a"}]}, []),
    ],
)
def test_only_searches_have_addresses(kind: str, output: Any, urls: list[str]) -> None:
    assert addresses(kind, output) == urls


def test_a_hundred_are_kept_each_once() -> None:
    many = [str(number) for number in range(150)]
    assert joined(["5", "5"], many) == ("5", *[one for one in many if one != "5"][:99])
    assert cited("{{docs}}{{list}}", {"docs": many, "list": ["l"]}) == tuple(many[:100])


def test_what_was_cited_stays_as_it_was_when_the_model_was_first_asked() -> None:
    run = bench("llm", prompt="{{docs}}", schema={"type": "object"})
    run.succeed(says("x", misfits=("no JSON",)))
    restart(run)
    run.succeed(says("{}", data={}))
    assert citations(run) == ["d1", "d2"]


def test_an_agent_adds_what_its_tools_found_in_the_models_order() -> None:
    tools = [
        {"name": "web", "type": "web_search"},
        {"name": "book", "type": "search", "dataset": "d"},
        {"name": "look", "type": "http", "request": {"url": "https://x.example/{{list.count?}}"}},
    ]
    run = bench("agent", prompt="{{my-web}}", tools=tools)
    run.succeed(says("", calls("web", 1, query="a"), calls("book", 2, query="a"), calls("look", 3)))
    assert [effect.operation for effect in effects(run.at)] == ["web_search", "search", "http"]
    run.succeed({"results": [{"url": "no"}], "status_code": 200}, which=2)
    run.succeed({"results": [{"url": "b1"}, {"url": "w1"}], "count": 2}, which=1)
    run.succeed({"results": [{"url": "p1"}], "count": 1})
    restart(run)
    run.succeed(says("", calls("web", 4, query="b"), calls("book", 5, query=" ")))
    run.fail("provider_error", retryable=False)
    run.succeed(says())
    assert citations(run) == ["w1", "l1", "d2", "p1", "b1"]


def test_a_model_in_a_body_cites_what_was_found_around_it() -> None:
    it = node("it", "llm", prompt="{{docs.results}} {{near}}")
    near = node("near", "web_search", output={"results": [{"url": "n1"}]})
    each = node("each", "iteration", items=[1], body=line(near, it), output="{{it.citations}}")
    run = Bench(line(*NODES, each, node("end", "end", outputs={"it": "{{each.items}}"})), kinds=SEARCHING)
    run.succeed(says())
    assert run.at.outputs == {"it": [["d1", "d2", "n1"]]}


def test_a_node_that_failed_or_was_not_reached_is_not_cited() -> None:
    nodes = [
        node("start", "start"),
        node("docs", "search", output="{{nobody}}", on_error="branch"),
        node("it", "llm", prompt="{{docs}} {{list?}}"),
        node("list", "entries", output={"entries": [{"url": "l1"}]}),
        node("end", "end", outputs={"it": "{{it}}"}),
    ]
    edges = [edge("start", "docs"), edge("docs", "it", "error"), edge("docs", "list"), edge("it", "end")]
    run = Bench(source(nodes, edges), kinds=SEARCHING)
    run.succeed(says())
    assert citations(run) == []
