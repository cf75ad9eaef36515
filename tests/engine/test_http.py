"""The http node in the engine: what it asks for, what comes of the outcomes, and when it asks again."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.messages import EffectFailed
from app.engine.nodes import CATALOGUE
from app.engine.state import effects, next_deadline
from app.engine.validate import check
from app.engine.values import pack
from tests.engine.graphs import BEGIN, Bench, edge, line, node, source

SECRET_TEXT = "{{secret.crm}}"  # as a user might bring it


def bench(**config: Any) -> Bench:
    inputs = {"host": "api.example", "big": 2**70, "bad": SECRET_TEXT, "list": [1, None]}
    return Bench(line(node("call", "http", **{"url": "https://{{host}}/x", **config})), inputs=inputs)


def refuse(run: Bench, status: int = 503, after: float | None = None, *, retryable: bool = True) -> None:
    run.do(
        EffectFailed(
            now=run.now,
            effect_id=effects(run.at)[0].id,
            error_type="http_status",
            error_message=f"the server answered {status}",
            retryable=retryable,
            retry_after_seconds=after,
            details={"status_code": status, "body": "no", "sent": {"method": "GET", "url": "https://api.example/x"}},
        )
    )


def asked(run: Bench) -> Any:
    effect = effects(run.at)[0]
    assert (effect.operation, effect.once) == ("http", True)
    return effect.request


def reference(name: str) -> dict[str, str]:
    return {"type": "SecretRef", "name": name}


def text(words: str) -> dict[str, str]:
    return {"type": "Text", "text": words}


@pytest.mark.parametrize(
    ("config", "fields", "seals"),
    [
        ({}, {"url": "https://api.example/x", "params": {}, "headers": {}, "body": None, "auth": {"type": "none"}}, []),
        ({"params": {"q": "{{list}}", "n": "{{big}}"}}, {"params": {"q": [1, None], "n": 2**70}}, []),
        ({"body": {"deep": ["{{bad}}"]}}, {"body": {"deep": [SECRET_TEXT]}}, []),
        ({"body": "{{secret.crm}}"}, {"body": SECRET_TEXT}, [(["body"], [reference("crm")])]),
        (
            {"headers": {"X": "a {{bad}} {{ secret.crm }}"}},
            {"headers": {"X": f"a {SECRET_TEXT} {SECRET_TEXT}"}},
            [(["headers", "X"], [text("a "), text(SECRET_TEXT), text(" "), reference("crm")])],
        ),
        (
            {"auth": {"type": "bearer", "token": "{{secret.crm}}"}, "body": [0, {"a": "x{{secret.b}}"}]},
            {"auth": {"type": "bearer", "token": SECRET_TEXT}, "body": [0, {"a": "x{{secret.b}}"}]},
            [(["body", 1, "a"], [text("x"), reference("b")]), (["auth", "token"], [reference("crm")])],
        ),
    ],
)
def test_the_request_has_references_where_the_author_wrote_them(
    config: dict[str, Any], fields: dict[str, Any], seals: list[Any]
) -> None:
    found = asked(bench(**config))["fields"]
    assert {name: found["value"][name] for name in fields} == fields
    assert [(seal["path"], seal["parts"]) for seal in found["seals"]] == [(path, parts) for path, parts in seals]


def test_the_effect_is_a_plain_value_with_the_settings_beside_the_fields() -> None:
    run = bench(method="PATCH", body_type="form", response_format="base64", follow_redirects=False, timeout_seconds=2.5)
    request = asked(run)
    del request["fields"]
    assert request == {
        "method": "PATCH",
        "body_type": "form",
        "response_format": "base64",
        "follow_redirects": False,
        "fail_on_status": True,
    }
    assert effects(run.at)[0].timeout_seconds == 2.5
    assert effects(bench().at)[0].timeout_seconds == 30
    pack(run.at)


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({"url": 1}, ["url"]),
        ({"method": "TRACE"}, ["method"]),
        ({"auth": {"type": "bearer"}}, ["auth.token"]),
        ({"auth": {"type": "basic"}}, ["auth.username", "auth.password"]),
        ({"auth": {"type": "header", "name": "X"}}, ["auth.value"]),
        ({"auth": {"type": "digest"}}, ["auth.type"]),
        ({"auth": {"user": "x"}}, ["auth.user"]),
        ({"timeout_seconds": 301}, ["timeout_seconds"]),
        ({"timeout_seconds": 0}, ["timeout_seconds"]),
        ({"body_type": "xml"}, ["body_type"]),
        ({"response_format": "yaml"}, ["response_format"]),
        ({"headers": {"X": 1}}, ["headers.X"]),
    ],
)
def test_a_bad_config_is_refused_at_its_place(config: dict[str, Any], places: list[str]) -> None:
    found = check(line(node("call", "http", **{"url": "x", **config})), CATALOGUE).faults
    assert [fault.path.removeprefix("nodes[1].config.") for fault in found] == places


def test_the_reply_is_the_output_and_an_event() -> None:
    run = bench()
    sent = {"method": "GET", "url": "https://api.example/y"}
    output = {"status_code": 200, "headers": {"x": "1"}, "body": {"n": 2**70}, "url": "https://api.example/y"}
    run.succeed({**output, "sent": sent})
    assert (run.status, run.at.frames[0].outputs["call"]) == ("completed", output)
    (event,) = run.those("HttpRequested")
    assert (event.method, event.url, event.status_code, event.body, event.truncated, event.error) == (
        "GET",
        "https://api.example/y",
        200,
        {"n": 2**70},
        False,
        None,
    )
    kinds = run.kinds()
    assert kinds.index("HttpRequested") < kinds.index("NodeFinished", kinds.index("HttpRequested"))


def test_a_large_body_is_cut_in_the_event_only() -> None:
    run = bench()
    run.succeed({"status_code": 200, "headers": {}, "body": ["ä" * 20_000], "url": "u", "sent": None})
    (event,) = run.those("HttpRequested")
    assert (event.body, event.truncated) == ('["' + "ä" * 8_191, True)
    assert run.at.frames[0].outputs["call"]["body"] == ["ä" * 20_000]


def test_a_refusal_leaves_by_the_error_branch_with_its_status_and_body() -> None:
    nodes = [node("start", "start"), node("call", "http", url="u", on_error="branch"), node("end", "end", outputs={
        "it": "{{call}}"
    })]  # fmt: skip
    run = Bench(source(nodes, [edge("start", "call"), edge("call", "end", "error")]))
    refuse(run, 404, retryable=False)
    assert run.at.outputs == {
        "it": {
            "status_code": 404,
            "body": "no",
            "error_type": "http_status",
            "error_message": "the server answered 404",
        }
    }
    (event,) = run.those("HttpRequested")
    assert (event.url, event.status_code, event.body, event.error) == (
        "https://api.example/x",
        404,
        "no",
        "the server answered 404",
    )


def test_a_default_takes_the_place_of_a_failure() -> None:
    run = bench(on_error="default", default_output={"host": "{{host}}"})
    refuse(run)
    assert (run.status, run.at.frames[0].outputs["call"]) == ("completed", {"host": "api.example"})


def test_a_time_out_says_what_was_tried() -> None:
    run = bench(method="POST")
    run.fail("timeout")
    (event,) = run.those("HttpRequested")
    assert (event.method, event.url, event.status_code, event.error) == ("POST", None, None, "timeout!")
    assert run.at.error == "node 'call' failed: timeout!"


RETRY = {"max_attempts": 3, "delay_seconds": 10, "backoff": 2}


@pytest.mark.parametrize(("after", "delay"), [(None, 10), (0.0, 10), (-5.0, 10), (9.5, 10), (25.0, 25), (300.0, 300)])
def test_retry_after_lengthens_the_delay_and_never_shortens_it(after: float | None, delay: float) -> None:
    run = bench(retry=RETRY)
    before = effects(run.at)[0]
    refuse(run, after=after)
    assert (effects(run.at), next_deadline(run.at, run.limits)) == ([], BEGIN + delay)
    run.wait(delay)
    again = effects(run.at)[0]
    assert (again.id, again.attempt, again.request) == (before.id, 2, before.request)
    assert [(event.attempt, event.delay_seconds) for event in run.those("NodeRetried")] == [(1, delay)]


def test_one_that_may_be_tried_only_much_later_is_rate_limited() -> None:
    run = bench(retry=RETRY, on_error="default")
    refuse(run, 429, after=300.5)
    (event,) = run.those("HttpRequested")
    assert (event.status_code, event.error) == (429, "may be tried again in 300.5 seconds only")
    assert run.those("NodeFinished")[-1].error_type == "rate_limited"


@pytest.mark.parametrize(("retry", "attempts"), [(None, 1), ({"max_attempts": 1}, 1), ({"max_attempts": 3}, 3)])
def test_it_is_tried_as_often_as_the_node_says_and_then_fails_as_it_is(retry: Any, attempts: int) -> None:
    run = bench(**({"retry": {"delay_seconds": 0, **retry}} if retry else {}))
    for number in range(attempts):
        assert run.status == "running"
        refuse(run, after=900.0 if number == attempts - 1 else None)
    assert (run.status, run.at.error) == ("failed", "node 'call' failed: the server answered 503")
    assert len(run.those("HttpRequested")) == 1, "an event of the outcome, not of each attempt"


def test_what_cannot_be_repeated_is_not() -> None:
    run = bench(retry=RETRY)
    refuse(run, 400, retryable=False)
    assert (run.status, run.those("NodeRetried")) == ("failed", [])


def test_an_unknown_reference_fails_before_anything_is_sent() -> None:
    run = bench(url="https://{{nobody}}/{{secret.crm}}")
    assert (run.status, effects(run.at), run.those("HttpRequested")) == ("failed", [], [])
    assert run.those("NodeFinished")[-1].error_type == "invalid_reference"
