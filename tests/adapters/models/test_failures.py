"""Everything that providers do wrong, over real sockets: each becomes one clear failure, and none a surprise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.adapters.models.calling import call, complete, failure, saying
from tests.stub_provider import StubProvider

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
UNREADABLE = "the reply cannot be read"
CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def delta(content: Any, finish: Any = None) -> dict[str, Any]:
    return CHUNK | {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}


@BOTH
@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "provider_error", False),
        (401, "provider_error", False),
        (404, "provider_error", False),
        (408, "provider_error", True),
        (409, "provider_error", False),
        (413, "provider_error", False),
        (425, "provider_error", True),
        (429, "rate_limited", True),
        (500, "provider_error", True),
        (502, "provider_error", True),
        (503, "provider_error", True),
        (529, "provider_error", True),
        (201, "provider_error", False),
        (302, "provider_error", False),
    ],
)
async def test_a_refusal_tells_its_status_and_body(
    provider: StubProvider, status: int, kind: str, retryable: bool, stream: bool
) -> None:
    body = '{"error": {"message": "because", "code": "context_length_exceeded"}}'
    headers = {"Location": "/elsewhere"}
    found = await failure(provider, call(saying(status=status, body=body, headers=headers), stream=stream))
    assert (found.error_type, found.retryable, found.message) == (kind, retryable, f"the provider answered {status}")
    assert found.details == {"status_code": status, "body": body}
    assert len(provider.seen) == 1  # no retries, no redirects


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("0", 0.0), ("soon", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)]
)
async def test_a_wish_to_wait_is_passed_on(
    provider: StubProvider, status: int, header: str, seconds: float | None
) -> None:
    found = await failure(provider, call(saying(status=status, body="busy", headers={"Retry-After": header})))
    assert found.retry_after_seconds == seconds


async def test_a_long_refusal_is_read_in_part(provider: StubProvider) -> None:
    found = await failure(provider, call(saying(status=400, body="é" * 100_000)))
    assert len(found.details["body"].encode()) == 64 * 1024


@BOTH
@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("drop", "http_connection", UNREADABLE),
        ("drop_midway", "http_connection", UNREADABLE),
        ("html", "provider_error", UNREADABLE + ": it is no JSON"),
        ("huge", "too_large", "the reply is larger than 8388608 bytes"),
        ("bomb", "too_large", "the reply is larger than 8388608 bytes"),
    ],
)
async def test_a_reply_that_is_none(provider: StubProvider, fault: str, kind: str, message: str, stream: bool) -> None:
    found = await failure(provider, call(saying(text="one two three four", fault=fault), stream=stream))
    assert (found.error_type, found.message, found.retryable) == (kind, message, kind != "too_large")
    assert (len(provider.seen), found.details) == (1, {})


@BOTH
async def test_a_connection_that_is_reset(provider: StubProvider, stream: bool) -> None:
    found = await failure(provider, call(saying(text="a b c", fault="reset"), stream=stream))
    assert (found.error_type, found.retryable) == ("http_connection", True)


@BOTH
async def test_a_server_that_is_not_there(provider: StubProvider, stream: bool) -> None:
    found = await failure(provider, call(stream=stream), base_url="http://127.0.0.1:9/v1")
    assert (found.error_type, found.message, found.retryable) == (
        "http_connection",
        "the request failed: ConnectError",
        True,
    )


@pytest.mark.parametrize("fault", ["drop_midway", "end_early", "reset_midway"])
async def test_a_stream_that_ends_too_early_is_no_answer_though_pieces_came(provider: StubProvider, fault: str) -> None:
    pieces: list[str] = []
    said = saying(text="one two three four five six", fault=fault, delay_seconds=0.02)
    found = await failure(provider, call(said, stream=True), pieces=pieces)
    assert (found.error_type, found.retryable) == ("http_connection", True)
    assert 0 < len(pieces) < 6


async def test_a_stream_that_never_ends_becomes_too_large(provider: StubProvider) -> None:
    said = saying(text="", pieces=["x" * 100_000] * 8, fault="endless")
    found = await failure(provider, call(said, stream=True))
    assert (found.error_type, found.retryable) == ("too_large", False)


CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "it is no JSON"),
        ("{", "it is no JSON"),
        ('{"choices": [{}]', "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("1" * 5_000, "it is no JSON"),
        ("null", "it is no object"),
        ('"text"', "it is no object"),
        ("[]", "it is no object"),
        ("{}", "it has no choice"),
        ('{"choices": []}', "it has no choice"),
        ('{"choices": null}', "it has no choice"),
        ('{"choices": {"0": 1}}', "it has no choice"),
        ('{"choices": [null]}', "it has a wrong form"),
        ('{"choices": [1]}', "it has a wrong form"),
        ('{"choices": [{}]}', "it has a wrong form"),
        ('{"choices": [{"message": null}]}', "it has a wrong form"),
        (json.dumps({"choices": [CHOICE | {"message": {"role": "assistant", "content": 5}}]}), "it has a wrong form"),
        (json.dumps({"choices": [CHOICE | {"message": {"content": "x", "tool_calls": 1}}]}), "it has a wrong form"),
        (json.dumps({"choices": [CHOICE | {"message": {"content": "x", "tool_calls": [{}]}}]}), "it has a wrong form"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_whole_answer_of_a_wrong_form(provider: StubProvider, body: str, why: str) -> None:
    found = await failure(provider, call(saying(body=body)))
    assert (found.error_type, found.message, found.retryable) == ("provider_error", f"{UNREADABLE}: {why}", True)


async def test_garbled_json(provider: StubProvider) -> None:
    found = await failure(provider, call(saying(text="x", fault="garbled_json")))
    assert (found.error_type, found.message) == ("provider_error", f"{UNREADABLE}: it is no JSON")


EVENTS: list[tuple[list[Any], str, str]] = [
    ([delta("a"), "{broken"], "provider_error", "an event is no JSON"),
    (["{broken"], "provider_error", "an event is no JSON"),
    ([delta("a"), "[" * 100_000], "provider_error", "it has a wrong form"),
    ([delta("a"), '"text"'], "provider_error", "it has a wrong form"),
    ([delta("a"), "5"], "provider_error", "it has a wrong form"),
    ([delta("a"), CHUNK | {"choices": [5]}], "provider_error", "it has a wrong form"),
    ([delta("a"), CHUNK | {"choices": 5}], "provider_error", "it has a wrong form"),
    ([delta({"a": 1})], "http_connection", ""),
    ([delta("a"), CHUNK | {"choices": [{"index": 0, "delta": 7}]}], "provider_error", "it has a wrong form"),
    ([], "provider_error", "it has a wrong form"),
    ([CHUNK | {"choices": []}], "http_connection", ""),
    ([delta("a")], "http_connection", ""),
]


@pytest.mark.parametrize(("events", "kind", "why"), EVENTS, ids=[str(events)[-50:] for events, _, _ in EVENTS])
async def test_a_stream_of_a_wrong_form(provider: StubProvider, events: list[Any], kind: str, why: str) -> None:
    found = await failure(provider, call(saying(events=events), stream=True))
    message = f"{UNREADABLE}: {why}" if why else "the reply ended before the answer did"
    assert (found.error_type, found.message, found.retryable) == (kind, message, True)


async def test_a_garbled_stream(provider: StubProvider) -> None:
    found = await failure(provider, call(saying(text="a b", fault="garbled_sse"), stream=True))
    assert (found.error_type, found.message) == ("provider_error", f"{UNREADABLE}: an event is no JSON")


async def test_an_event_that_is_no_text_at_all(provider: StubProvider) -> None:
    headers = {"Content-Type": "text/event-stream"}
    for body in ("data: \x00\x01\x02\n\n", "no event\n\n", "", "\n" * 1_000, "data: [DONE]\n\n"):
        found = await failure(provider, call(saying(body=body, headers=headers), stream=True))
        assert (found.error_type, found.retryable) == ("provider_error", True)


async def test_an_answer_to_a_stream_that_is_none(provider: StubProvider) -> None:
    found = await failure(provider, call(saying(body=json.dumps({"choices": [CHOICE]})), stream=True))
    assert found.message == f"{UNREADABLE}: it is no stream of events"


@BOTH
async def test_an_error_within_a_good_reply(provider: StubProvider, stream: bool) -> None:
    error = {"message": "overloaded", "code": 502}
    said = saying(events=[delta("a"), {"error": error}]) if stream else saying(body=json.dumps({"error": error}))
    found = await failure(provider, call(said, stream=stream))
    assert (found.error_type, found.message) == ("provider_error", "the provider reports an error")
    assert found.retryable
    assert (found.details["status_code"], json.loads(found.details["body"])) == (200, error)


@BOTH
async def test_a_refusal_by_the_model_is_final(provider: StubProvider, stream: bool) -> None:
    said = saying(extra={"refusal": "I will not."})
    found = await failure(provider, call(said, stream=stream))
    assert (found.error_type, found.message, found.retryable) == (
        "provider_error",
        "the model refused to answer",
        False,
    )
    assert found.details == {"body": "I will not."}


@BOTH
async def test_a_filter_that_leaves_nothing_is_final(provider: StubProvider, stream: bool) -> None:
    found = await failure(provider, call(saying(text="", finish="content_filter"), stream=stream))
    assert (found.error_type, found.retryable) == ("provider_error", False)
    assert found.message == "the provider's content filter stopped the answer"


@pytest.mark.filterwarnings("ignore:Unexpected non-string value")
@pytest.mark.parametrize("extra", [{"reasoning": {"a": 1}}, {"annotations": 5}, {"audio": 5}, {"role": 7}])
@BOTH
async def test_odd_parts_that_nobody_needs_do_no_harm_or_fail_clearly(
    provider: StubProvider, extra: dict[str, Any], stream: bool
) -> None:
    try:
        assert (await complete(provider, call(saying(text="x", extra=extra), stream=stream))).text == "x"
    except Exception as error:
        assert str(error) == f"{UNREADABLE}: it has a wrong form"


@pytest.mark.parametrize("name", ["model", "messages", "tools", "stream"])
async def test_params_cannot_set_what_the_call_says(provider: StubProvider, name: str) -> None:
    found = await failure(provider, call(params={name: 1, "seed": 1}))
    assert (found.error_type, found.message, provider.seen) == ("invalid_value", f"params cannot set {name}", [])


async def test_a_model_is_needed(provider: StubProvider) -> None:
    found = await failure(provider, model="")
    assert (found.error_type, provider.seen) == ("invalid_value", [])


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://127.0.0.1/", "http://", "http://[::1", "http://127.0.0.1:0/v1", "\x00"]
)
async def test_an_address_that_is_none(provider: StubProvider, url: str) -> None:
    found = await failure(provider, base_url=url)
    assert (found.error_type, found.retryable) == ("invalid_value", False)


@pytest.mark.parametrize("key", ["sk\r\nX: 1", "sk-ä", "sk\n"])
async def test_a_key_that_cannot_be_sent(provider: StubProvider, key: str) -> None:
    found = await failure(provider, api_key=key)
    assert (found.error_type, provider.seen) == ("invalid_value", [])
    assert key not in found.message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
async def test_a_request_that_cannot_be_written(provider: StubProvider, value: Any) -> None:
    found = await failure(provider, call(params={"x": value}))
    assert (found.error_type, found.retryable, provider.seen) == ("invalid_value", False, [])


@BOTH
async def test_very_many_calls_at_once_are_no_answer(provider: StubProvider, stream: bool) -> None:
    calls = [{"id": f"c{at}", "name": "t", "arguments": "{}"} for at in range(129)]
    found = await failure(provider, call(saying(calls=calls, finish="tool_calls"), stream=stream))
    assert (found.error_type, found.retryable, "129 calls" in found.message) == ("provider_error", False, True)
    answer = await complete(provider, call(saying(calls=calls[:128], finish="tool_calls"), stream=stream))
    assert len(answer.tool_calls) == 128
