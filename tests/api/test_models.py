"""Code, rich templates and models through the turn protocol: what is asked, what comes back, what a bad provider does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.conftest import opened
from tests.api.sites import Json, Site, said, types
from tests.engine.graphs import edge, line, node, source
from tests.stub_provider import Say, StubProvider, stub_provider


@pytest.fixture
async def provider() -> Any:
    async with stub_provider() as found:
        yield found


@pytest.fixture
async def talking_site(provider: StubProvider) -> Any:
    """With one provider of the operator."""
    shared = {"stub": {"base_url": provider.base_url, "api_key": "sk-very-secret-key", "default_model": "m-1"}}
    async with opened(Settings(providers=SecretStr(json.dumps(shared)))) as found:
        yield found


async def run(site: Site, graph: Json, **given: Any) -> Json:
    workflow_id = await site.workflow(graph)
    reply = await site.execute(workflow_id, **given)
    assert reply.status_code == 200, reply.text
    found: Json = reply.json()
    return found


def asking(**config: Any) -> Json:
    return line(
        node("say", "llm", **{"prompt": "hi", "retry": {"max_attempts": 2}, **config}),
        node("end", "end", outputs={"it": "{{say}}"}),
    )


def only(reply: Json, kind: str) -> Json:
    (found,) = [event for event in reply["events"] if event["type"] == kind]
    return dict(found)


# ---- code and templates


async def test_rich_templates_and_code_run_in_a_turn(site: Site) -> None:
    graph = line(
        node("who", "ask", prompt="{% if hour < 12 %}Good morning{% else %}Hello{% endif %}, who is there?"),
        node("sum", "code", code="def main(xs):\n    print(len(xs))\n    return sum(xs)", inputs={"xs": "{{xs}}"}),
        node("t", "template", template="{{ who|upper }}: {{ sum.output }}"),
        node(
            "end", "end", outputs={"t": "{{t.output}}", "double": "{{ sum.output * 2 }}", "printed": "{{sum.printed}}"}
        ),
    )
    workflow_id = await site.workflow(graph)
    first = (await site.execute(workflow_id, dynamic_variables={"hour": 9, "xs": [1, 2]})).json()
    assert first["next_input_hint"]["prompt"] == "Good morning, who is there?"
    last = (await site.execute(workflow_id, first["run_id"], message="ada")).json()
    assert last["outputs"] == {"t": "ADA: 3", "double": 6, "printed": "2\n"}


@pytest.mark.parametrize(
    ("nodes", "places"),
    [
        ([node("a", "message", text="{{ a|nope }}")], []),  # known when it runs only
        ([node("a", "message", text="{{ a + }}")], ["nodes[1].config.text"]),
        ([node("a", "set", values={"x": ["{% for %}"]})], ["nodes[1].config.values.x[0]"]),
        ([node("a", "code", code="def main(:")], ["nodes[1].config.code"]),
        (
            [node("a", "ask", prompt="{% if %}", schema={"type": 3})],
            ["nodes[1].config.prompt", "nodes[1].config.schema"],
        ),
        ([node("a", "llm", prompt="x", provider="gone")], ["nodes[1].config.provider"]),
        ([node("a", "llm", prompt="x", provider="echo"), node("b", "llm", prompt="x")], []),
    ],
)
async def test_what_does_not_parse_is_a_fault_at_its_place(site: Site, nodes: list[Json], places: list[str]) -> None:
    reply = await site.post("/v1/workflows", {"name": "x", "graph": line(*nodes)})
    if not places:
        assert reply.status_code == 201
        return
    assert said(reply) == (422, "invalid_graph")
    assert [detail["path"] for detail in reply.json()["details"]] == places
    workflow_id = await site.workflow()
    checked = (await site.post(f"/v1/workflows/{workflow_id}/validate", {"graph": line(*nodes)})).json()
    assert [error["path"] for error in checked["errors"]] == places


@pytest.mark.parametrize(
    ("made", "error_type"),
    [
        (node("it", "message", text="{{ gone|upper }}"), "invalid_reference"),
        (node("it", "code", code="1 / 0"), "code_error"),
        (node("it", "code", code="while True: pass", timeout_seconds=0.3), "timeout"),
        (node("it", "code", code="output = 'x' * (1 << 30)"), "sandbox_limit"),
        (
            node("it", "template", template="{% for a in range(100000) %}{{ a }}{{ 'x' * 100 }}{% endfor %}"),
            "too_large",
        ),
    ],
)
async def test_what_goes_wrong_in_a_sandbox_is_the_nodes_failure(site: Site, made: Json, error_type: str) -> None:
    made["config"]["on_error"] = "branch"
    ends = [node("end", "end", outputs={"why": "{{it.error_type}}"}), node("other", "end", outputs={"why": None})]
    edges = [edge("start", "it"), edge("it", "end", "error"), edge("it", "other")]
    reply = await run(site, source([node("start", "start"), made, *ends], edges))
    assert reply["outputs"] == {"why": error_type}, reply


# ---- models


async def test_a_sample_works_without_any_provider(site: Site) -> None:
    reply = await run(site, asking())
    assert (reply["status"], reply["outputs"]["it"]["text"]) == ("completed", "echo: hi")
    assert reply["usage"]["estimated"] is True
    assert only(reply, "worker_llm")["llm_usage_info"]["used_user_api_key"] is False


async def test_a_model_is_asked_and_its_tokens_are_told(talking_site: Site, provider: StubProvider) -> None:
    reply = await run(talking_site, asking(say=True))
    assert (reply["outputs"]["it"]["text"], reply["outputs"]["it"]["provider"]) == ("said: hi", "stub")
    assert reply["usage"] == {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12, "estimated": False}
    event = only(reply, "say_llm")
    assert (event["message"], event["node_id"], event["llm_usage_info"]["total_tokens"]) == ("said: hi", "say", 12)
    assert event["call_seq"] == only(reply, "model_call_started")["seq"]
    assert only(reply, "end_workflow")["llm_token_usage"]["breakdown_by_models"] == [
        {
            "provider": "stub",
            "model": "stub-1",
            "call_count": 1,
            "total_input_tokens": 7,
            "total_output_tokens": 5,
            "total_tokens": 12,
        }
    ]
    assert only(reply, "end_workflow_iteration")["iteration_metrics"]["llm_call_count"] == 1
    record = (await talking_site.get(f"/v1/workflow-runs/{reply['run_id']}")).json()
    listed = (await talking_site.get("/v1/workflow-runs")).json()["items"][0]
    assert record["usage"] == listed["usage"] == reply["usage"]
    (seen,) = provider.seen
    assert seen.key == f"{reply['run_id']}:say#2.1"
    assert ("Authorization", "Bearer sk-very-secret-key") in [(name.title(), value) for name, value in seen.headers]


async def test_an_answer_is_repaired_within_bounds(talking_site: Site, provider: StubProvider) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    provider.plan = [Say(text="no idea"), Say(text='{"n": "x"}'), Say(text='{"n": 4}')]
    reply = await run(talking_site, asking(schema=schema, repair_attempts=2))
    assert reply["outputs"]["it"]["data"] == {"n": 4}
    assert reply["usage"]["total_tokens"] == 36
    assert [len(seen.body["messages"]) for seen in provider.seen] == [1, 3, 5]
    assert len(provider.by_key) == 3, "each request is an effect of its own"
    provider.plan = [Say(text="no"), Say(text="never")]
    failed = await run(talking_site, asking(schema=schema))
    assert (failed["status"], "invalid_output" in str(failed["events"])) == ("failed", True)


PLAIN, STREAMED = False, True
BOTH = [
    Say(fault="drop"),
    Say(fault="drop_midway"),
    Say(fault="reset"),
    Say(fault="html"),
    Say(status=500, body="{}"),
    Say(status=503, body="<html>"),
    Say(status=429, body="{}"),
    Say(status=429, body="{}", headers={"Retry-After": "0"}),
    Say(status=408, body=""),
]
BAD = [
    *((say, stream) for say in BOTH for stream in (PLAIN, STREAMED)),
    (Say(fault="garbled_json"), PLAIN),
    (Say(fault="end_early"), STREAMED),
    (Say(fault="reset_midway"), STREAMED),
    (Say(fault="garbled_sse"), STREAMED),
    (Say(events=[{"choices": []}, "[DONE]"]), STREAMED),
]


@pytest.mark.parametrize(("bad", "stream"), BAD, ids=[f"{say.fault or say.status}-{stream}" for say, stream in BAD])
async def test_a_bad_provider_is_tried_again_with_the_same_key(
    talking_site: Site, provider: StubProvider, bad: Say, stream: bool
) -> None:
    provider.plan = [bad]
    retry = {"max_attempts": 2, "delay_seconds": 0}
    reply = await run(talking_site, asking(stream=stream, retry=retry))
    assert (reply["status"], reply["outputs"]["it"]["text"]) == ("completed", "said: hi"), reply["error"]
    assert list(provider.by_key.values()) == [2]
    provider.plan = [bad, bad]
    failed = await run(talking_site, asking(stream=stream, retry=retry))
    assert failed["status"] == "failed" and failed["error"]
    assert types_of(failed).count("model_call_failed") == 1
    assert "sk-very-secret-key" not in json.dumps(failed)


def types_of(reply: Json) -> list[str]:
    return [event["type"] for event in reply["events"]]


@pytest.mark.parametrize("bad", [Say(status=400, body='{"error": "bad key sk-very-secret-key"}'), Say(fault="bomb")])
async def test_what_will_not_get_better_is_not_tried_again(
    talking_site: Site, provider: StubProvider, bad: Say
) -> None:
    provider.plan = [bad]
    failed = await run(talking_site, asking(stream=False))
    assert (failed["status"], len(provider.seen)) == ("failed", 1)
    assert "sk-very-secret-key" not in json.dumps(failed)


async def test_a_slow_provider_is_a_timeout(talking_site: Site, provider: StubProvider) -> None:
    provider.plan = [Say(fault="hang")]
    failed = await run(talking_site, asking(timeout_seconds=0.3, retry={"max_attempts": 1}))
    assert "no result within 0.3 seconds" in failed["error"]


async def test_stop_closes_the_connection_of_a_model_call(talking_site: Site, provider: StubProvider) -> None:
    provider.plan = [Say(fault="endless", delay_seconds=0.01)]
    workflow_id = await talking_site.workflow(asking())
    busy = await talking_site.execute(workflow_id, wait_seconds=0)
    assert busy.status_code == 202
    await provider.arrived.wait()
    stopped = await talking_site.execute(workflow_id, busy.json()["run_id"], command="stop")
    assert stopped.json()["status"] == "cancelled"
    await provider.client_closed.wait()


async def test_a_provider_of_the_workspace_is_guarded(site: Site, provider: StubProvider) -> None:
    body = {"base_url": provider.base_url, "api_key": "sk-mine", "default_model": "m"}
    await site.call("PUT", "/v1/providers/mine", body)
    failed = await run(site, asking(provider="mine"))
    assert (failed["status"], "may not reach" in failed["error"], provider.seen) == ("failed", True, [])


async def test_what_models_did_is_counted_without_any_tenants_words(talking_site: Site, provider: StubProvider) -> None:
    provider.plan = [Say(status=500, body="{}")]
    await run(talking_site, asking(prompt="a private question", retry={"max_attempts": 2, "delay_seconds": 0}))
    await run(talking_site, line(node("c", "code", code="output = 1"), node("t", "message", text="{{ 1 + 1 }}")))
    shown = (await talking_site.get("/metrics", key=None)).text
    for row in (
        'antiphon_effects_seconds_count{operation="model",outcome="ok"} 1.0',
        'antiphon_effects_seconds_count{operation="model",outcome="provider_error"} 1.0',
        'antiphon_effects_seconds_count{operation="code",outcome="ok"} 1.0',
        'antiphon_effects_seconds_count{operation="render",outcome="ok"} 1.0',
        'antiphon_effects_retries_total{operation="model"} 1.0',
        'antiphon_model_calls_seconds_count{outcome="ok",provider="stub"} 1.0',
        'antiphon_model_calls_seconds_count{outcome="provider_error",provider="stub"} 1.0',
        'antiphon_model_tokens_total{direction="input",provider="stub"} 7.0',
        'antiphon_model_tokens_total{direction="output",provider="stub"} 5.0',
    ):
        assert row in shown, row
    assert "private" not in shown


async def test_a_conversation_remembers(talking_site: Site, provider: StubProvider) -> None:
    graph = source(
        [
            node("start", "start"),
            node("talk", "llm", prompt="{{message?}}", say=True, system="Be kind.", memory={"window": 4}),
            node("next", "ask", prompt="And?"),
        ],
        [edge("start", "talk"), edge("talk", "next"), edge("next", "talk")],
    )
    workflow_id = await talking_site.workflow(graph)
    first = await talking_site.execute(workflow_id, message="hello")
    assert "say_llm" in types(first)
    await talking_site.execute(workflow_id, first.json()["run_id"], message="again")
    sent = provider.seen[-1].body["messages"]
    assert [(one["role"], one["content"]) for one in sent] == [
        ("system", "Be kind."),
        ("user", "hello"),
        ("assistant", "said: hello"),
        ("assistant", "And?"),
        ("user", "again"),
        ("user", "hello"),
    ]
