"""What a visit waits for: outside work, a timer, a person, its parts. Part of the state, and like it wire format."""

from __future__ import annotations

import msgspec

from app.engine.ballot import Ballot
from app.engine.kind import Call, Choice, Reply
from app.engine.values import Value


class Effect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Outside work in flight. `id` is `path#visit.k`; it stays the same over attempts, which count from 1. Of a model call:
    `seq` and `since` are number and time of the event that began it, `telling` counts those who began to tell its text:
    every attempt, and every process that took the run over."""

    id: str
    operation: str
    request: Value
    once: bool
    timeout_seconds: float
    attempt: int = 1
    seq: int | None = None
    since: float = 0.0
    telling: int = 1

    def call(self) -> Call | None:
        """Of a model: what is told of it with its result."""
        return None if self.seq is None else Call(self.seq, self.since, self.telling)


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an open pause asks. `expires_at` in unix seconds, None: never. `ballot`: it is answered by votes; `schema` is
    then that of a tool's arguments."""

    pause_id: str
    kind: str
    prompt: str
    schema: Value = None
    choices: tuple[Choice, ...] = ()
    expires_at: float | None = None
    ballot: Ballot | None = None


class Entering(msgspec.Struct, frozen=True, tag=True):
    """The token has arrived, the node has not been entered."""


class Received(msgspec.Struct, frozen=True, tag=True):
    """What it waited for has come, the node has not seen it."""

    reply: Reply


class Failed(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Its effect failed for good, the failure has not been handled. `call`: where it was one of a model."""

    error_type: str
    error_message: str
    details: dict[str, Value] = {}
    call: Call | None = None


class Working(msgspec.Struct, frozen=True, tag=True):
    """An effect is in flight."""

    effect: Effect


class Sleeping(msgspec.Struct, frozen=True, tag=True):
    """A timer runs until `until`; it was set at `since` (unix seconds)."""

    until: float
    since: float


class BackingOff(msgspec.Struct, frozen=True, tag=True):
    """The next attempt starts at `until`: of `effect`, or of the node itself when None."""

    until: float
    effect: Effect | None = None


class Asking(msgspec.Struct, frozen=True, tag=True):
    """A question is open since `since` (unix seconds)."""

    question: Question
    since: float


class Gathering(msgspec.Struct, frozen=True, tag=True):
    """Its parts are under way, each in a side visit."""


Wait = Entering | Received | Failed | Working | Sleeping | BackingOff | Asking | Gathering
