"""Links that come too late or are none of ours, and what is no form: nothing of it votes, and the page says so."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from tests.api.decisions import THREE, decision, links, look, opened, run_of, submit, title
from tests.api.sites import Site

ASKED, THANKS = "Your decision is asked for", "Thank you"


async def test_a_second_click_says_that_the_vote_was_counted(site: Site) -> None:
    _, run_id, paths = await opened(site, **THREE)
    clicks = await asyncio.gather(*(submit(site, paths["ann"], action="approve") for _ in range(3)))
    assert sorted(title(click) for click in clicks) == [(200, THANKS), (410, "You have voted"), (410, "You have voted")]
    assert title(await submit(site, paths["ann"], action="reject")) == (410, "You have voted")
    assert title(await look(site, paths["ann"])) == (410, "You have voted")
    assert (await run_of(site, run_id))["turn_number"] == 2


async def test_a_decision_spends_every_link(site: Site) -> None:
    _, _, paths = await opened(site, **THREE)
    await submit(site, paths["ann"], action="reject")
    for name in THREE["approvers"]:
        assert title(await look(site, paths[name])) == (410, "Over")
        assert title(await submit(site, paths[name], action="approve")) == (410, "Over")


async def test_a_decision_of_a_run_that_goes_on_spends_them_too(site: Site) -> None:
    graph = decision(**THREE)
    graph["nodes"][3] = {"id": "no", "type": "ask", "config": {"prompt": "Why?"}}
    _, run_id = await site.started(graph)
    paths = await links(site, run_id)
    await submit(site, paths["ann"], action="reject")
    assert title(await look(site, paths["bob"])) == (410, "Decided")
    assert title(await submit(site, paths["bob"], action="approve")) == (410, "Decided")


async def test_an_expired_and_a_stopped_one_are_too_late(site: Site) -> None:
    _, _, paths = await opened(site, expires_in_seconds=0.05)
    await asyncio.sleep(0.06)
    assert title(await look(site, paths[None])) == (410, "Too late")
    assert title(await submit(site, paths[None], action="approve")) == (410, "Too late")
    workflow_id, run_id, paths = await opened(site)
    await site.execute(workflow_id, run_id, command="stop")
    assert title(await look(site, paths[None])) == (410, "Over")


async def test_whoever_started_it_may_not_decide_it(site: Site) -> None:
    _, run_id, paths = await opened(site, **THREE, forbid_self_approval=True, run_by="bob")
    assert title(await look(site, paths["bob"])) == (403, "Not yours to decide")
    assert title(await submit(site, paths["bob"], action="approve")) == (403, "Not yours to decide")
    assert (await run_of(site, run_id))["turn_number"] == 1


async def test_one_link_for_anybody_votes_once(site: Site) -> None:
    _, run_id, paths = await opened(site, required_approvals=2)
    assert "You vote as" not in (await look(site, paths[None])).text
    await submit(site, paths[None], action="approve")
    assert title(await look(site, paths[None])) == (410, "You have voted")
    assert [vote["voter"] for vote in (await run_of(site, run_id))["pauses"][0]["votes"]] == ["link"]


async def test_a_vote_waits_for_a_held_run_and_keeps_what_was_typed(site: Site) -> None:
    workflow_id, run_id, paths = await opened(site)
    await site.execute(workflow_id, run_id, command="pause")
    assert title(await look(site, paths[None])) == (200, ASKED)
    page = await submit(site, paths[None], action="approve", reason="mine")
    assert title(page) == (409, ASKED) and "on hold" in page.text and ">\nmine</textarea>" in page.text
    await site.execute(workflow_id, run_id, command="resume")
    assert title(await submit(site, paths[None], action="approve")) == (200, THANKS)


# ---- what is no link, and no form


async def test_what_is_no_link_of_ours_is_not_found(site: Site) -> None:
    _, run_id, paths = await opened(site, **THREE)
    _, _, others = await opened(site, **THREE)
    token = paths["ann"].removeprefix("/a/")
    assert len(token) == 68
    bent = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(68)]
    mixed = token[:24] + others["ann"].removeprefix("/a/")[24:]
    for wrong in (*bent, mixed, token + "=", token[:-1], "x", "A" * 68, "%00", "ä"):
        page = await look(site, f"/a/{wrong}")
        assert title(page) == (404, "Not found"), wrong
    assert title(await submit(site, f"/a/{bent[0]}", action="approve")) == (404, "Not found")
    assert (await run_of(site, run_id))["turn_number"] == 1


async def test_a_deleted_run_has_no_links(site: Site) -> None:
    workflow_id, run_id, paths = await opened(site)
    await site.execute(workflow_id, run_id, command="stop")
    await site.delete(f"/v1/workflow-runs/{run_id}")
    assert title(await look(site, paths[None])) == (404, "Not found")


async def test_other_methods_and_other_bodies_vote_not(site: Site) -> None:
    _, run_id, paths = await opened(site)
    for method in ("HEAD", "PUT", "DELETE", "PATCH"):
        assert (await site.http.request(method, paths[None])).status_code == 405
    reply = await site.call("POST", paths[None], {"action": "approve"}, key=None)
    assert title(reply) == (415, "Not understood")
    many = "&".join(f"x{n}=1" for n in range(3_000)) + "&action=approve"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await site.call("POST", paths[None], key=None, content=many, headers=form)
    assert title(reply) == (422, "Not understood")
    assert (await run_of(site, run_id))["turn_number"] == 1


async def test_a_body_is_bounded(guarded_site: Site) -> None:
    _, run_id, paths = await opened(guarded_site)
    page = await submit(guarded_site, paths[None], action="approve", reason="x" * 3_000)
    assert title(page) == (413, "Not understood")
    assert (await run_of(guarded_site, run_id))["turn_number"] == 1


async def test_a_long_reason_is_refused_with_the_form(site: Site) -> None:
    _, _, paths = await opened(site)
    page = await submit(site, paths[None], action="approve", reason="x" * 300_000)
    assert title(page) == (422, ASKED) and "<li>is too large</li>" in page.text


async def test_odd_bytes_are_taken_as_marks(site: Site) -> None:
    _, run_id, paths = await opened(site)
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    body = b"reason=%FF%00\xff&action=approve&reason=second"
    assert (await site.call("POST", paths[None], key=None, content=body, headers=form)).status_code == 200
    reason = (await run_of(site, run_id))["outputs"]["yes"]["votes"][0]["reason"]
    assert reason.startswith("�\x00")


async def test_the_token_is_in_no_log(
    site: Site, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    _, _, paths = await opened(site)
    token = paths[None].removeprefix("/a/")
    await look(site, paths[None])
    await submit(site, paths[None], action="approve")
    metrics = (await site.get("/metrics", key=None)).text
    printed = capsys.readouterr()
    assert 'path="/a/{token}"' in metrics
    client = re.compile(r"HTTP Request: .*")  # the test's own
    logged = "\n".join(client.sub("", record.getMessage()) for record in caplog.records)
    assert token not in metrics + logged + printed.out + printed.err
