"""Searching the web through the turn protocol, by a server next door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.ports import EffectContext
from app.settings import Settings
from tests.api.conftest import opened
from tests.api.sites import Json, Site, said
from tests.api.test_models import run
from tests.engine.graphs import edge, line, node, source
from tests.stub_http import Reply, Stub, json_reply

PAGES = json_reply({"results": [{"title": "T", "url": "https://x.example", "content": "S"}, {"url": "ftp://y"}]})


@pytest.fixture
async def searching_site(server: Stub) -> AsyncIterator[Site]:
    """Only the setting allows the server's address."""
    async with opened(Settings(web_search_url=f"{server.url}/sx/")) as found:
        yield found


def searching(**config: Any) -> Json:
    find = node("find", "web_search", **{"query": "{{message}} & more", **config})
    ends = [node("end", "end", outputs={"it": "{{find}}"})]
    edges = [edge("start", "find"), edge("find", "end")]
    return source([node("start", "start"), find, *ends], edges)


async def test_the_web_is_searched_by_the_operators_server(searching_site: Site, server: Stub) -> None:
    server.replies = [PAGES]
    reply = await run(searching_site, searching(limit=2), message="tea")
    page = {"title": "T", "url": "https://x.example", "snippet": "S"}
    assert reply["outputs"]["it"] == {"results": [page], "count": 1}
    assert server.asked[0].target == "/sx/search?q=tea+%26+more&format=json"
    other = node("other", "http", url=f"{server.url}/sx/search")
    blocked = await run(searching_site, line(other, node("end", "end")))
    assert "may not reach" in blocked["error"], "the setting opens the way for searches alone"


async def test_a_model_that_reads_what_was_found_cites_it(searching_site: Site, server: Stub) -> None:
    server.replies = [PAGES]
    prompt = "{% for page in find.results %}{{ page.title }}{% endfor %}"
    nodes = [node("find", "web_search", query="tea"), node("it", "llm", provider="echo", prompt=prompt)]
    reply = await run(searching_site, line(*nodes, node("end", "end", outputs={"it": "{{it}}"})))
    assert (reply["outputs"]["it"]["text"], reply["outputs"]["it"]["citations"]) == ("echo: T", ["https://x.example"])


async def test_a_search_that_fails_is_tried_again_as_the_node_says(searching_site: Site, server: Stub) -> None:
    server.replies = [Reply(503), Reply(200, b"<html>"), PAGES]
    reply = await run(searching_site, searching(retry={"max_attempts": 3}), message="tea")
    assert (reply["status"], len(server.asked)) == ("completed", 3)
    server.asked, server.replies = [], [Reply(429)]
    failed = await run(searching_site, searching(), message="tea")
    assert (failed["status"], len(server.asked)) == ("failed", 1)
    assert failed["error"] == "node 'find' failed: the search of the web answered 429"


async def test_without_the_setting_it_is_a_fault(site: Site) -> None:
    refused = await site.post("/v1/workflows", {"name": "x", "graph": searching()})
    assert said(refused) == (422, "invalid_graph")
    (detail,) = refused.json()["details"]
    assert (detail["path"], "ANTIPHON_WEB_SEARCH_URL" in detail["message"]) == ("nodes[1].config", True)


async def test_what_was_saved_while_there_was_a_search_fails_without_it(searching_site: Site, site: Site) -> None:
    workflow_id = await searching_site.workflow(searching())
    searching_site.world.performers["web_search"] = site.world.performers["web_search"]
    failed = (await searching_site.execute(workflow_id, message="tea")).json()
    assert (failed["status"], "provider_not_configured" in str(failed["events"])) == ("failed", True)


def agent(prompt: str, *tools: Json) -> Json:
    it = node("it", "agent", provider="echo", prompt=prompt, tools=list(tools))
    return line(it, node("end", "end", outputs={"it": "{{it}}"}))


async def test_an_agent_searches_the_web(searching_site: Site, server: Stub) -> None:
    server.replies = [PAGES]
    web = {"name": "web", "type": "web_search", "limit": 1}
    reply = await run(searching_site, agent('call web {"query": "tea"}', web))
    (call,) = reply["outputs"]["it"]["tool_calls"]
    assert (call["status"], call["result"]["count"]) == ("ok", 1)
    assert reply["outputs"]["it"]["citations"] == ["https://x.example"]
    assert '"url":"https://x.example"' in reply["outputs"]["it"]["text"]
    misled = await run(searching_site, agent('call web {"q": "tea"}', web))
    (call,) = misled["outputs"]["it"]["tool_calls"]
    assert (call["status"], "do not fit" in call["error"], len(server.asked)) == ("error", True, 1)


async def test_a_tool_that_searches_needs_the_setting_too(site: Site) -> None:
    refused = await site.post(
        "/v1/workflows", {"name": "x", "graph": agent("x", {"name": "web", "type": "web_search"})}
    )
    assert [detail["path"] for detail in refused.json()["details"]] == ["nodes[1].config.tools[0].type"]


class Searching:
    """Performs `search`, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def perform(self, context: EffectContext) -> Any:
        self.asked.append(context.request)
        entry = {
            "entry_id": "e1",
            "name": "n",
            "text": "t",
            "score": 1.5,
            "url": "https://ours.example",
            "metadata": {},
        }
        return {"results": [entry], "count": 1}


async def test_an_agent_searches_a_data_set(site: Site) -> None:
    searching = Searching()
    site.world.performers["search"] = searching
    book = {"name": "book", "type": "search", "dataset": "{{book}}", "limit": 7}
    reply = await run(site, agent('call book {"query": "tea"}', book), dynamic_variables={"book": "ds_1"})
    wanted = {"datasets": ["ds_1"], "query": "tea", "mode": "auto", "limit": 7, "min_score": None}
    assert searching.asked == [wanted]
    assert reply["outputs"]["it"]["tool_calls"][0]["result"]["results"][0]["entry_id"] == "e1"
    assert reply["outputs"]["it"]["citations"] == ["https://ours.example"]


async def test_a_data_set_that_is_not_there_is_a_fault_at_its_place(site: Site) -> None:
    book = {"name": "book", "type": "search", "dataset": "ds_1"}
    refused = await site.post("/v1/workflows", {"name": "x", "graph": agent("x", book)})
    assert refused.json()["details"] == [{"path": "nodes[1].config.tools[0].dataset", "message": "no such data set"}]
