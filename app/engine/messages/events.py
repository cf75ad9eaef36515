"""What comes out of a step: facts in the past tense, numbered over the run."""

import msgspec

from app.engine.ballot import Ballot
from app.engine.kind import Choice
from app.engine.talk import Spent, Usage
from app.engine.values import Value


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A fact. `seq` counts over the whole run from 1; `at` in unix seconds."""

    seq: int
    at: float


class NodeEvent(Event, frozen=True, kw_only=True):
    """A fact about a node's visit. `path` is its node id, inside containers `outer[0]/inner`."""

    node_id: str
    node_name: str
    path: str
    visit: int


class RunStarted(Event, frozen=True, kw_only=True):
    """The first event of a run."""


class FrameStarted(Event, frozen=True, kw_only=True):
    """A graph began to be executed."""

    path: str


class Welcomed(Event, frozen=True, kw_only=True):
    """The run began with a text to the user, that of no node."""

    text: str


class UserSpoke(Event, frozen=True, kw_only=True):
    """A person said something. `pause_id`: what it answered, if anything."""

    text: str
    value: Value = None
    pause_id: str | None = None
    node_id: str | None = None
    node_name: str | None = None
    path: str | None = None
    visit: int | None = None


class NodeStarted(NodeEvent, frozen=True, kw_only=True):
    """A visit began."""


class NodeFinished(NodeEvent, frozen=True, kw_only=True):
    """A visit ended: with `output` by `handle`, or with an error."""

    output: Value = None
    handle: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    skipped: bool = False


class ItemStarted(NodeEvent, frozen=True, kw_only=True):
    """A node's body began to be executed, as item or round number `index`, from 0."""

    index: int


class ItemFinished(NodeEvent, frozen=True, kw_only=True):
    """An item or round is over: well, with an error, or because its node is (`cancelled`)."""

    index: int
    status: str  # ok, error, cancelled
    error_type: str | None = None
    error_message: str | None = None


class NodeRetried(NodeEvent, frozen=True, kw_only=True):
    """An attempt failed, the next one comes after `delay_seconds`. `attempt` counts the failed ones from 1."""

    attempt: int
    error_type: str
    delay_seconds: float


class Said(NodeEvent, frozen=True, kw_only=True):
    """A node said a fixed text to the user."""

    text: str


class HttpRequested(NodeEvent, frozen=True, kw_only=True):
    """A node sent a request, or could not. `truncated`: the body was cut."""

    method: str | None = None
    url: str | None = None
    status_code: int | None = None
    body: Value = None
    truncated: bool = False
    error: str | None = None


class ModelCalled(NodeEvent, frozen=True, kw_only=True):
    """A model was asked. Pieces of its text are told under the number of this event, when `streamed`."""

    streamed: bool = False


class ModelReplied(NodeEvent, frozen=True, kw_only=True):
    """A model answered. `call_seq`: number of the call's first event; `telling`: which telling of its text this is; `say`:
    the user is told the text; `misfits`: why it does not fit its schema; `seconds`: since the call."""

    call_seq: int
    telling: int
    text: str
    say: bool = False
    streamed: bool = False
    tool_calls: int = 0
    misfits: tuple[str, ...] = ()
    finish_reason: str = ""
    usage: Usage = Usage()
    provider: str = ""
    model: str = ""
    seconds: float = 0.0


class ModelFailed(NodeEvent, frozen=True, kw_only=True):
    """A model call brought nothing, after its retries."""

    call_seq: int
    error_type: str
    error_message: str


class ToolCallStarted(NodeEvent, frozen=True, kw_only=True):
    """A tool is being called for a model. `truncated`: the arguments were cut."""

    tool_call_id: str
    tool_name: str
    arguments: Value = None
    truncated: bool = False


class ToolCallFinished(NodeEvent, frozen=True, kw_only=True):
    """What came of it: `status` is ok, error, denied or expired. `truncated`: the result was cut."""

    tool_call_id: str
    tool_name: str
    status: str
    result: Value = None
    error: str | None = None
    truncated: bool = False


class StateShown(NodeEvent, frozen=True, kw_only=True):
    """The runtime variables as they were."""

    variables: dict[str, Value]


class EdgeTaken(Event, frozen=True, kw_only=True):
    """A token moved along an edge. `conditional`: the source chose between handles."""

    edge_id: str
    source: str
    source_name: str
    target: str
    target_name: str
    handle: str
    conditional: bool
    path: str


class QuestionOpened(NodeEvent, frozen=True, kw_only=True):
    """A node asks a person and waits."""

    pause_id: str
    kind: str
    prompt: str
    schema: Value = None
    choices: tuple[Choice, ...] = ()
    expires_at: float | None = None
    ballot: Ballot | None = None


class VoteCast(NodeEvent, frozen=True, kw_only=True):
    """A vote was counted. `remaining`: how many more the pause needs; 0: it is decided."""

    pause_id: str
    voter: str | None
    action: str
    remaining: int


class QuestionExpired(NodeEvent, frozen=True, kw_only=True):
    """Nobody answered in time."""

    pause_id: str


class Warned(Event, frozen=True, kw_only=True):
    """Something that does not stop the run."""

    message: str


class FramePaused(Event, frozen=True, kw_only=True):
    """A frame waits for a person."""

    path: str
    last_node_id: str | None


class FrameEnded(Event, frozen=True, kw_only=True):
    """A frame is over."""

    path: str
    last_node_id: str | None


class TurnEnded(Event, frozen=True, kw_only=True):
    """Bookkeeping of one turn. `started_at` in unix seconds; `latencies`: seconds of its model calls."""

    turn: int
    executions: int
    started_at: float
    latencies: tuple[float, ...] = ()
    tool_calls: int = 0


class ReadyForInput(Event, frozen=True, kw_only=True):
    """The turn is over, an answer may come."""


class RunPaused(Event, frozen=True, kw_only=True):
    """The turn is over, the run is held by command."""


class RunFailed(Event, frozen=True, kw_only=True):
    """The run is over: it failed. `spent`: by `provider/model`."""

    error_type: str
    error_message: str
    spent: dict[str, Spent] = {}


class RunEnded(Event, frozen=True, kw_only=True):
    """The run is over: `status` is completed, cancelled or aborted_looping_risk."""

    status: str
    outputs: dict[str, Value] = {}
    spent: dict[str, Spent] = {}


AnyEvent = (
    RunStarted
    | FrameStarted
    | Welcomed
    | UserSpoke
    | NodeStarted
    | NodeFinished
    | NodeRetried
    | ItemStarted
    | ItemFinished
    | Said
    | HttpRequested
    | ModelCalled
    | ModelReplied
    | ModelFailed
    | ToolCallStarted
    | ToolCallFinished
    | StateShown
    | EdgeTaken
    | QuestionOpened
    | VoteCast
    | QuestionExpired
    | Warned
    | FramePaused
    | FrameEnded
    | TurnEnded
    | ReadyForInput
    | RunPaused
    | RunFailed
    | RunEnded
)
