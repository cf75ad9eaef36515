"""What the services tell a dialect about a run: plain facts, to be put into its own words."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from app.engine.messages import AnyEvent
from app.engine.state import ExecutorState
from app.engine.values import Value, ext_hook, pack
from app.ports import Turn

EVENTS = msgspec.msgpack.Decoder(tuple[AnyEvent, ...], ext_hook=ext_hook)


class TurnFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A run after (or in) a turn: its state and that turn's events."""

    run_id: str
    workflow_id: str
    version: int
    turn: int
    state: ExecutorState
    events: tuple[AnyEvent, ...] = ()


RenderReply = Callable[[TurnFacts], bytes]


class TurnReply(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller of a turn gets. `body` is what the dialect's RenderReply made, stored once the turn is closed.
    `accepted`: the turn is still under way (202)."""

    run_id: str
    turn: int
    body: bytes
    accepted: bool = False
    replayed: bool = False


class GivenInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn was given, as stored with it."""

    command: str
    message: str | None = None
    data: Value = None
    answers: dict[str, Value] = {}
    variables: dict[str, Value] = {}


class TurnRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One POST of a turn, parsed. `command` None: `start` without a run id, else an answer.

    `answer_given`: `data`, `message` or `answers` carries an answer (the dialect's order of precedence has been applied).
    `body_hash`: over canonical JSON, version and route. `wait_seconds`: how long the caller waits for the turn to close.
    `user`: who acts, as the caller says; `voter`: who acts, as a vote or a start keeps it.
    """

    workspace: str
    workflow_id: str
    run_id: str | None = None
    command: str | None = None
    version: int | None = None
    inputs: dict[str, Value] = {}
    variables: dict[str, Value] = {}
    answer_given: bool = False
    answer: Value = None
    answer_text: str | None = None
    answers: dict[str, Value] | None = None
    message: str | None = None
    welcome_message: str | None = None
    start_node: str | None = None
    user: str | None = None
    voter: str | None = None
    expected_turn: int | None = None
    on_busy: str = "reject"
    wait_seconds: float = 300.0
    key: str | None = None
    body_hash: str = ""


def pack_events(events: tuple[AnyEvent, ...]) -> bytes:
    """The stored form of a turn's events."""
    return pack(list(events))


def events_of(turn: Turn, after: int = 0) -> tuple[AnyEvent, ...]:
    """Those of a turn that was read with its bodies, behind number `after`."""
    bodies = [*(one.body for one in turn.batches if one.last_seq > after), *([turn.events] if turn.events else [])]
    events = tuple([event for body in bodies for event in EVENTS.decode(body)])
    return tuple([event for event in events if event.seq > after]) if after else events


def events_size(turn: Turn) -> int:
    """In bytes."""
    return sum(one.size for one in turn.batches) + len(turn.events)
