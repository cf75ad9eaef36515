"""Whether a vote fits what it is cast on: an approval's, and the one on an agent's call of a tool."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.json_schema import SchemaChecker
from app.api.interactive.events import ballot_of
from app.engine.ballot import Action, Ballot
from app.engine.state import Question
from app.services.answers import fit

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
