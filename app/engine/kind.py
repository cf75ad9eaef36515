"""What a node kind is: a frozen class whose fields are its configuration and whose two methods are its behaviour.

`enter` is called when a token arrives, `receive` when what it waited for has come. Both are pure and return an Outcome;
`step` knows outcomes, never kinds. Fields that hold text are templates (`template.py`), already parsed when `enter` is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from app.engine.seal import Sealed
from app.engine.talk import Message, ModelAnswer, ToolCall
from app.engine.values import Value
from app.engine.wants import (
    Answered as Answered,
    Ask as Ask,
    Await as Await,
    Beside as Beside,
    Body as Body,
    Call as Call,
    Child as Child,
    Choice as Choice,
    Decided as Decided,
    EndBranch as EndBranch,
    Expired as Expired,
    Fail as Fail,
    Leave as Leave,
    Outcome as Outcome,
    Part as Part,
    Reply as Reply,
    Sleep as Sleep,
    Succeeded as Succeeded,
    Woke as Woke,
)


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with a graph: `path` is its place in the source (`nodes[3].config.prompt`)."""

    path: str
    message: str


class Claim(msgspec.Struct, frozen=True):
    """Something in a graph that only those outside the engine can check, with its place: a JSON Schema, Python code, a rich
    template, the model that a node wants (`[provider, model]`, None: the default), a workflow that it runs (`[id, version]`,
    None: the active one), a data set by its id or name, or a search of the web (no value: is there one?)."""

    path: str
    about: Literal["schema", "code", "template", "model", "workflow", "dataset", "web_search"]
    value: Any


class Context(Protocol):
    """What a node may see and do while it is being executed. Everything else comes in through its configuration."""

    now: float
    attempt: int  # failed attempts before this one

    def text(self, template: str) -> str:
        """Rendered as text. Raises NodeError."""

    def value(self, template: Value) -> Value:
        """Rendered, keeping the type of a value that is one reference; walks lists and objects. Raises NodeError."""

    def truth(self, expression: str) -> bool:
        """A condition's value. Raises NodeError."""

    def inputs(self) -> dict[str, Value]:
        """The frame's start inputs."""

    def variables(self) -> dict[str, Value]:
        """The runtime variables that can be read."""

    def own_variables(self) -> dict[str, Value]:
        """The frame's own runtime variables: of a body those that it wrote or was given."""

    def set_variables(self, values: dict[str, Value]) -> None:
        """Writes runtime variables, all or none. Raises NodeError when one is too large."""

    def say(self, text: str) -> None:
        """Says something to the user."""

    def warn(self, message: str) -> None:
        """Tells of something that does not stop the run."""

    def show_variables(self) -> None:
        """Makes an event of the runtime variables."""

    def sealed(self, template: Value) -> Sealed:
        """As `value`, with places for the secrets and links that it refers to. Raises NodeError."""

    @property
    def most_items(self) -> int:
        """Of an iteration."""

    @property
    def most_bytes(self) -> int:
        """Of a node's output."""

    @property
    def is_tired(self) -> bool:
        """The step has done much: what can be put off should be."""

    memo: Value  # what the kind keeps between its outcomes of one execution, None at first

    def transcript(self, window: int) -> list[Message]:
        """The last messages between the user and the run, oldest first."""

    def replied(self, answer: ModelAnswer, *, say: bool = False) -> None:
        """Makes an event of a model's answer and counts its tokens. `say`: the user is told its text."""

    def cited(self, texts: Value) -> tuple[str, ...]:
        """The addresses that searches have found whose nodes the texts refer to, in order of use, at most 100. Raises
        NodeError."""

    def with_args(self, args: dict[str, Value]) -> Context:
        """The same, with `{{args.x}}`: of a tool's call."""

    def with_variables(self, variables: dict[str, Value]) -> Context:
        """The same, with runtime variables before those that there are."""

    def tool_started(self, call: ToolCall) -> None:
        """Makes an event of a tool that is being called, and counts it."""

    def tool_finished(self, call: ToolCall, status: str, *, result: Value = None, error: str | None = None) -> None:
        """Makes an event of what came of it."""

    def requested(
        self, sent: Value, *, status_code: Value = None, body: Value = None, error: str | None = None
    ) -> None:
        """Makes an event of an HTTP request. `sent`: `{method, url}`, None when nothing was sent."""


