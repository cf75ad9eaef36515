"""The page behind a link: looking changes nothing, the form votes, and what is late or wrong is told."""

from __future__ import annotations

import asyncio
import logging
import re
from html import unescape
from typing import Any

import pytest

from tests.api.decisions import FORM, THREE, decision, links, look, submit, title
from tests.api.sites import Site

ASKED, THANKS = "Your decision is asked for", "Thank you"


async def opened(
    site: Site, *, amount: Any = 5, run_by: str = "starter", **config: Any
) -> tuple[str, str, dict[Any, str]]:
    """Workflow, run, and the paths of the pages."""
    workflow_id, run_id = await site.started(decision(**config), run_by=run_by, dynamic_variables={"amount": amount})
    return workflow_id, run_id, await links(site, run_id)


async def run_of(site: Site, run_id: str) -> Any:
    return (await site.get(f"/v1/workflow-runs/{run_id}")).json()


async def test_looking_shows_what_is_asked_and_changes_nothing(site: Site) -> None:
    _, run_id, paths = await opened(site, **THREE, fields=FORM, amount="<b>5</b>\n&\"'")
    before = await run_of(site, run_id)
    page = await look(site, paths["ann"])
    assert title(page) == (200, ASKED)
    assert "Pay &lt;b&gt;5&lt;/b&gt;\n&amp;&quot;&#x27;?" in page.text and "<b>" not in page.text
    assert "You vote as <strong>ann</strong>." in page.text
    assert "2 votes for “Approve” are needed, 0 given so far." in page.text
    assert re.search(r"Open until <time datetime='\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ'>", page.text)
    for piece in (
        "<label for='f0'>How much? <span class='hint'>(required)</span></label>",
        "<input type='text' inputmode='decimal' id='f0' name='f0' required value='5'>",
        "<label for='f1'>note <span class='hint'>(optional, at most 20 characters)</span></label>",
        "<textarea id='f1' name='f1' rows='5'>\n</textarea>",
        "<label for='f2'>who &lt;b&gt; <span class='hint'>(required)</span></label>",
        "<select id='f3' name='f3'><option value='EUR' selected>EUR</option>",
        "<option value='C&quot;HF'>C&quot;HF</option></select>",
        "<input type='checkbox' value='true' id='f4' name='f4'> <label for='f4'>urgent</label>",
        "<textarea id='reason' name='reason' rows='3'>\n</textarea>",
        "<button name='action' value='approve'>Approve</button><button name='action' value='reject'>Reject</button>",
    ):
        assert piece in page.text, piece
    assert page.text.index("value='' hidden") < page.text.index("value='approve'"), "Enter decides nothing"
    assert "<form method='post'>" in page.text
    assert await run_of(site, run_id) == before


async def test_every_control_has_its_label_and_ids_are_unique(site: Site) -> None:
    _, _, paths = await opened(site, fields=FORM)
    page = (await look(site, paths[None])).text
    ids = re.findall(r" id='([^']*)'", page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"<label for='([^']*)'", page)) == set(ids) - {"actions"}
    assert "<html lang='en'>" in page and "<title>" in page


async def test_the_form_votes_as_the_links_approver(site: Site) -> None:
    _, run_id, paths = await opened(site, **THREE, fields=FORM)
    form = {"f0": " 7.5 ", "f1": "a\r\nb", "f2": "me", "f3": 'C"HF', "f4": "true", "reason": "so\r\nbe it"}
    page = await submit(site, paths["bob"], **form, action="approve")
    assert title(page) == (200, THANKS) and "Your vote has been counted: Approve." in page.text
    run = await run_of(site, run_id)
    assert (run["turn_number"], [vote["voter"] for vote in run["pauses"][0]["votes"]]) == (2, ["bob"])
    turn = (await site.get(f"/v1/workflow-runs/{run_id}/turns/2")).json()
    assert [event["voter"] for event in turn["events"] if event["type"] == "vote_cast"] == ["bob"]
    assert "1 given so far" in (await look(site, paths["ann"])).text
    await submit(site, paths["ann"], f0="2", f2="x", action="reject")
    output = (await run_of(site, run_id))["outputs"]["no"]
    fields = {"amount": 2, "note": "", "who <b>": "x", "currency": "EUR", "urgent": False}
    assert (output["action"], output["fields"], output["votes"][1]["fields"]) == ("reject", fields, fields)
    assert output["votes"][0]["fields"] == {
        "amount": 7.5,
        "note": "a\nb",
        "who <b>": "me",
        "currency": 'C"HF',
        "urgent": True,
    }
    assert output["votes"][0]["reason"] == "so\nbe it"


async def test_wrong_input_is_told_beside_its_field_and_what_was_typed_is_kept(site: Site) -> None:
    _, run_id, paths = await opened(site, fields=FORM)
    form = {"f0": "<7>", "f1": "\n" + "x" * 30, "f2": "", "f3": "USD", "f4": "true", "reason": "</textarea>&"}
    page = await submit(site, paths[None], **form, action="approve")
    assert title(page) == (422, ASKED)
    found = dict(re.findall(r"<p class='error' id='(f\d)-error'>(.*?)</p>", page.text))
    assert {name: unescape(text) for name, text in found.items()} == {
        "f0": "must be a number",
        "f1": "must have at most 20 characters",
        "f2": "is required",
        "f3": """must be one of ['EUR', 'C"HF']""",
    }
    assert "required aria-invalid='true' aria-describedby='f0-error' value='&lt;7&gt;'>" in page.text
    assert f"rows='5'>\n\n{'x' * 30}</textarea>" in page.text
    assert "aria-describedby='f3-error'><option value=''></option><option value='EUR'>" in page.text
    assert "id='f4' name='f4' checked>" in page.text
    assert "rows='3'>\n&lt;/textarea&gt;&amp;</textarea>" in page.text
    assert "<div role='alert' class='error'>" in page.text and "<a href='#f2'>is required</a>" in page.text
    assert (await run_of(site, run_id))["turn_number"] == 1


@pytest.mark.parametrize("action", ["", "pay"])
async def test_without_a_known_action_nothing_is_counted(site: Site, action: str) -> None:
    _, run_id, paths = await opened(site)
    page = await submit(site, paths[None], action=action)
    assert title(page) == (422, ASKED) and "<p class='error'>choose one of these</p>" in page.text
    assert (await run_of(site, run_id))["turn_number"] == 1


@pytest.mark.parametrize("amount", ["", "1e999", "nan", "1_0", "9" * 400, "0x1"])
async def test_a_number_that_is_none_or_was_emptied_is_not_taken_for_the_default(site: Site, amount: str) -> None:
    _, _, paths = await opened(site, fields=[{"name": "n", "type": "number", "default": 5}])
    page = await submit(site, paths[None], f0=amount, action="approve")
    assert page.status_code == 422 and "must be a number" in page.text


async def test_numbers_keep_their_kind(site: Site) -> None:
    for text, number in (("007", 7), ("-3", -3), ("1" * 40, int("1" * 40)), ("1e3", 1000.0), ("", None)):
        _, run_id, paths = await opened(site, fields=[{"name": "n", "type": "number"}])
        assert (await submit(site, paths[None], f0=text, action="approve")).status_code == 200
        assert (await run_of(site, run_id))["outputs"]["yes"]["fields"] == {"n": number}


# ---- late


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
