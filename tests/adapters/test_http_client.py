"""The way out, over real sockets: what it sends, what it takes from bad servers, and where it does not go."""

from __future__ import annotations

import logging

import pytest

from app.adapters.addresses import AddressGuard
from app.ports import HttpResponse
from tests.adapters.sending import refused, send
from tests.adapters.test_addresses import Names
from tests.stub_http import Asked, Reply, Stub, json_reply, redirect

# ---- what is sent, and what comes back


async def test_a_request_is_sent_as_asked_and_nothing_is_added_but_our_name(server: Stub) -> None:
    server.replies = [json_reply({"a": 1}, 201, X_One="1")]
    got = await send(
        f"{server.url}/p%20q?x=1&x=2#frag",
        "POST",
        params=(("y", "ä &"), ("y", "3")),
        headers={"X-Mine": "yes", "accept": "text/plain"},
        content=b'{"b":2}',
    )
    assert got == HttpResponse(
        201,
        {"content-type": "application/json", "x-one": "1", "content-length": "8"},
        b'{"a": 1}',
        f"{server.url}/p%20q?x=1&x=2&y=%C3%A4+%26&y=3#frag",
    )
    assert server.asked == [
        Asked(
            "POST",
            "/p%20q?x=1&x=2&y=%C3%A4+%26&y=3",
            (
                ("host", server.place),
                ("user-agent", "Antiphon"),
                ("accept", "text/plain"),
                ("accept-encoding", "gzip, deflate"),
                ("x-mine", "yes"),
                ("content-length", "7"),
            ),
            b'{"b":2}',
        )
    ]


async def test_a_password_in_the_url_is_sent_as_basic_and_shown_nowhere(server: Stub) -> None:
    got = await send(f"http://us%20er:pa:ss@{server.place}/x")
    assert (got.url, server.asked[0].header("authorization")) == (f"{server.url}/x", "Basic dXMgZXI6cGE6c3M=")
    assert server.asked[0].target == "/x"


async def test_lines_of_one_name_are_joined_and_cookies_stay_apart(server: Stub) -> None:
    server.replies = [
        Reply(headers=[("Set-Cookie", "a=1; Expires=Wed, 21 Oct"), ("X", "1"), ("set-cookie", "b=2"), ("x", "2")])
    ]
    assert (await send(server.url)).headers == {
        "set-cookie": "a=1; Expires=Wed, 21 Oct\nb=2",
        "x": "1, 2",
        "content-length": "0",
    }


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("DELETE", 204)])
async def test_a_reply_without_a_body_has_none(server: Stub, method: str, status: int) -> None:
    headers = [("Content-Length", "5000"), ("Content-Encoding", "gzip")] if method == "HEAD" else []
    server.replies = [Reply(status, headers=headers, hang=status in (204, 304))]
    got = await send(server.url, method)
    assert (got.status_code, got.body) == (status, b"")


async def test_the_environments_proxy_and_netrc_are_not_used(
    server: Stub, elsewhere: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, elsewhere.url)
    await send(server.url)
    assert (len(server.asked), elsewhere.asked) == (1, [])


async def test_libraries_log_nothing_of_a_request(server: Stub, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await send(f"{server.url}/?token=s3cr3t", headers={"X": "s3cr3t"})
    assert "s3cr3t" not in caplog.text


# ---- what cannot be sent


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "//host/",
        "ftp://host/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://",
        "http:///path",
        "http://[::1",
        "http://host:x/",
        "http://host:0/",
        "http://host:65536/",
        "http://host:99999999999/",
        "http://host:-1/",
        "http://ho\rst/",
        "http://host/\r\nX-Injected: 1",
        "http://host/\0",
        "http://" + "a" * 70_000,
    ],
)
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    assert (await refused(url))[::2] == ("invalid_value", False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nX-Injected: 1"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X", "token\n"),
        ("X", " a"),
        ("X", "ä"),
        ("X", "\ud800"),
        ("X\r\nY", "1"),
        ("X: 1\r\nY", "1"),
        ("X Y", "1"),
        ("", "1"),
        ("Ä", "1"),
        ("Host", "inner.example"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive, x-y"),
        ("Upgrade", "websocket"),
    ],
)
async def test_a_header_that_would_be_another_is_refused_before_anything_is_sent(
    server: Stub, name: str, value: str
) -> None:
    kind, message, retryable = await refused(server.url, headers={name: value})
    assert (kind, retryable, server.asked) == ("invalid_value", False, [])
    assert len(value) < 3 or value not in message


