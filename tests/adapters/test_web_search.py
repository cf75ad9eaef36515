"""The search of the web, over real sockets: what is asked, what of an answer passes, what is no answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.web_search import SearxSearch
from app.ports import EffectError
from app.ports.web import WebPage
from tests.conformance.samples import NOW, SetClock
from tests.stub_http import Reply, Stub, json_reply, redirect


async def search(server: Stub, query: str = "q", limit: int = 5, path: str = "", **given: Any) -> list[WebPage]:
    allowed = given.pop("allowed", (server.place,))
    searching = SearxSearch(GuardedHttp(AddressGuard()), SetClock(NOW), server.url + path, allowed)
    async with asyncio.timeout(5):
        return await searching.search(query, limit)


async def refused(server: Stub, *replies: Reply, **given: Any) -> EffectError:
    server.asked, server.replies = [], list(replies)
    with pytest.raises(EffectError) as caught:
        await search(server, **given)
    return caught.value


def listing(*urls: Any) -> Reply:
    return json_reply({"results": [{"title": "T", "url": url, "content": "C"} for url in urls]})


@pytest.mark.parametrize("path", ["", "/", "/sx/", "/sx"])
async def test_a_query_is_asked_below_the_base_url_and_pages_come_back(server: Stub, path: str) -> None:
    found = [
        {"title": "One", "url": "https://one.example/a?b=ä", "content": "first", "engine": "x", "score": 2},
        {"title": None, "url": "http://two.example"},
    ]
    server.replies = [json_reply({"query": "q", "results": found, "answers": []})]
    assert await search(server, "größe & &q=x", path=path) == [
        WebPage(title="One", url="https://one.example/a?b=ä", snippet="first"),
        WebPage(title="", url="http://two.example", snippet=""),
    ]
    (asked,) = server.asked
    below = path.rstrip("/")
    assert (asked.method, asked.target) == ("GET", f"{below}/search?q=gr%C3%B6%C3%9Fe+%26+%26q%3Dx&format=json")


async def test_the_first_pages_that_can_be_are_taken(server: Stub) -> None:
    bad = ["javascript:alert(1)", "ftp://x.example", "data:text/html,x", "//x", "https://", "http://[", "https://a b"]
    more = ["https://x.example\\@y", "https://a\nb.example", "https://x.example/" + "u" * 2_048, 5, None, ["https://x"]]
    server.replies = [listing(*bad, *more, *[f"HTTPS://x.example/{at}" for at in range(9)])]
    assert [page.url for page in await search(server, limit=3)] == [f"HTTPS://x.example/{at}" for at in range(3)]
    server.replies = [json_reply({"results": ["x", None, {}, {"url": "https://x"}]})]
    assert [page.url for page in await search(server)] == ["https://x"]
    server.replies = [json_reply({"results": []})]
    assert await search(server) == []


async def test_long_words_are_cut(server: Stub) -> None:
    server.replies = [json_reply({"results": [{"title": "t" * 999, "url": "https://x", "content": "c" * 9_999}]})]
    (page,) = await search(server)
    assert (len(page.title), len(page.snippet)) == (512, 4_096)


@pytest.mark.parametrize(
    ("reply", "error_type", "retryable"),
    [
        (Reply(500, b"inner words"), "provider_error", True),
        (Reply(403, b"inner words"), "provider_error", False),
        (Reply(204), "provider_error", False),
        (Reply(408), "provider_error", True),
        (Reply(429, headers=[("Retry-After", "7")]), "rate_limited", True),
        (Reply(200, b"<html>"), "provider_error", True),
        (Reply(200, b"[" * 100_000), "provider_error", True),
        (Reply(200, b'{"results": [{"url": "https://x", "title": "\\ud800"}]}'), "provider_error", True),
        (json_reply([]), "provider_error", True),
        (json_reply({"results": {}}), "provider_error", True),
        (Reply(raw=b"nonsense\r\n\r\n"), "http_connection", True),
        (Reply(200, b"{" + b" " * 2_000_000), "too_large", False),
        (redirect("http://169.254.169.254/"), "blocked_address", False),
    ],
)
async def test_what_is_no_answer_is_a_failure(server: Stub, reply: Reply, error_type: str, retryable: bool) -> None:
    found = await refused(server, reply)
    assert (found.error_type, found.retryable) == (error_type, retryable)
    assert found.retry_after_seconds == (7 if reply.status == 429 else None)
    shown = json.dumps([found.message, found.details])
    assert ("inner words" in shown, server.place in shown, "169.254" in shown) == (False, False, False)


async def test_only_the_place_of_the_setting_is_reached(server: Stub) -> None:
    assert (await refused(server, listing(), allowed=())).error_type == "blocked_address"
    assert server.asked == []


async def test_nobody_there_is_a_failure_that_may_pass() -> None:
    gone = Stub()
    gone.port = 1
    found = await refused(gone)
    assert (found.error_type, found.retryable) == ("http_connection", True)
