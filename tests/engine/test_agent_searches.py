"""Tools that search, in the engine: what they ask, what the model reads, how they are configured."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.kind import Claim
from app.engine.nodes import CATALOGUE
from app.engine.state import effects
from app.engine.talk import Tool, ToolCall
from app.engine.validate import check
from tests.engine.agents import asked, bench, calls, output, restart, says, vote
from tests.engine.graphs import line, node

WEB = {"name": "web", "type": "web_search"}
BOOK = {"name": "book", "type": "search", "dataset": "{{city}}"}
QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
PAGES = {"results": [{"title": "T", "url": "https://x.example", "snippet": "S"}], "count": 1}


def test_a_model_searches_the_web_and_a_data_set_and_reads_the_results() -> None:
    run = bench({**WEB, "description": "The web", "limit": 20}, BOOK)
    assert asked(run).tools == (
        Tool(name="web", description="The web", parameters=QUERY),
        Tool(name="book", parameters=QUERY),
    )
    run.succeed(says("", calls("web", 1, query=" tea "), calls("book", 2, query="tea", mode="text")))
    restart(run)
    web, book = effects(run.at)
    assert (web.operation, web.once, web.request) == ("web_search", True, {"query": "tea", "limit": 20})
    wanted = {"datasets": ["Bern"], "query": "tea", "mode": "auto", "limit": 5, "min_score": None}
    assert (book.operation, book.once, book.request) == ("search", False, wanted)
    assert (web.timeout_seconds, book.timeout_seconds) == (30, 30)
    run.succeed(PAGES)
    run.succeed({"results": [], "count": 0})
    assert [message.text for message in asked(run).messages[-2:]] == [
        '{"results":[{"title":"T","url":"https://x.example","snippet":"S"}],"count":1}',
        '{"results":[],"count":0}',
    ]
    run.succeed(says())
    assert [call["result"] for call in output(run)["tool_calls"]] == [PAGES, {"results": [], "count": 0}]


def test_parameters_of_the_author_stand_before_the_usual_ones() -> None:
    own = {"type": "object", "properties": {"query": {"enum": ["tea", "coffee"]}}}
    run = bench({**WEB, "parameters": own, "timeout_seconds": 3})
    assert asked(run).tools[0].parameters == own
    run.succeed(says("", calls("web", 1, query="tea")))
    assert effects(run.at)[0].timeout_seconds == 3


@pytest.mark.parametrize("arguments", [{}, {"query": 5}, {"query": " "}, {"query": "x" * 2_049}])
@pytest.mark.parametrize("tool", [WEB, BOOK], ids=["web", "book"])
def test_a_query_that_is_none_is_told_to_the_model(tool: dict[str, Any], arguments: dict[str, Any]) -> None:
    run = bench(tool)
    run.succeed(says("", ToolCall(id="c", name=tool["name"], arguments=arguments)))
    assert asked(run).messages[-1].text.startswith("error: the query m")


def test_a_search_may_need_an_approval_and_its_failure_is_told() -> None:
    run = bench({**WEB, "needs_approval": True})
    run.succeed(says("", calls("web", 1, query="tea")))
    assert effects(run.at) == []
    vote(run, "approve", arguments={"query": "coffee"})
    assert effects(run.at)[0].request == {"query": "coffee", "limit": 5}
    run.fail("provider_not_configured", retryable=False)
    assert asked(run).messages[-1].text == "error: provider_not_configured!"


@pytest.mark.parametrize(
    ("tool", "place"),
    [
        ({"type": "search"}, "dataset"),
        ({"type": "web_search", "dataset": "d"}, "dataset"),
        ({"type": "web_search", "limit": 21}, "limit"),
        ({"type": "search", "dataset": "d", "limit": 51}, "limit"),
        ({"type": "search", "dataset": "d", "limit": 0}, "limit"),
        ({"type": "code", "code": "1", "limit": 1}, "limit"),
        ({"type": "search", "dataset": "{{ x|upper }}"}, "dataset"),
        ({"type": "search", "dataset": "{{secret.x}}"}, "dataset"),
        ({"type": "web_search", "needs_approval": ["x"]}, "needs_approval"),
    ],
)
def test_a_bad_search_is_refused_at_its_place(tool: dict[str, Any], place: str) -> None:
    faults = check(line(node("it", "agent", prompt="go", tools=[{"name": "a", **tool}])), CATALOGUE).faults
    assert [fault.path for fault in faults] == [f"nodes[1].config.tools[0].{place}"]


def test_what_others_have_to_check_is_claimed() -> None:
    tools = [WEB, BOOK, {**BOOK, "name": "other", "dataset": "ds_1"}]
    claims = check(line(node("it", "agent", prompt="go", tools=tools)), CATALOGUE).claims
    assert [claim for claim in claims if claim.about != "model"] == [
        Claim("nodes[1].config.tools[0].type", "web_search", None),
        Claim("nodes[1].config.tools[2].dataset", "dataset", "ds_1"),
    ]