class NodeError(Exception):
    """A node cannot go on: becomes a Fail. Its own type, so that nothing else is caught by mistake."""

    def __init__(self, error_type: str, error_message: str) -> None:
        super().__init__(error_message)
        self.error_type = error_type
        self.error_message = error_message


class NodeKind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every kind. A field's type is its shape; the class variables say how it is validated.

    `plain_texts`: fields that are text but no templates (the kind's own `faults` checks what they are); `rich_texts`: those
    that are always rendered outside; `may_retry`: its config may have `retry`; `waits`: a cycle through it is no tight loop;
    `notices`: fields that are sent when the node's question opens, the only ones that may read `{{pause.links}}`; they may
    read secrets too.
    """

    kind: ClassVar[str]
    plain_texts: ClassVar[frozenset[str]] = frozenset()
    rich_texts: ClassVar[frozenset[str]] = frozenset()
    may_retry: ClassVar[bool] = False
    reads_secrets: ClassVar[bool] = False  # in its texts, which it renders by `sealed` for the performer of an effect
    waits: ClassVar[bool] = False
    notices: ClassVar[frozenset[str]] = frozenset()
    holds_body: ClassVar[bool] = False  # its field `body` is a graph of its own

    def handles(self) -> Iterable[str]:
        """The outlets an edge may leave by (besides `error`)."""
        return ("out",)

    def faults(self, path: str) -> Iterable[Fault]:
        """What the types cannot say. `path` is the place of the config."""
        return ()

    def claims(self, path: str) -> Iterable[Claim]:
        """What others have to check. `path` is the place of the config. Rich templates are found without it."""
        return ()

    def slows_a_cycle(self) -> bool:
        """As configured, does it wait for something?"""
        return self.waits

    def remembers(self) -> bool:
        """As configured, may it read the transcript of its frame? It is kept only then."""
        return False

    def children(self) -> Iterable[tuple[str, int | None]]:
        """The workflows that it may run: ids, each with its version, None: the one that is active when the run begins."""
        return ()

    def accept(self, given: dict[str, Value]) -> tuple[dict[str, Value], list[Fault]]:
        """Of a start: the inputs as the graph takes them, and what does not fit (`path` is the input's name)."""
        return given, []

    def enter(self, ctx: Context) -> Outcome:
        """What it does with a token."""
        raise NotImplementedError

    def failed(self, ctx: Context, failure: Fail) -> Outcome:
        """What comes of a failed effect, after its retries."""
        return failure

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        """What it does with what it waited for."""
        raise AssertionError(f"{type(self).__name__} waits for nothing, got {reply!r}")

    def asked(self, ctx: Context, pause_id: str, question: Ask) -> Await | None:
        """Its question is open: outside work to be done beside it, if any. Does not raise."""
        return None

    def part_ended(self, ctx: Context, name: str, ended: Reply | Fail) -> Outcome:
        """What it does when one of the things beside each other has come; `Beside()`: waits for the others."""
        raise AssertionError(f"{type(self).__name__} waits for no parts, got {ended!r}")

    def body_ended(self, ctx: Context, outputs: dict[str, Value]) -> Value:
        """What comes of a body that has ended, seen from inside it. Raises NodeError."""
        return outputs

    def noticed(self, ctx: Context, ended: Reply | Fail) -> None:
        """Work beside its question has ended; the question stays open. Does not raise."""
        raise AssertionError(f"{type(self).__name__} has nothing done beside it, got {ended!r}")
