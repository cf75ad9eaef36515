"""The http node in a served run: attempts are bounded and repeated under one key, and its event tells what was asked."""

from __future__ import annotations

from typing import Any

from tests.api.sites import Site
from tests.engine.graphs import line, node
from tests.stub_http import Reply, Stub, json_reply


async def turn_of(site: Site, **config: Any) -> dict[str, Any]:
    workflow_id = await site.workflow(
        line(node("call", "http", **config), node("end", "end", outputs={"it": "{{call}}"}))
    )
    reply = await site.execute(workflow_id, query="?wait_seconds=20")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def requests(turn: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in turn["events"] if event["type"] == "http_request"]


async def test_a_call_gives_its_reply_and_an_event(outgoing_site: Site, server: Stub) -> None:
    server.replies = [json_reply({"n": 2**70}, 201)]
    turn = await turn_of(outgoing_site, method="PUT", url=f"{server.url}/it's", body={"a": [1]})
    assert turn["outputs"] == {
        "it": {
            "status_code": 201,
            "headers": {"content-type": "application/json", "content-length": "29"},
            "body": {"n": 2**70},
            "url": f"{server.url}/it's",
        }
    }
    (event,) = requests(turn)
    assert (event["curl_command"], event["status_code"], event["response_body"], event["error"]) == (
        f"""curl -X PUT '{server.url}/it'"'"'s'""",
        201,
        {"n": 2**70},
        None,
    )
    assert server.asked[0].header("idempotency-key") == f"{turn['run_id']}:call#2.1"


async def test_every_attempt_has_its_own_time_and_the_same_key(outgoing_site: Site, server: Stub) -> None:
    server.replies = [
        Reply(hang=True),
        Reply(raw=b"nonsense\r\n\r\n"),
        Reply(503, headers=[("Retry-After", "0")]),
        Reply(body=b"x" * 100, drip_seconds=0.05),
        json_reply("at last"),
    ]
    retry = {"max_attempts": 5, "delay_seconds": 0}
    turn = await turn_of(outgoing_site, method="POST", url=server.url, timeout_seconds=0.3, retry=retry)
    assert (turn["status"], turn["outputs"]["it"]["body"]) == ("completed", "at last")
    keys = [asked.header("idempotency-key") for asked in server.asked]
    assert keys == [f"{turn['run_id']}:call#2.1"] * 5


async def test_without_retry_one_attempt_decides(outgoing_site: Site, server: Stub) -> None:
    server.replies = [Reply(hang=True)]
    turn = await turn_of(outgoing_site, url=server.url, timeout_seconds=0.2)
    assert (turn["status"], len(server.asked)) == ("failed", 1)
    assert requests(turn)[0]["error"] == "no result within 0.2 seconds"


async def test_a_server_that_speaks_html_is_no_fault_of_ours(outgoing_site: Site, server: Stub) -> None:
    server.replies = [Reply(200, b"<html>", [("Content-Type", "text/html")])]
    turn = await turn_of(outgoing_site, url=server.url, response_format="json", on_error="default", default_output=7)
    assert (turn["status"], turn["outputs"]) == ("completed", {"it": 7})
