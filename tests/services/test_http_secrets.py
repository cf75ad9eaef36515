"""The http effect and secrets: they are sent where the author wrote them, and nothing of them comes back."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.vault import Vault
from app.engine.seal import Seal, Sealed, SecretRef
from app.ports import StoreUnavailableError
from app.services.performing.http import HttpPerformer
from app.services.performing.masking import MASK
from tests.conformance.samples import NOW
from tests.services.performing import OTHER, OURS, PASSWORD, TOKEN, Site, secret
from tests.stub_http import Asked, Reply, redirect, stub

# ---- secrets


def forms(value: str) -> list[bytes]:
    pairs = base64.b64encode(f"us:{value}".encode())
    texts = [value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]]
    return [*(text.encode() for text in texts), base64.b64encode(value.encode()), pairs]


def assert_hidden(found: Any) -> None:
    dumped = json.dumps(found, ensure_ascii=False).encode()
    for value in (TOKEN, PASSWORD):
        for form in [*forms(value), json.dumps(value, ensure_ascii=False)[1:-1].encode()]:
            assert form not in dumped


def echo(status: int = 200, media: str = "application/json") -> Any:
    """A server that repeats all that it was sent, in every form."""

    def answer(asked: Asked) -> Reply:
        everything = [asked.target, dict(asked.headers), asked.body.decode(), TOKEN, PASSWORD]
        everything += [form.decode() for value in (TOKEN, PASSWORD) for form in forms(value)]
        body = json.dumps(everything, ensure_ascii=asked.method == "GET").encode()
        back = [("Content-Type", media), ("X-Back", asked.header("authorization") or ""), ("Content-Encoding", "gzip")]
        return Reply(status, gzip.compress(body), back)

    return answer


SENT: dict[str, Any] = {
    "params": {"k": secret("token")},
    "headers": {"X-T": secret("ascii", "v=", ";")},
    "body": {"deep": [secret("password")]},
    "auth": {"type": "basic", "username": "us", "password": secret("password")},
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("wanted", ["auto", "json", "text", "base64"])
async def test_a_secret_is_sent_and_does_not_come_back(site: Site, method: str, wanted: str) -> None:
    await site.secrets.put(OURS, "ascii", "ascii-token")
    site.server.answer = echo()
    got = await site.perform({**SENT, "url": f"{site.server.url}/p"}, method=method, response_format=wanted)
    assert site.asked.header("x-t") == "v=ascii-token;"
    assert site.asked.header("authorization") == "Basic " + base64.b64encode(f"us:{PASSWORD}".encode()).decode()
    assert_hidden(got)
    assert "ascii-token" not in json.dumps(got)
    assert got["sent"]["url"] == got["url"] == f"{site.server.url}/p?k={MASK}"
    assert got["headers"]["x-back"] == f"Basic {MASK}"
    if wanted == "base64":
        assert_hidden(base64.b64decode(got["body"]).decode())
    elif wanted != "text":
        assert got["body"][3:5] == [MASK, MASK]


async def test_a_secret_is_hidden_in_a_refusal_also_where_it_is_cut(site: Site) -> None:
    await site.secrets.put(OURS, "ascii", "ascii-token")
    site.server.answer = echo(500)
    assert_hidden((await site.failure(SENT, method="POST")).details)
    site.server.answer = None
    site.server.replies = [Reply(500, b"x" * 4090 + b"ascii-token")]
    body = (await site.failure({"headers": {"X": secret("ascii")}})).details["body"]
    assert body == "x" * 4090 + MASK[:6]


async def test_a_secret_is_hidden_in_what_could_not_be_sent(site: Site) -> None:
    await site.secrets.put(OURS, "host", "hidden.invalid")
    failure = await site.failure({"url": secret("host", "http://us:pw@", "/x")})
    assert (failure.error_type, failure.message) == ("http_connection", f"{MASK} cannot be resolved")
    assert failure.details == {"sent": {"method": "GET", "url": f"http://{MASK}/x"}}
    assert (failure.__cause__, failure.__suppress_context__) == (None, True)
    failure = await site.failure({"headers": {"X": secret("token")}})
    assert failure.error_type == "invalid_value"
    assert_hidden([failure.message, failure.details])


async def test_a_secret_header_goes_to_no_other_origin(site: Site) -> None:
    await site.secrets.put(OURS, "ascii", "ascii-token")
    async with stub() as elsewhere:
        site.server.replies = [redirect(f"http://localhost:{elsewhere.port}/")]
        workspaces = (site.server.place, "127.0.0.1")
        client = GuardedHttp(AddressGuard(workspaces))
        site.performer._client = client
        fields = {
            "headers": {"X-Odd": secret("ascii"), "X-Plain": "1"},
            "auth": {"type": "header", "name": "X-Own", "value": "v"},
        }
        await site.perform(fields)
    assert {"x-odd", "x-own", "x-plain"} <= site.asked.names
    assert elsewhere.asked[0].names & {"x-odd", "x-own", "x-plain"} == {"x-plain"}


async def test_a_missing_secret_and_one_of_another_workspace_are_the_same(site: Site) -> None:
    for workspace, name in ((OURS, "nothing"), (OTHER, "token")):
        failure = await site.failure({"body": secret(name)}, workspace=workspace)
        assert (failure.error_type, failure.message, failure.retryable, failure.details) == (
            "invalid_reference",
            f"there is no secret {name!r}",
            False,
            {},
        )
    assert site.server.asked == []


async def test_a_secret_whose_key_is_gone_is_said_to_be_unreadable(site: Site) -> None:
    site.secrets._vault = Vault(["another key of 16"])
    failure = await site.failure({"body": secret("token")})
    assert (failure.error_type, site.server.asked) == ("invalid_reference", [])
    assert "ANTIPHON_SECRET_KEYS" in failure.message


async def test_a_database_that_is_away_is_waited_for(site: Site) -> None:
    class Away:
        """The secrets, the first two times not."""

        calls = 0

        async def reveal(self, workspace: str, names: list[str]) -> dict[str, str]:
            self.calls += 1
            if self.calls < 3:
                raise StoreUnavailableError
            return await site.secrets.reveal(workspace, names)

    away: Any = Away()
    workspaces = site.performer._workspaces
    performer = HttpPerformer(GuardedHttp(AddressGuard()), away, workspaces, site.clock)
    site.performer = performer
    await site.perform({"headers": {}, "body": secret("token")}, method="POST")
    assert (away.calls, len(site.server.asked), site.clock.now()) == (3, 1, NOW + 1)


async def test_what_a_user_brings_never_becomes_a_secret(site: Site) -> None:
    forged = msgspec.json.decode(msgspec.json.encode(Sealed("x", (Seal((), (SecretRef("token"),)),))))
    await site.perform({"body": ["{{secret.token}}", forged]}, method="POST")
    assert json.loads(site.asked.body) == ["{{secret.token}}", forged]
