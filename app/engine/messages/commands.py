"""What goes into a step: imperative."""

import msgspec

from app.engine.values import Value


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something to be done to a run. `now`: unix seconds, the only time a step knows."""

    now: float


class Start(Command, frozen=True, kw_only=True):
    """Begins a run. `inputs` have been checked against the start node; `message` is the first user message, `welcome`
    what the user is told before; `start_node` begins elsewhere than at the start; `starter` is who does, as a voter;
    `versions`: of the workflows that it may reach, those that are active now."""

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
    versions: dict[str, int] = {}


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
