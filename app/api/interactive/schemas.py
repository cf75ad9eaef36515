"""What the interactive dialect answers about runs and turns, as the OpenAPI document shows it: exactly what `views` makes."""

from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from msgspec import Meta

from app.api.describe import Shape
from app.api.fields import MAX_INT
from app.api.interactive import examples
from app.api.interactive.parse import COMMANDS

Object = dict[str, Any]
Examples = dict[str, Any]
Status = Literal[
    "not_started",
    "started",
    "running",
    "failed",
    "completed",
    "paused",
    "waiting_for_user_input",
    "cancelled",
    "aborted_looping_risk",
]
STATUSES: Final[tuple[str, ...]] = get_args(Status)
Source = Literal["execution_error", "stale_run_reaper", "stopped", "expired", "looping_risk", "limit"]
Cause = Literal["command", "expiry", "timer", "reaper"]
Command = Annotated[str, Meta(extra_json_schema={"enum": list(COMMANDS)})]
ObjectId = Annotated[str, Meta(pattern="^[0-9a-f]{24}$")]
Uuid = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Count = Annotated[int, Meta(ge=0, le=MAX_INT)]
Ordinal = Annotated[int, Meta(ge=1, le=MAX_INT)]
Required = Annotated[int, Meta(ge=1, description="How many voters the first action needs.")]
Seconds = Annotated[float, Meta(description="Unix seconds.")]


class Detail(Shape, frozen=True, kw_only=True):
    """One fault: `path` is its place in the request."""

    path: str
    message: str


# ---- turns


class Choice(Shape, frozen=True, kw_only=True):
    """`id` is the answer, `title` what is shown."""

    id: str
    title: str


class Field(Shape, frozen=True, kw_only=True):
    """A field of an approval's form."""

    name: str
    label: str
    type: Literal["text", "paragraph", "select", "number", "boolean"]
    required: bool
    default: Any
    options: list[str]
    max_length: Ordinal | None


class Vote(Shape, frozen=True, kw_only=True):
    """A vote that was counted."""

    voter: str | None
    action: str
    at: Seconds


class Pause(Shape, frozen=True, kw_only=True):
    """An open question. An approval has `actions` to `votes` besides, an agent's call `tool_name` to `arguments`."""

    pause_id: str
    kind: Literal["ask", "approval", "tool"]
    node_id: str
    path: str
    prompt: str
    schema: Annotated[Any, Meta(description="JSON Schema of the answer; null: any.")]
    choices: list[Choice] | None
    expires_at: Seconds | None
    actions: list[Choice] | None = None
    fields: list[Field] | None = None
    required: Required | None = None
    votes: list[Vote] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    arguments: Any = None


class Event(Shape, frozen=True, kw_only=True):
    """What happened. Further fields depend on `type`."""

    type: str
    logical_id: str
    seq: Annotated[int, Meta(ge=1, description="Counts over the whole run.")] | None
    timestamp: Seconds | None
    origin_thread_id: str
    thread_reference_id: str
    comments: list[Any]
    interrupted: bool


class Hint(Event, frozen=True, kw_only=True):
    """The event of the oldest open pause."""

    origin_node_logical_id: str
    origin_node_name: str
    origin_node_run_id: str
    node_id: str
    path: str
    pause_id: str
    kind: Literal["ask", "approval", "tool"]
    prompt: str
    schema: Any
    choices: list[Choice] | None
    expires_at: Seconds | None
    actions: list[Choice] | None = None
    fields: list[Field] | None = None
    required: Required | None = None
    votes: list[Vote] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    arguments: Any = None


class Usage(Shape, frozen=True, kw_only=True):
    """Tokens of models."""

    input_tokens: Count
    output_tokens: Count
    total_tokens: Count
    estimated: bool


class TurnReplyBody(Shape, frozen=True, kw_only=True):
    """A run after a turn (200), or in it (202), with what happened in that turn."""

    examples: ClassVar[Examples] = examples.TURN_REPLY

    run_id: ObjectId
    status: Status
    turn_number: Count
    events: list[Event]
    is_waiting_for_input: bool
    is_completed: bool
    error: str | None
    next_input_hint: Hint | None
    has_active_companions: bool
    has_background_work: bool
    workflow_id: ObjectId
    version_number: Count
    outputs: Object
    pauses: list[Pause]
    usage: Usage


class Error(Shape, frozen=True, kw_only=True):
    """Why something was refused. `run`: how it stands, where that helps."""

    message: str
    error: str
    details: list[Detail] | None = None
    run: TurnReplyBody | None = None


class Page(Shape, frozen=True, kw_only=True):
    """A part of a list; `page` counts from 1."""

    total: Count
    page: Ordinal
    size: Annotated[int, Meta(ge=1, le=100)]
    pages: Count


# ---- runs


class RunRow(Shape, frozen=True, kw_only=True):
    """A run in a list."""

    id: ObjectId
    number: Count
    uuid: Uuid
    workflow_id: ObjectId
    version_number: Count
    status: Status
    termination_source: Source | None
    turn_number: Count
    mode: str
    user: str | None
    error: str | None
    usage: Usage
    created_at: Seconds
    updated_at: Seconds
    ended_at: Seconds | None


class Run(RunRow, frozen=True, kw_only=True):
    """A run."""

    examples: ClassVar[Examples] = examples.RUN

    inputs: Object
    outputs: Object
    pauses: list[Pause]


class RunPage(Page, frozen=True, kw_only=True):
    """Newest first."""

    examples: ClassVar[Examples] = examples.RUN_PAGE

    items: list[RunRow]


class TurnInput(Shape, frozen=True, kw_only=True):
    """What a turn was given."""

    message: str | None
    data: Any
    answers: Object
    variables: Object


class TurnRow(Shape, frozen=True, kw_only=True):
    """A turn in a list, without its input."""

    run_id: ObjectId
    turn_number: Ordinal
    first_seq: Ordinal
    last_seq: Count | None
    cause: Cause
    opened_at: Seconds
    closed_at: Seconds | None


class TurnPage(Page, frozen=True, kw_only=True):
    """By number."""

    examples: ClassVar[Examples] = examples.TURN_PAGE

    items: list[TurnRow]


class Turn(TurnReplyBody, frozen=True, kw_only=True):
    """The reply of a turn, and what caused it."""

    examples: ClassVar[Examples] = examples.TURN

    cause: Cause
    command: Command | None
    input: TurnInput | None
    opened_at: Seconds
    closed_at: Seconds | None


class Fork(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which turn to go on from."""

    examples: ClassVar[Examples] = examples.FORK

    turn_number: Ordinal
