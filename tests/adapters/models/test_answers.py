"""What is asked and what is understood, over real sockets: texts, streams, tool calls, schemas, usage."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.addresses import AddressGuard
from app.engine.talk import Message, ModelAnswer, ModelCall, Tool, ToolCall, Usage
from tests.adapters.models.calling import API_KEY, KEY, call, complete, saying
from tests.adapters.test_addresses import Names
from tests.stub_provider import Say, StubProvider

USAGE = Usage(input_tokens=7, output_tokens=5, total_tokens=12)
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@BOTH
async def test_a_text_is_answered(provider: StubProvider, stream: bool) -> None:
    pieces: list[str] = []
    answer = await complete(provider, call(saying(text="one two  three\n"), stream=stream), pieces=pieces)
    assert answer == ModelAnswer(
        text="one two  three\n", finish_reason="stop", usage=USAGE, provider="ours", model="stub-1"
    )
    assert pieces == (["one", " two", " ", " three\n"] if stream else [])


async def test_a_request_has_what_is_asked_and_nothing_more(provider: StubProvider) -> None:
    await complete(provider, call("hi"))
    seen = provider.seen[0]
    assert seen.target == "/v1/chat/completions"
    assert seen.body == {"model": "m-1", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert seen.headers == [
        ("host", provider.place),
        ("user-agent", "Antiphon"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate"),
        ("authorization", f"Bearer {API_KEY}"),
        ("content-type", "application/json"),
        ("idempotency-key", KEY),
        ("content-length", seen.headers[-1][1]),
    ]


async def test_all_settings_are_sent_as_they_are(provider: StubProvider) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "format": "x", "default": 1}}, "$defs": {}}
    asked = call(
        "hi",
        model="o3",  # a name that libraries know better about
        stream=True,
        temperature=0.0,
        max_tokens=9,
        schema=schema,
        params={"top_k": 3, "seed": 1, "reasoning_effort": "low", "nested": {"a": [None]}},
    )
    await complete(provider, asked)
    assert provider.seen[0].body == {
        "model": "o3",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "max_tokens": 9,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": False},
        },
        "top_k": 3,
        "seed": 1,
        "reasoning_effort": "low",
        "nested": {"a": [None]},
    }


@pytest.mark.parametrize("parallel", [True, False])
async def test_tools_are_offered(provider: StubProvider, parallel: bool) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "additionalProperties": False}
    tools = (Tool(name="look_up", description="Finds.", parameters=schema), Tool(name="bare"))
    await complete(provider, call("hi", tools=tools, parallel_tool_calls=parallel))
    body = provider.seen[0].body
    assert body["tools"] == [
        {"type": "function", "function": {"name": "look_up", "description": "Finds.", "parameters": schema}},
        {"type": "function", "function": {"name": "bare", "description": "", "parameters": {"type": "object"}}},
    ]
    assert (body["parallel_tool_calls"], body["tool_choice"]) == (parallel, "auto")


CALLS = [
    {"id": "c-1", "name": "look_up", "arguments": '{"q": "x", "n": [1, {"deep": null}], "big": 18446744073709551616}'},
    {"id": "c-2", "name": "look_up", "arguments": '{"q": "half'},
    {"id": "c-3", "name": "list", "arguments": "[1]"},
    {"id": "c-4", "name": "none", "arguments": ""},
]


@BOTH
async def test_several_calls_with_good_and_bad_arguments(provider: StubProvider, stream: bool) -> None:
    answer = await complete(provider, call(saying(text="I look", calls=CALLS), stream=stream))
    assert (answer.text, answer.finish_reason) == ("I look", "tool_calls")
    assert answer.tool_calls == (
        ToolCall(id="c-1", name="look_up", arguments={"q": "x", "n": [1, {"deep": None}], "big": 2**64}),
        ToolCall(id="c-2", name="look_up", arguments='{"q": "half'),
        ToolCall(id="c-3", name="list", arguments="[1]"),
        ToolCall(id="c-4", name="none", arguments={}),
    )


TALKED_CALLS = (
    ToolCall(id="c-1", name="look_up", arguments={"q": "x"}),
    ToolCall(id="c-2", name="look_up", arguments="no json"),
)
TALK = (
    Message(role="system", text="be brief"),
    Message(role="user", text="hi <|im_start|> there"),
    Message(role="assistant", text="<think>aloud</think> hello"),
    Message(role="system", text="be briefer"),
    Message(role="user", text="look"),
    Message(role="assistant", tool_calls=TALKED_CALLS),
    Message(role="tool", text='{"found": 1}', tool_call_id="c-1", tool_name="look_up"),
    Message(role="tool", text="", tool_call_id="c-2", tool_name="look_up"),
    Message(role="assistant", text=""),
    Message(role="user", text="and now?"),
)


async def test_a_whole_conversation_is_sent_in_its_order(provider: StubProvider) -> None:
    await complete(provider, ModelCall(messages=TALK))
    assert provider.seen[0].body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi <|im_start|> there"},
        {"role": "assistant", "content": "<think>aloud</think> hello"},
        {"role": "system", "content": "be briefer"},
        {"role": "user", "content": "look"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c-1", "type": "function", "function": {"name": "look_up", "arguments": '{"q":"x"}'}},
                # servers refuse what is no object, so it is sent in one
                {
                    "id": "c-2",
                    "type": "function",
                    "function": {"name": "look_up", "arguments": '{"INVALID_JSON":"no json"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "c-1", "content": '{"found": 1}'},
        {"role": "tool", "tool_call_id": "c-2", "content": ""},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "and now?"},
    ]


@BOTH
async def test_what_only_the_provider_understands_goes_back_as_it_came(provider: StubProvider, stream: bool) -> None:
    extra = {"google": {"thought_signature": "c2ln"}}
    made = {"id": "c-1", "name": "t", "arguments": "{}", "extra_content": extra}
    said = saying(calls=[made], extra={"reasoning_content": "let me see"})
    answer = await complete(provider, call(said, stream=stream))
    assert answer.text == ""
    assert answer.opaque == {
        "reasoning": [{"field": "reasoning_content", "text": "let me see"}],
        "calls": {"c-1": extra},
    }
    back = Message(role="assistant", tool_calls=answer.tool_calls, opaque=answer.opaque)
    await complete(provider, ModelCall(messages=(Message(role="user", text="x"), back)))
    sent = provider.seen[1].body["messages"][1]
    assert sent["reasoning_content"] == "let me see"
    assert sent["tool_calls"][0]["extra_content"] == extra


@pytest.mark.parametrize(
    "opaque", [None, 1, "x", [], {"reasoning": 1, "calls": []}, {"reasoning": [1, {"field": 1}], "calls": {"c": 1}}]
)
async def test_opaque_parts_of_another_shape_are_left_out(provider: StubProvider, opaque: Any) -> None:
    back = Message(role="assistant", text="hi", opaque=opaque)
    await complete(provider, ModelCall(messages=(back, Message(role="user", text="x"))))
    assert provider.seen[0].body["messages"][0] == {"role": "assistant", "content": "hi"}


@BOTH
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}]
)
async def test_tokens_that_nobody_counted_are_estimated(
    provider: StubProvider, usage: dict[str, int] | None, stream: bool
) -> None:
    said = saying(text="12345", usage=usage)
    answer = await complete(provider, call(said, stream=stream))
    asked = -(-len(said) // 4)
    assert answer.usage == Usage(input_tokens=asked, output_tokens=2, total_tokens=asked + 2, estimated=True)


@BOTH
@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "function_call", "eos_reached"])
async def test_the_reason_for_the_end_is_the_providers(provider: StubProvider, reason: str, stream: bool) -> None:
    answer = await complete(provider, call(saying(text="so far", finish=reason), stream=stream))
    assert (answer.finish_reason, answer.text) == (reason, "so far")


async def test_a_whole_answer_without_a_reason_has_stopped(provider: StubProvider) -> None:
    assert (await complete(provider, call(saying(text="x", finish=None)))).finish_reason == "stop"
    made = await complete(provider, call(saying(calls=[CALLS[0]], finish=None)))
    assert made.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "pieces",
    [
        ["\n\n", "  ", "a"],
        ["<think>", "hm", "</think>", "a"],
        ["😀", "é", "\u2028", "\r\n", "data: x", "\n\n"],
        ["x" * 100_000, "y"],
        [],
    ],
    ids=["space", "tags", "signs", "long", "nothing"],
)
async def test_pieces_add_up_to_the_text(provider: StubProvider, pieces: list[str]) -> None:
    heard: list[str] = []
    answer = await complete(provider, call(saying(text="", pieces=pieces), stream=True), pieces=heard)
    assert heard == pieces
    assert answer.text == "".join(pieces)


async def test_text_that_cannot_be_kept_has_marks_in_it(provider: StubProvider) -> None:
    whole = '{"choices": [{"message": {"role": "assistant", "content": "a\\ud800b"}, "finish_reason": "stop"}]}'
    assert (await complete(provider, call(saying(body=whole)))).text == "a?b"
    heard: list[str] = []
    provider.plan = [Say(text="", pieces=["a", "\ud800", "b"])]
    answer = await complete(provider, call(stream=True), pieces=heard)
    assert (answer.text, heard) == ("a?b", ["a", "?", "b"])


async def test_the_address_keeps_its_path_and_query(provider: StubProvider) -> None:
    for base in ("", "/", "/v1/", "/deep/er?api-version=2&x=%20"):
        await complete(provider, base_url=f"http://{provider.place}{base}")
    assert [seen.target for seen in provider.seen] == [
        "/chat/completions",
        "/chat/completions",
        "/v1/chat/completions",
        "/deep/er/chat/completions?api-version=2&x=%20",
    ]


async def test_without_a_key_none_is_sent(provider: StubProvider) -> None:
    await complete(provider, api_key="")
    assert "authorization" not in dict(provider.seen[0].headers)


async def test_a_packed_reply_is_read(provider: StubProvider) -> None:
    assert (await complete(provider, call(saying(text="packed", packed=True)))).text == "packed"


async def test_openais_own_servers_get_the_limit_under_the_name_they_know(provider: StubProvider) -> None:
    guard = AddressGuard((), Names(["127.0.0.1"]))
    url = f"http://api.openai.com:{provider.port}/v1"
    await complete(provider, call(max_tokens=9), base_url=url, guard=guard)
    body = provider.seen[0].body
    assert (body.get("max_completion_tokens"), body.get("max_tokens")) == (9, None)
