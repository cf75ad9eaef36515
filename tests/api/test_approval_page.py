"""The page behind a link: looking changes nothing, the form votes, and what is late or wrong is told."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.api.decisions import FORM, THREE, look, opened, outline_of, run_of, submit, title
from tests.api.sites import Site

ASKED, THANKS = "Your decision is asked for", "Thank you"


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


EVIL = """'"><script>alert(1)</script><img src=x onerror='x'> &amp; </textarea></select>"""


async def test_no_text_from_outside_is_anything_but_text(site: Site) -> None:
    kinds = [{"type": kind} for kind in ("text", "paragraph", "boolean")] + [{"type": "select", "options": [EVIL, "x"]}]
    fields = [{"name": f"{n}{EVIL}", "label": f"{n}{EVIL}", **kind} for n, kind in enumerate(kinds)]
    for field in fields:
        field |= {"default": EVIL} if field["type"] != "boolean" else {}
    actions = [{"id": "approve", "title": EVIL}, {"id": "reject", "title": EVIL + "2"}]
    _, _, paths = await opened(
        site, approvers=[EVIL], fields=fields, actions=actions, amount=EVIL, required_approvals=1
    )
    shown = await look(site, paths[EVIL])
    wrong = await submit(site, paths[EVIL], f0=EVIL, f1=EVIL, f3="?" + EVIL, reason=EVIL, action=EVIL)
    assert (shown.status_code, wrong.status_code) == (200, 422)
    for page in (shown, wrong):
        outline = outline_of(page)
        assert f"Pay {EVIL}?" in outline.text
        values = [found["value"] for tag, found in outline.seen if tag in ("input", "option", "button")]
        assert EVIL in values


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
    assert (
        "<div role='alert' class='error'>" in page.text and "<a href='#f2'>who &lt;b&gt;: is required</a>" in page.text
    )
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
