"""Whether a vote fits what it is cast on: an approval's, and the one on an agent's call of a tool."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.json_schema import SchemaChecker
from app.api.approvals.form import Errors, untouched
from app.api.approvals.page import form
from app.api.interactive.events import ballot_of
from app.engine.ballot import Action, Ballot
from app.engine.state import FORMAT, ExecutorState, Origin, Question, encode
from app.ports import Run
from app.services.answers import fit
from app.services.approvals import Opened

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
CALL = Ballot(
    actions=(Action("approve", "Approve"), Action("deny", "Deny")),
    tool_name="mail",
    tool_call_id="call_1",
    arguments={"to": "bob"},
)
TOOL = Question(pause_id="pause_1", kind="tool", prompt="Send it?", schema=SCHEMA, ballot=CALL)


@pytest.mark.parametrize(
    ("value", "arguments", "wrong"),
    [
        ("deny", None, []),
        ({"action": "approve", "arguments": {"to": "eve"}}, {"to": "eve"}, []),
        ({"action": "approve", "arguments": {"to": 1}}, {"to": 1}, ["arguments.to"]),
        ({"action": "approve", "arguments": {}}, {}, ["arguments"]),
    ],
)
def test_arguments_must_fit_the_tools_schema(value: Any, arguments: Any, wrong: list[str]) -> None:
    found, faults = fit(TOOL, value, SchemaChecker())
    assert isinstance(found, dict)
    assert (found["arguments"], [place for place, _ in faults]) == (arguments, wrong)


def test_a_call_shows_what_would_be_called() -> None:
    assert ballot_of("tool", CALL) == {
        "tool_name": "mail",
        "tool_call_id": "call_1",
        "arguments": {"to": "bob"},
    }


def test_a_page_about_a_call_shows_what_would_be_called() -> None:
    state = ExecutorState(
        format=FORMAT,
        origin=Origin(run_id="r", workflow_id="w", version=0, user=None, started_at=0.0),
        frames=(),
    )
    run = Run(
        id="r",
        workspace="w",
        workflow_id="w",
        version=0,
        pinned=(),
        number=1,
        mode="interactive",
        user=None,
        revision=1,
        commit_id="c",
        turn=1,
        status="waiting_for_user_input",
        termination_source=None,
        state=encode(state),
        next_seq=1,
        created_at=0.0,
        updated_at=0.0,
    )
    page = form(Opened(run, TOOL, CALL, "ann"), untouched(CALL.fields), Errors())
    assert "<p>mail</p><pre class='message'>{&quot;to&quot;:&quot;bob&quot;}</pre>" in page
