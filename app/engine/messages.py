"""What goes into a step (commands, imperative) and what comes out of it (events, past tense, numbered over the run)."""

import msgspec

from app.engine.ballot import Ballot
from app.engine.kind import Choice
from app.engine.talk import Spent, Usage
from app.engine.values import Value


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something to be done to a run. `now`: unix seconds, the only time a step knows."""

    now: float


class Start(Command, frozen=True, kw_only=True):
    """Begins a run. `inputs` have been checked against the start node; `message` is the first user message, `welcome`
    what the user is told before; `start_node` begins elsewhere than at the start; `starter` is who does, as a voter."""

    run_id: str
    workflow_id: str
    version: int
    user: str | None
    inputs: dict[str, Value]
    variables: dict[str, Value] = {}
    message: str | None = None
    welcome: str | None = None
    start_node: str | None = None
    starter: str | None = None


class GivenAnswer(msgspec.Struct, frozen=True):
    """The answer to one pause, already checked against its schema and choices. `voter`: who gives it; None: unknown."""

    pause_id: str
    value: Value
    text: str
    voter: str | None = None


class Answer(Command, frozen=True, kw_only=True):
    """Answers open pauses, all or none; `variables` are written before."""

    answers: tuple[GivenAnswer, ...]
    variables: dict[str, Value] = {}


class Pause(Command, frozen=True, kw_only=True):
    """Holds the run once the once-effects in flight have settled; replayable ones will run again after Resume."""


class Resume(Command, frozen=True, kw_only=True):
    """Goes on after a Pause; every clock of the run is moved by the time it stood."""

    answers: tuple[GivenAnswer, ...] = ()
    variables: dict[str, Value] = {}


class Stop(Command, frozen=True, kw_only=True):
    """Ends the run as cancelled."""


class EffectSucceeded(Command, frozen=True, kw_only=True):
    """An effect brought its result. Ignored unless it is in flight, in this `attempt` (None: in any)."""

    effect_id: str
    result: Value
    attempt: int | None = None


class EffectFailed(Command, frozen=True, kw_only=True):
    """An effect failed. `retryable`: by its nature another attempt may succeed. Ignored like a success."""

    effect_id: str
    error_type: str
    error_message: str
    retryable: bool = False
    retry_after_seconds: float | None = None
    details: dict[str, Value] = {}
    attempt: int | None = None


class DeadlinePassed(Command, frozen=True, kw_only=True):
    """Time went by: everything due by `now` fires."""


class Abort(Command, frozen=True, kw_only=True):
    """The run fails from outside the graph: `source` is its termination_source (`limit`, `stale_run_reaper`, …)."""

    source: str
    error_message: str


AnyCommand = Start | Answer | Pause | Resume | Stop | EffectSucceeded | EffectFailed | DeadlinePassed | Abort


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
    | Said
    | HttpRequested
    | ModelCalled
    | ModelReplied
    | ModelFailed
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
