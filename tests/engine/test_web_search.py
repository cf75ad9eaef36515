"""The node kind web_search in the engine: one effect, and what it brings."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.kind import Claim
from app.engine.nodes import CATALOGUE
from app.engine.state import effects
from app.engine.validate import check
from tests.engine.graphs import Bench, line, node

FOUND = {"results": [{"title": "T", "url": "https://x.example", "snippet": "S"}], "count": 1}


def bench(**config: Any) -> Bench:
    graph = line(node("find", "web_search", **config), node("end", "end", outputs={"it": "{{find}}"}))
    return Bench(graph, inputs={"q": " tea ", "long": "x" * 2_049, "none": None})


@pytest.mark.parametrize(("given", "limit"), [({}, 5), ({"limit": 20}, 20)])
def test_a_query_is_asked_once_and_its_results_are_the_output(given: dict[str, Any], limit: int) -> None:
    run = bench(query="{{q}}", **given)
    (effect,) = effects(run.at)
    assert (effect.operation, effect.once, effect.timeout_seconds) == ("web_search", True, 30)
    assert effect.request == {"query": "tea", "limit": limit}
    run.succeed(FOUND)
    assert run.at.outputs == {"it": FOUND}


def test_it_is_tried_again_only_where_the_author_says_so() -> None:
    run = bench(query="x", timeout_seconds=2, retry={"max_attempts": 2})
    assert effects(run.at)[0].timeout_seconds == 2
    run.fail("provider_error")
    assert effects(run.at)[0].attempt == 2
    run = bench(query="x")
    run.fail("provider_error")
    assert run.status == "failed"


@pytest.mark.parametrize("query", ["", " ", "{{none}}", "{{long}}"])
def test_a_query_that_is_none_fails_before_anything_is_sent(query: str) -> None:
    run = bench(query=query)
    assert (run.status, run.those("NodeFinished")[-1].error_type) == ("failed", "invalid_value")


@pytest.mark.parametrize(
    ("config", "place"),
    [({}, "query"), ({"query": "x", "limit": 21}, "limit"), ({"query": "x", "limit": 0}, "limit")],
)
def test_a_bad_config_is_refused_at_its_place(config: dict[str, Any], place: str) -> None:
    checked = check(line(node("find", "web_search", **config)), CATALOGUE)
    assert [fault.path for fault in checked.faults] == [f"nodes[1].config.{place}"]


def test_whether_there_is_a_search_is_for_others_to_say() -> None:
    checked = check(line(node("find", "web_search", query="x")), CATALOGUE)
    assert checked.claims == (Claim("nodes[1].config", "web_search", None),)
