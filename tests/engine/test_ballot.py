"""The rules of votes by themselves: what a vote may say, and everything that is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.ballot import Action, Ballot, Field, bar, cast, read

FORM = Ballot(
    actions=(Action("approve", "Yes, do"), Action("reject", "No"), Action("No", "Later")),
    fields=(
        Field(name="n", type="number", required=True),
        Field(name="t", max_length=3),
        Field(name="b", type="boolean", default=True),
        Field(name="s", type="select", options=("x", "y"), required=True, default="y"),
    ),
)
PLAIN = Ballot(actions=FORM.actions)
TOOL = Ballot(
    actions=(Action("approve", "Approve"), Action("deny", "Deny")),
    tool_name="mail",
    tool_call_id="c1",
    arguments={"to": "bob"},
)


@pytest.mark.parametrize(
    ("asked", "value", "action", "fields"),
    [
        (PLAIN, "approve", "approve", {}),
        (PLAIN, "Yes, do", "approve", {}),
        (PLAIN, "No", "No", {}),  # an id goes before a title
        (PLAIN, {"action": "Later", "fields": {}, "reason": ""}, "No", {}),
        (PLAIN, {"action": "approve", "fields": None, "reason": None, "arguments": None}, "approve", {}),
        (FORM, {"action": "approve", "fields": {"n": 2**70}}, "approve", {"n": 2**70, "t": None, "b": True, "s": "y"}),
        (
            FORM,
            {"action": "reject", "fields": {"n": 1.5, "t": "abc", "b": False, "s": "x"}},
            "reject",
            {"n": 1.5, "t": "abc", "b": False, "s": "x"},
        ),
        (TOOL, "Deny", "deny", {}),
    ],
)
def test_a_vote_is_read_and_read_the_same_again(asked: Ballot, value: Any, action: str, fields: Any) -> None:
    chosen, faults = read(asked, value)
    assert chosen is not None and faults == []
    assert (chosen.action, chosen.fields, chosen.reason) == (action, fields, None)
    again = {"action": chosen.action, "fields": chosen.fields, "reason": chosen.reason, "arguments": chosen.arguments}
    assert read(asked, again) == (chosen, [])


def test_arguments_replace_those_of_a_tools_call() -> None:
    chosen, _ = read(TOOL, {"action": "approve", "arguments": {"to": "eve"}})
    assert chosen is not None and chosen.arguments == {"to": "eve"}


ACTIONS = "must be one of ['approve', 'reject', 'No']"


@pytest.mark.parametrize(
    ("asked", "value", "faults"),
    [
        (PLAIN, "maybe", [("", ACTIONS)]),
        (PLAIN, "APPROVE", [("", ACTIONS)]),
        (PLAIN, None, [("", "must be an action, or an object with action, fields and reason")]),
        (PLAIN, True, [("", "must be an action, or an object with action, fields and reason")]),
        (PLAIN, {}, [("action", "is required")]),
        (PLAIN, {"action": ["approve"]}, [("action", ACTIONS)]),
        (PLAIN, {"action": "approve", "fields": {"n": 1}}, [("fields.n", "is unknown")]),
        (PLAIN, {"action": "approve", "arguments": {"a": 1}}, [("arguments", "is not asked for")]),
        (TOOL, {"action": "approve", "arguments": [1]}, [("arguments", "must be an object")]),
        (TOOL, {"action": "approve", "fields": {"n": 1}}, [("fields", "is not asked for"), ("fields.n", "is unknown")]),
        (FORM, "approve", [("fields.n", "is required")]),
        (FORM, {"action": "approve", "fields": [1]}, [("fields", "must be an object")]),
        (
            FORM,
            {"actoin": 1, "action": "x", "reason": 1, "fields": {"n": "1", "t": "long", "b": "no", "s": "", "u": 0}},
            [
                ("actoin", "is unknown"),
                ("action", ACTIONS),
                ("reason", "must be a text"),
                ("fields.u", "is unknown"),
                ("fields.n", "must be a number"),
                ("fields.t", "must have at most 3 characters"),
                ("fields.b", "must be a boolean"),
                ("fields.s", "is required"),
            ],
        ),
        (
            FORM,
            {"action": "approve", "fields": {"n": True, "s": "z"}},
            [
                ("fields.n", "must be a number"),
                ("fields.s", "must be one of ['x', 'y']"),
            ],
        ),
    ],
)
def test_everything_that_is_wrong_is_listed(asked: Ballot, value: Any, faults: Any) -> None:
    assert read(asked, value) == (None, faults)


def test_a_ballot_is_decided_by_the_rules_alone() -> None:
    two = Ballot(actions=PLAIN.actions, required=2)
    chosen, _ = read(two, "approve")
    assert chosen is not None
    once, left = cast(two, chosen, "a", 1.0)
    assert (left, bar(once, "a", None), bar(once, "b", None)) == (1, ("already_voted", "'a' has voted"), None)
    assert cast(once, chosen, "b", 2.0)[1] == 0
