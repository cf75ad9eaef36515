"""Votes on a pause: what may be said in one, who may cast it, and when the pause is decided.

The rules are here and nowhere else. The first action needs `required` distinct voters; any other decides at once; whoever
has voted, is no approver, or votes on a run of his own where that is forbidden, is barred. Values as users bring them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from app.engine.values import Value

FieldType = Literal["text", "paragraph", "select", "number", "boolean"]
Bar = Literal["already_voted", "not_an_approver", "self_approval"]
Misfit = tuple[str, str]  # place in the vote, message
_parts = ("action", "fields", "reason", "arguments")


class Field(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field of the form that a voter fills in. `max_length` in characters, of text."""

    name: str
    label: str = ""
    type: FieldType = "text"
    required: bool = False
    default: Value = None
    options: tuple[str, ...] = ()
    max_length: int | None = None

    def misfit(self, value: Value) -> str | None:
        """Why `value` is none of this field's; None: it fits."""
        if self.type == "number":
            fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        elif self.type == "boolean":
            fits = isinstance(value, bool)
        else:
            fits = isinstance(value, str)
        if self.type == "select" and value not in self.options:
            return f"must be one of {list(self.options)}"
        if not fits:
            return f"must be a {'text' if self.type == 'paragraph' else self.type}"
        if self.max_length is not None and isinstance(value, str) and len(value) > self.max_length:
            return f"must have at most {self.max_length} characters"
        return None


class Action(msgspec.Struct, frozen=True):
    """One way to vote."""

    id: str
    title: str


class Vote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A vote that was counted, `at` unix seconds. `voter` None: nobody said who it was."""

    voter: str | None
    action: str
    at: float
    fields: dict[str, Value] = {}
    reason: str | None = None


class Ballot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a pause takes votes on, and those so far (each for the first action: any other would have decided it).
    `approvers` empty: anybody. `tool_name`, `tool_call_id`, `arguments`: of an agent's call that waits for approval."""

    actions: tuple[Action, ...]
    fields: tuple[Field, ...] = ()
    required: int = 1
    approvers: tuple[str, ...] = ()
    forbid_self_approval: bool = False
    votes: tuple[Vote, ...] = ()
    tool_name: str | None = None
    tool_call_id: str | None = None
    arguments: Value = None


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What a voter chose: every declared field has a value. `arguments`: instead of those of a tool's call; None: as they
    are."""

    action: str
    fields: dict[str, Value] = {}
    reason: str | None = None
    arguments: dict[str, Value] | None = None


def bar(ballot: Ballot, voter: str | None, starter: str | None) -> tuple[Bar, str] | None:
    """Why `voter` may not vote on a run that `starter` began; None: he may."""
    if ballot.approvers and voter not in ballot.approvers:
        return "not_an_approver", f"{_named(voter)} is none of its approvers"
    if ballot.forbid_self_approval and voter is not None and voter == starter:
        return "self_approval", f"{voter!r} started this run and may not vote on it"
    if any(vote.voter == voter for vote in ballot.votes):
        return "already_voted", f"{_named(voter)} has voted"
    return None


def _named(voter: str | None) -> str:
    return "whoever does not say who he is" if voter is None else repr(voter)


def read(ballot: Ballot, value: Value) -> tuple[Chosen | None, list[Misfit]]:
    """The answer of a voter: an object, or the id or title of an action. Everything that is wrong with it is listed, with
    its place; then nothing was chosen. What was read is read the same again."""
    if isinstance(value, str):
        action = _action(ballot, value)
        if action is None:
            return None, [("", _one_of(ballot))]
        value = {"action": action}
    if not isinstance(value, dict):
        return None, [("", "must be an action, or an object with action, fields and reason")]
    unasked = "arguments" if ballot.tool_name is None else "fields"
    faults: list[Misfit] = [(name, "is unknown") for name in value if name not in _parts]
    if value.get(unasked):
        faults.append((unasked, "is not asked for"))
    action = _action(ballot, value.get("action"))
    if action is None:
        faults.append(("action", "is required" if value.get("action") is None else _one_of(ballot)))
    reason, arguments = value.get("reason"), value.get("arguments")
    if reason is not None and not isinstance(reason, str):
        faults.append(("reason", "must be a text"))
    if arguments is not None and not isinstance(arguments, dict):
        faults.append(("arguments", "must be an object"))
    fields = _fields(ballot.fields, value.get("fields"), faults)
    if faults or action is None:
        return None, faults
    return Chosen(action=action, fields=fields, reason=reason or None, arguments=arguments), []


def _action(ballot: Ballot, given: Value) -> str | None:
    """An id goes before a title."""
    ids = [action.id for action in ballot.actions]
    if given in ids:
        return str(given)
    return next((action.id for action in ballot.actions if action.title == given), None)


def _one_of(ballot: Ballot) -> str:
    return f"must be one of {[action.id for action in ballot.actions]}"


def _fields(declared: Sequence[Field], given: Value, faults: list[Misfit]) -> dict[str, Value]:
    """A value for each declared field. Appends to `faults`."""
    if given is not None and not isinstance(given, dict):
        faults.append(("fields", "must be an object"))
        return {}
    given = given or {}
    known = [field.name for field in declared]
    faults += [(f"fields.{name}", "is unknown") for name in given if name not in known]
    values: dict[str, Value] = {}
    for field in declared:
        value = given.get(field.name)
        values[field.name] = field.default if value is None else value
        faults += _misfits(field, value)
    return values


def _misfits(field: Field, given: Value) -> Iterator[Misfit]:
    place = f"fields.{field.name}"
    if given is None:
        if field.required and field.default is None:
            yield place, "is required"
    elif field.required and given == "":
        yield place, "is required"
    elif misfit := field.misfit(given):
        yield place, misfit


def cast(ballot: Ballot, chosen: Chosen, voter: str | None, now: float) -> tuple[Ballot, int]:
    """The ballot with one more vote, and how many more are needed; 0: the vote has decided."""
    vote = Vote(voter=voter, action=chosen.action, at=now, fields=chosen.fields, reason=chosen.reason)
    counted = msgspec.structs.replace(ballot, votes=(*ballot.votes, vote))
    agrees = chosen.action == ballot.actions[0].id
    return counted, max(0, ballot.required - len(counted.votes)) if agrees else 0