async def test_line_ends_in_parameters_stay_parameters(server: Stub) -> None:
    await send(f"{server.url}/", params=(("a\r\nX: 1", "b\r\n\r\nGET / HTTP/1.1"),))
    assert server.asked[0].target == "/?a%0D%0AX%3A+1=b%0D%0A%0D%0AGET+%2F+HTTP%2F1.1"


# ---- where it does not go


INNER = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://017700000001:{port}/",
    "http://0:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com:80@127.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://①②⑦.⓪.⓪.①:{port}/",
]


@pytest.mark.parametrize("url", INNER)
async def test_no_spelling_reaches_an_inner_address(server: Stub, url: str) -> None:
    """The last three are read as no address, or as another host."""
    kind, _, _ = await refused(url.format(port=server.port), allowed=())
    possible = (
        ("blocked_address",) if url not in INNER[-3:] else ("http_connection", "invalid_value", "blocked_address")
    )
    assert (kind in possible, server.asked) == (True, [])


async def test_the_address_that_was_checked_is_the_one_that_is_used(server: Stub) -> None:
    names = Names(["127.0.0.1"], ["10.255.255.1"])
    await send(f"http://rebinding.example:{server.port}/x", guard=AddressGuard((), names))
    assert names.asked == [("rebinding.example", server.port)]
    assert server.asked[0].header("host") == f"rebinding.example:{server.port}"


async def test_the_next_address_is_tried_when_one_does_not_take_the_connection(server: Stub) -> None:
    guard = AddressGuard(["127.0.0.0/8", "::1"], Names(["::1", "127.0.0.2", "127.0.0.1"]))
    assert (await send(f"http://several.example:{server.port}/", guard=guard, allowed=())).status_code == 200
    guard = AddressGuard(["127.0.0.0/8", "::1"], Names(["::1", "127.0.0.2"]))
    found = await refused(f"http://several.example:{server.port}/", guard=guard, allowed=())
    assert found == ("http_connection", "the request failed: ConnectError", True)


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://127.0.0.1:1/", "blocked_address"),
        ("http://169.254.169.254/latest/meta-data/", "blocked_address"),
        ("//localhost:1/", "blocked_address"),
        ("http://2130706433:1/", "blocked_address"),
        ("file:///etc/passwd", "blocked_address"),
        ("gopher://127.0.0.1/", "blocked_address"),
        ("javascript:alert(1)", "blocked_address"),
        ("http://host:0/", "blocked_address"),
        ("http://[::1", "http_connection"),
    ],
)
async def test_a_redirect_is_judged_like_a_request(server: Stub, location: str, kind: str) -> None:
    server.replies = [redirect(location)]
    assert (await refused(server.url, allowed=[server.place]))[0] == kind
    assert len(server.asked) == 1
    assert (await send(server.url, follow_redirects=False)).headers["location"] == location


async def test_a_name_is_resolved_and_judged_anew_at_each_redirect(server: Stub) -> None:
    server.replies = [redirect("/again")]
    names = Names(["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"])
    guard = AddressGuard(["127.0.0.1"], names)
    assert (await refused(f"http://moving.example:{server.port}/", guard=guard, allowed=()))[0] == "blocked_address"
    assert ([asked.target for asked in server.asked], len(names.asked)) == (["/", "/again"], 3)
