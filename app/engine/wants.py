"""What a node wants next, and what comes of what it waited for. Part of the state where it is kept: wire format."""

from __future__ import annotations

import msgspec

from app.engine.ballot import Ballot, Vote
from app.engine.talk import Message
from app.engine.values import Value


class Leave(msgspec.Struct, frozen=True):
    """The node is done: `output` is stored and the token leaves by `handle`."""

    output: Value = None
    handle: str = "out"


class EndBranch(msgspec.Struct, frozen=True):
    """The branch ends here; `outputs` are merged into those of the frame."""

    outputs: dict[str, Value] = {}


class Await(msgspec.Struct, frozen=True):
    """Outside work: `operation` names the performer, `request` is what it gets. `once` effects never repeat after
    their result is committed; others may run again. `timeout_seconds` bounds one attempt, unless the node's config has a
    bound and its kind no such field of its own; `streamed`: of a model, its text is told as it comes."""

    operation: str
    request: Value
    once: bool = True
    timeout_seconds: float = 30.0
    streamed: bool = False


class Sleep(msgspec.Struct, frozen=True):
    """A durable timer: `until` in unix seconds. What has passed fires at once."""

    until: float


class Ask(msgspec.Struct, frozen=True):
    """A question to a person. `expires_at` in unix seconds, None: never. `ballot`: it is answered by votes."""

    kind: str
    prompt: str
    schema: Value = None
    choices: tuple[Choice, ...] = ()
    expires_at: float | None = None
    ballot: Ballot | None = None


class Body(msgspec.Struct, frozen=True):
    """The node's own body, executed once, as item or round number `index`, from 0. `values`: what reserved words mean in it;
    `variables`: its runtime variables, those outside are read where it has none of that name; `transcript`: what was said
    in it before."""

    index: int
    values: dict[str, Value] = {}
    variables: dict[str, Value] = {}
    transcript: tuple[Message, ...] = ()


class Child(msgspec.Struct, frozen=True):
    """Another workflow, executed within the run. `version` None: the one that was active when the run began."""

    workflow_id: str
    version: int | None
    inputs: dict[str, Value]


class Part(msgspec.Struct, frozen=True):
    """One of several things to wait for, under a name of the kind's own."""

    name: str
    work: Await | Ask | Body | Child


class Beside(msgspec.Struct, frozen=True):
    """Several things at once: the kind is told of each by `part_ended` when it has come; those begun before go on. What it
    then wants next goes on without waiting for those that are left."""

    parts: tuple[Part, ...] = ()


class Fail(msgspec.Struct, frozen=True):
    """The node failed; `error_type` is one of graph.md's list. `retryable`: a `retry` of the node may repeat it.
    `details`: what the output of the failure has besides."""

    error_type: str
    error_message: str
    retryable: bool = False
    details: dict[str, Value] = {}


class Choice(msgspec.Struct, frozen=True):
    """One answer that a question offers."""

    id: str
    title: str


Outcome = Leave | EndBranch | Await | Sleep | Ask | Beside | Fail


class Call(msgspec.Struct, frozen=True):
    """The model call that something came of: number and time of its first event, and which telling of its text it was."""

    seq: int
    since: float
    telling: int


class Succeeded(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """What an effect brought. `call`: where it was one of a model."""

    result: Value
    call: Call | None = None


class Answered(msgspec.Struct, frozen=True, tag=True):
    """What a person answered: `value`, and its text form."""

    value: Value
    text: str


class Decided(msgspec.Struct, frozen=True, tag=True):
    """What votes have decided; the last one did. `arguments`: instead of those of a tool's call; None: as they are."""

    action: str
    votes: tuple[Vote, ...]
    arguments: Value = None


class Woke(msgspec.Struct, frozen=True, tag=True):
    """The node's timer fired."""


class Expired(msgspec.Struct, frozen=True, tag=True):
    """Nobody answered in time."""


Reply = Succeeded | Answered | Decided | Woke | Expired
