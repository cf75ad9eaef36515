"""The http effect performed against a real server: what is sent, what comes of each reply, and that no secret comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.samples import new_id
from tests.services.performing import KEY, TOKEN, Site, secret
from tests.stub_http import Reply, json_reply

# ---- what is sent


@pytest.mark.parametrize(
    ("call", "body", "media", "sent"),
    [
        ({}, None, None, b""),
        ({}, {"a": 2**70, "b": "ö"}, "application/json", b'{"a":1180591620717411303424,"b":"\xc3\xb6"}'),
        ({}, {"a": secret("token", "x")}, "application/json", json.dumps({"a": "x" + TOKEN}, ensure_ascii=False)),
        ({"body_type": "text"}, "ö", "text/plain; charset=utf-8", b"\xc3\xb6"),
        ({"body_type": "text"}, [1], "text/plain; charset=utf-8", b"[1]"),
        (
            {"body_type": "form"},
            {"a": "b&c", "d": [1, None], "e": secret("password")},
            "application/x-www-form-urlencoded",
            b"a=b%26c&d=1&d=&e=p%26ss%3A+w%25rd",
        ),
    ],
)
async def test_the_body_is_sent_as_its_type_says(
    site: Site, call: dict[str, Any], body: Any, media: str | None, sent: bytes | str
) -> None:
    await site.perform({"body": body}, method="POST", **call)
    expected = sent.replace(" ", "").encode() if isinstance(sent, str) else sent
    assert (site.asked.body, site.asked.header("content-type")) == (expected, media)


async def test_a_media_type_of_the_node_counts_more(site: Site) -> None:
    await site.perform({"body": {}, "headers": {"content-type": "application/x+json"}}, method="POST")
    assert site.asked.header("content-type") == "application/x+json"


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"type": "none"}, "authorization", None),
        ({"type": "bearer", "token": "t"}, "authorization", "Bearer t"),
        ({"type": "basic", "username": "u", "password": "p:ö"}, "authorization", "Basic dTpwOsO2"),
        ({"type": "header", "name": "X-Key", "value": 7}, "x-key", "7"),
    ],
)
async def test_it_says_who_sends_it(site: Site, auth: dict[str, Any], name: str, value: str | None) -> None:
    await site.perform({"auth": auth, "headers": {"authorization": "old"} if auth["type"] == "bearer" else {}})
    assert site.asked.header(name) == value


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_the_effects_key_goes_with_every_attempt_of_an_unsafe_method(site: Site, method: str) -> None:
    for _ in range(2):
        await site.perform({}, method=method)
        assert site.asked.header("idempotency-key") == KEY
    await site.perform({"headers": {"idempotency-KEY": "own"}}, method=method)
    assert site.asked.header("idempotency-key") == "own"
    await site.perform({"auth": {"type": "header", "name": "IDEMPOTENCY-KEY", "value": "own"}}, method=method)
    assert site.asked.header("idempotency-key") == "own"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_safe_method_has_no_key(site: Site, method: str) -> None:
    await site.perform({}, method=method)
    assert site.asked.header("idempotency-key") is None


@pytest.mark.parametrize(
    ("fields", "call", "words"),
    [
        ({"url": "ftp://x"}, {}, "the URL must begin with http:// or https:// and name a host"),
        ({"headers": {"X": "a\r\nY: 1"}}, {}, "the header X has characters that cannot be sent, or space at an end"),
        ({"body": [1]}, {"body_type": "form"}, "a form's body must be an object"),
    ],
)
async def test_what_cannot_be_sent_is_said(
    site: Site, fields: dict[str, Any], call: dict[str, Any], words: str
) -> None:
    failure = await site.failure(fields, method="POST", **call)
    assert (failure.error_type, failure.message, failure.retryable) == ("invalid_value", words, False)


async def test_only_what_the_workspace_may_reach_is_reached(site: Site) -> None:
    failure = await site.failure({}, workspace=new_id())
    assert (failure.error_type, failure.retryable, site.server.asked) == ("blocked_address", False, [])


# ---- what comes back


@pytest.mark.parametrize(
    ("wanted", "media", "body", "read"),
    [
        ("auto", "application/json", b'{"a": 1}', {"a": 1}),
        ("auto", "application/problem+json; charset=utf-8", b"[1]", [1]),
        ("auto", "application/json", b"\xef\xbb\xbf[1]", [1]),
        ("auto", "application/json", b"<html>", "<html>"),
        ("auto", "application/json", b"", None),
        ("auto", "text/html", b"<html>", "<html>"),
        ("auto", "text/plain; charset=iso-8859-1", b"\xe4", "ä"),
        ("auto", 'text/plain; charset="windows-1252"', b"\x80", "€"),
        ("auto", "text/plain; charset=utf-16", "ä".encode("utf-16"), "ä"),
        ("auto", "text/plain; charset=nonsense", "ä".encode(), "ä"),
        ("auto", "text/plain; charset=punycode", b"a-b", "a-b"),
        ("auto", "text/plain; charset=idna", b"xn--a", "xn--a"),
        ("auto", "text/plain; charset=zlib_codec", b"a", "a"),
        ("auto", "text/plain", b"\xff\x00", "\ufffd\x00"),
        ("auto", "image/png", b"\x89PNG", "iVBORw=="),
        ("auto", "", b"plain", "plain"),
        ("auto", "", b"", ""),
        ("json", "text/plain", b"12", 12),
        ("json", "text/html", b"", None),
        ("json", "text/plain", str(2**70).encode(), 2**70),
        ("text", "application/json", b"[1]", "[1]"),
        ("base64", "text/plain", b"plain", "cGxhaW4="),
    ],
)
async def test_a_reply_is_read_as_wanted(site: Site, wanted: str, media: str, body: bytes, read: Any) -> None:
    site.server.replies = [Reply(200, body, [("Content-Type", media)] if media else [])]
    got = await site.perform({}, response_format=wanted)
    assert got == {
        "status_code": 200,
        "headers": {**({"content-type": media} if media else {}), "content-length": str(len(body))},
        "body": read,
        "url": site.server.url,
        "sent": {"method": "GET", "url": site.server.url},
    }


@pytest.mark.parametrize("body", [b"<html>", b"{", b"nan", b'"\\ud800"', b"[" * 100_000])
async def test_what_should_be_json_and_is_not_is_a_garbled_reply(site: Site, body: bytes) -> None:
    site.server.replies = [Reply(200, body, [("Content-Type", "text/html")])]
    failure = await site.failure({}, response_format="json")
    assert (failure.error_type, failure.message, failure.retryable) == (
        "http_connection",
        "the reply is no JSON",
        True,
    )


async def test_json_too_deep_to_be_kept_is_said(site: Site) -> None:
    site.server.replies = [json_reply(json.loads("[" * 500 + "]" * 500))]
    assert (await site.failure({})).error_type in ("invalid_value", "http_connection")


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (408, True),
        (409, False),
        (425, True),
        (429, True),
        (500, True),
        (501, True),
        (503, True),
        (599, True),
    ],
)
async def test_a_refusal_is_a_failure_that_may_be_tried_again_or_not(site: Site, status: int, retryable: bool) -> None:
    site.server.replies = [json_reply({"no": "way"}, status)]
    failure = await site.failure({})
    assert (failure.error_type, failure.message, failure.retryable, failure.details) == (
        "http_status",
        f"the server answered {status}",
        retryable,
        {"status_code": status, "body": '{"no": "way"}', "sent": {"method": "GET", "url": site.server.url}},
    )
    got = await site.perform({}, fail_on_status=False)
    assert (got["status_code"], got["body"]) == (status, {"no": "way"})


async def test_the_body_of_a_refusal_is_cut_at_four_kib_without_half_a_character(site: Site) -> None:
    site.server.replies = [Reply(500, ("x" + "ä" * 2_000_000).encode())]
    body = (await site.failure({})).details["body"]
    assert body == "x" + "ä" * 2047
    site.server.replies = [Reply(500, b"\xff" * 5000)]
    assert len((await site.failure({})).details["body"].encode()) <= 4096


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 40, 1e20),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 59.5),
        ("Fri, 15 Jan 2027 08:01:00 -0000", 59.5),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 99 Jan 2027 07:00:00 GMT", None),
    ],
)
async def test_retry_after_is_seconds_or_a_date(site: Site, header: str | None, seconds: float | None) -> None:
    site.server.replies = [Reply(429, headers=[("Retry-After", header)] if header is not None else [])]
    assert (await site.failure({})).retry_after_seconds == seconds
