"""Classifiers and extractors through the turn protocol: by the echo, by a provider, and by one that cannot do it."""

from __future__ import annotations

from typing import Any

from tests.api.sites import Json, Site, said
from tests.api.test_models import only, provider, run, talking_site
from tests.engine.graphs import edge, line, node, source
from tests.stub_provider import Say, StubProvider

__all__ = ["provider", "talking_site"]

FIELDS = [
    {"name": "who", "required": True},
    {"name": "urgency", "required": True, "options": ["low", "high"]},
    {"name": "count", "type": "number"},
]


def sorting(**config: Any) -> Json:
    classes = [{"id": "bill", "description": "About {{what?}} money"}, {"id": "other"}]
    sort = node("sort", "classifier", **{"input": "{{message}}", "classes": classes, **config})
    ends = [node(name, "end", outputs={"by": name, "it": "{{sort}}"}) for name in ("bill", "other")]
    edges = [edge("start", "sort"), edge("sort", "bill", "bill"), edge("sort", "other", "other")]
    return source([node("start", "start"), sort, *ends], edges)


def taking(**config: Any) -> Json:
    take = node("take", "extractor", **{"input": "{{ message|upper }}", "fields": FIELDS, **config})
    return line(take, node("end", "end", outputs={"it": "{{take}}"}))


async def test_the_echo_takes_the_first_class_and_the_smallest_data(site: Site) -> None:
    reply = await run(site, sorting(), message="hi")
    assert (reply["outputs"]["by"], reply["outputs"]["it"]["class"]) == ("bill", "bill")
    assert reply["outputs"]["it"]["usage"]["estimated"] is True
    assert only(reply, "worker_llm")["node_id"] == "sort"
    taken = (await run(site, taking(), message="hi"))["outputs"]["it"]
    assert taken["data"] == {"who": "", "urgency": "low", "count": None}


async def test_a_model_sorts_and_takes_out_after_a_repair(talking_site: Site, provider: StubProvider) -> None:
    provider.plan = [Say(text="other"), Say(text='```json\n{"class": "other", "why": "no money"}\n```')]
    reply = await run(talking_site, sorting(), message="hi")
    assert (reply["status"], reply["outputs"]["by"]) == ("completed", "other")
    assert reply["usage"] == {**reply["outputs"]["it"]["usage"], "total_tokens": 24}
    asked = [seen.body for seen in provider.seen]
    assert [body["response_format"]["json_schema"]["schema"]["required"] for body in asked] == [["class"]] * 2
    assert (asked[0]["messages"][-1]["content"], len(asked[1]["messages"])) == ("hi", 4)
    assert len(provider.by_key) == 2, "each try is an effect of its own"
    provider.plan = [Say(text='{"who": "Ada", "urgency": "now"}'), Say(text='{"who": "Ada", "urgency": "high"}')]
    taken = (await run(talking_site, taking(), message="ada"))["outputs"]["it"]
    assert taken["data"] == {"who": "Ada", "urgency": "high", "count": None}
    assert provider.seen[2].prompt == "ADA"


async def test_a_model_that_cannot_do_it_fails_the_node(talking_site: Site, provider: StubProvider) -> None:
    for graph in (sorting(repair_attempts=0), taking(repair_attempts=0)):
        provider.plan = [Say(text='{"class": "spam", "who": 1}')]
        failed = await run(talking_site, graph, message="hi")
        assert (failed["status"], "invalid_output" in str(failed["events"])) == ("failed", True)


async def test_a_handle_that_is_taken_is_a_fault(site: Site) -> None:
    graph = line(node("sort", "classifier", input="x", classes=[{"id": "a"}, {"id": "error"}], provider="gone"))
    reply = await site.post("/v1/workflows", {"name": "x", "graph": graph})
    assert said(reply) == (422, "invalid_graph")
    places = {detail["path"] for detail in reply.json()["details"]}
    assert places == {"nodes[1].config.classes[1].id", "nodes[1].config.provider"}
