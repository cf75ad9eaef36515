"""Redirects of the guarded client: so many, with the right method, and with nothing that vouches for us elsewhere."""

from __future__ import annotations

import pytest

from tests.adapters.sending import refused, send
from tests.stub_http import Reply, Stub, json_reply, redirect

# ---- redirects


async def test_five_redirects_are_followed_and_no_sixth(server: Stub) -> None:
    server.replies = [*(redirect(f"/{number}") for number in range(1, 6)), json_reply("there")]
    got = await send(f"{server.url}/0")
    assert (got.status_code, got.body, got.url) == (200, b'"there"', f"{server.url}/5")
    server.replies = [redirect("/loop")]
    assert await refused(server.url) == ("http_connection", "there were more than 5 redirects", False)
    assert len(server.asked) == 12


@pytest.mark.parametrize(
    ("method", "status", "then", "keeps"),
    [
        ("POST", 301, "GET", False),
        ("POST", 302, "GET", False),
        ("POST", 303, "GET", False),
        ("PUT", 303, "GET", False),
        ("PUT", 302, "PUT", True),
        ("POST", 307, "POST", True),
        ("PATCH", 308, "PATCH", True),
        ("HEAD", 303, "HEAD", False),
    ],
)
async def test_a_redirect_changes_the_method_as_browsers_do(
    server: Stub, method: str, status: int, then: str, keeps: bool
) -> None:
    server.replies = [redirect("/next", status), Reply()]
    content = None if method == "HEAD" else b"body"
    await send(server.url, method, content=content, headers={"Content-Type": "text/plain", "Idempotency-Key": "k"})
    last = server.asked[1]
    assert (last.method, last.body, last.header("host")) == (then, b"body" if keeps else b"", server.place)
    assert ("content-type" in last.names, "idempotency-key" in last.names) == (keeps, keeps)


SECRETS = {
    "Authorization": "Bearer t",
    "Cookie": "c=1",
    "X-Api-Key": "k",
    "X-Auth-Token": "t",
    "Proxy-Authorization": "p",
    "X-Named": "n",
}


@pytest.mark.parametrize("status", [302, 307])
async def test_what_vouches_for_us_goes_to_no_other_origin(server: Stub, elsewhere: Stub, status: int) -> None:
    server.replies = [redirect(f"{elsewhere.url}/there", status), Reply()]
    elsewhere.replies = [redirect(f"{server.url}/back", status)]
    headers = {**SECRETS, "X-Plain": "1", "Idempotency-Key": "k"}
    await send(server.url, "POST", headers=headers, credentials=frozenset({"x-named"}), content=b"body")
    there, back = elsewhere.asked[0], server.asked[1]
    assert {name.lower() for name in SECRETS} <= server.asked[0].names
    for asked in (there, back):
        assert asked.names & {name.lower() for name in SECRETS} == set(), "nor does it come back"
        assert (asked.header("x-plain"), asked.header("idempotency-key")) == ("1", "k" if status == 307 else None)
        assert asked.body == (b"body" if status == 307 else b"")


async def test_on_the_same_origin_everything_is_kept(server: Stub) -> None:
    server.replies = [redirect("/there"), Reply()]
    await send(server.url, headers=SECRETS)
    assert {name.lower() for name in SECRETS} <= server.asked[1].names


async def test_a_body_with_a_secret_goes_to_no_other_origin(server: Stub, elsewhere: Stub) -> None:
    server.replies = [redirect(elsewhere.url, 307)]
    found = await refused(server.url, "POST", content=b"secret", has_secret_content=True)
    assert (found[0], elsewhere.asked) == ("blocked_address", [])
    server.replies = [redirect(elsewhere.url, 303)]
    await send(server.url, "POST", content=b"secret", has_secret_content=True)
    assert elsewhere.asked[0].body == b""


async def test_a_password_in_a_redirect_is_not_used(server: Stub) -> None:
    server.replies = [redirect(f"http://u:p@{server.place}/x"), Reply()]
    got = await send(server.url)
    assert (got.url, server.asked[1].header("authorization")) == (f"{server.url}/x", None)
