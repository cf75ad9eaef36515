"""Where a run stands. A frozen value: each step makes a new one; everything else about a run is derived from it.

It is stored (`encode`), so that names of fields and of tagged classes, and defaults, are wire format. A new field with a
default is read from what is stored today, and lost by a process that does not know it; where that harms, and for whatever
else changes, there is a new FORMAT with an entry in UPCASTERS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from app.engine.talk import MODEL, Message, Spent, Usage
from app.engine.values import Value, ext_hook, pack, unpack
from app.engine.waits import (
    Asking as Asking,
    BackingOff as BackingOff,
    Effect as Effect,
    Entering as Entering,
    Failed as Failed,
    Gathering as Gathering,
    Question as Question,
    Received as Received,
    Sleeping as Sleeping,
    Wait as Wait,
    Working as Working,
)

FORMAT: Final = 1
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: Final[Mapping[int, Upcaster]] = {}  # by the format that they read; each makes the next one of it

Ending = Literal["completed", "failed", "cancelled", "aborted_looping_risk"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a turn, and of a run where they say so (graph.md, Limits). Sizes in bytes, times in seconds; `items` of
    an iteration, `levels` of frames within each other, `frames` at once."""

    turn_executions: int = 500
    turn_seconds: float = 300.0
    node_executions: int = 25
    branches: int = 10
    text_bytes: int = 256 * 1024
    output_bytes: int = 1024 * 1024
    state_bytes: int = 4 * 1024 * 1024
    events_bytes: int = 4 * 1024 * 1024
    reply_bytes: int = 4 * 1024 * 1024
    items: int = 1_000
    levels: int = 5
    frames: int = 500
    run_tokens: int = 2_000_000


class Visit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution of a node. `number` counts over the run; `failures`: of the node itself, attempts that failed;
    `effects`: made so far, those of its side visits included; `rendered`: its rich texts, None until they are; `memo`: what
    its kind keeps. `holder`: this is a side visit, outside work beside the visit of that number in its frame: it is no
    branch, has no events of its own, and ends with its holder at the latest; `part`: the name that the holder's kind knows
    it by, None for a notice."""

    node_id: str
    number: int
    wait: Wait = Entering()
    failures: int = 0
    effects: int = 0
    rendered: dict[str, Value] | None = None
    memo: Value = None
    holder: int | None = None
    part: str | None = None


class Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A graph under execution. `path`: what its nodes' paths begin with; `graph`: its key among the run's graphs;
    `arrivals`: tokens that wait at joins; `results`: merged outputs of the ends reached; `parent`: number of the visit
    that holds it (None: the run's own, which is the first); `transcript`: what was said between the user and the run, kept
    only where a node may ask for it. Of a body: `index` of the item or round, `values` of the reserved words that are its
    own; `executions` in this turn, those in items and rounds within it left out."""

    path: str = ""
    graph: str
    inputs: dict[str, Value] = {}
    variables: dict[str, Value] = {}
    outputs: dict[str, Value] = {}
    visits: tuple[Visit, ...] = ()
    arrivals: dict[str, int] = {}
    results: dict[str, Value] = {}
    last_node_id: str | None = None
    parent: int | None = None
    transcript: tuple[Message, ...] = ()
    index: int | None = None
    values: dict[str, Value] = {}
    executions: int = 0


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `sys` shows of the run, `started_at` in unix seconds; and `starter`, who began it, as a voter is called;
    `versions`: of the workflows that the run may reach, those that were active when it began."""

    run_id: str
    workflow_id: str
    version: int
    user: str | None
    started_at: float
    starter: str | None = None
    versions: dict[str, int] = {}


class ExecutorState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything needed to go on. `turn`: the last one opened; `held_at`: paused by command since; `pausing`: will be
    held once the once-effects in flight have settled; `executions` of this turn, `inner_executions` those of them in items
    and rounds; `since_input`: executions by path since the last input from outside; `expired`: the last pauses that nobody
    answered in time; `worked_seconds`: of effects in this turn, `working_since` the time from which the present ones count;
    `spent`: by `provider/model`; `latencies`: seconds of this turn's model calls; `tool_calls`: of this turn."""

    format: int  # has no default: it is always written
    origin: Origin
    frames: tuple[Frame, ...]
    turn: int = 0
    turn_started_at: float = 0.0
    next_seq: int = 1
    next_visit: int = 1
    next_pause: int = 1
    expired: tuple[str, ...] = ()
    executions: int = 0
    inner_executions: int = 0
    since_input: dict[str, int] = {}
    worked_seconds: float = 0.0
    working_since: float | None = None
    spent: dict[str, Spent] = {}
    latencies: tuple[float, ...] = ()
    tool_calls: int = 0
    message: str | None = None
    pausing: bool = False
    held_at: float | None = None
    ended: Ending | None = None
    termination_source: str | None = None
    error: str | None = None
    outputs: dict[str, Value] = {}


class UnknownFormatError(Exception):
    """The state was written by a newer process."""


class _Head(msgspec.Struct):
    format: int


_decoder = msgspec.msgpack.Decoder(ExecutorState, ext_hook=ext_hook)
_head = msgspec.msgpack.Decoder(_Head, ext_hook=ext_hook)


def encode(state: ExecutorState) -> bytes:
    """msgpack. Raises UnstorableValueError."""
    return pack(state)


def decode(data: bytes) -> ExecutorState:
    """The inverse of `encode`, also of older formats. Raises UnknownFormatError for a format newer than ours."""
    number = _head.decode(data).format
    if number == FORMAT:
        return _decoder.decode(data)
    if number > FORMAT:
        raise UnknownFormatError(f"state format {number}, this process knows {FORMAT}")
    return _decoder.decode(pack(upcast(unpack(data), UPCASTERS, FORMAT)))


def upcast(plain: dict[str, Any], upcasters: Mapping[int, Upcaster], wanted: int) -> dict[str, Any]:
    """A state of an older format, as plain values, step by step in format `wanted`."""
    for number in range(plain["format"], wanted):
        plain = {**upcasters[number](plain), "format": number + 1}
    return plain


def visits(state: ExecutorState) -> list[Visit]:
    """Every visit of every frame, oldest first."""
    if len(state.frames) == 1:
        return list(state.frames[0].visits)
    return sorted((visit for frame in state.frames for visit in frame.visits), key=lambda visit: visit.number)


def effects(state: ExecutorState) -> list[Effect]:
    """The effects in flight; none while the run is held or over."""
    if state.held_at is not None or state.ended:
        return []
    return [visit.wait.effect for visit in visits(state) if isinstance(visit.wait, Working)]


def usage_of(state: ExecutorState) -> Usage:
    """The tokens of the whole run."""
    total = Usage()
    for spent in state.spent.values():
        total = total.plus(spent.usage)
    return total


def retold(state: ExecutorState) -> ExecutorState:
    """As another process takes it over: what a model says from now on is another telling."""
    if not any(effect.operation == MODEL for effect in effects(state)):
        return state
    frames = tuple([replace(frame, visits=tuple([_retold(visit) for visit in frame.visits])) for frame in state.frames])
    return replace(state, frames=frames)


def _retold(visit: Visit) -> Visit:
    match visit.wait:
        case Working(effect=effect) if effect.operation == MODEL:
            return replace(visit, wait=Working(replace(effect, telling=effect.telling + 1)))
        case _:
            return visit


def questions(state: ExecutorState) -> list[tuple[Frame, Visit, Question]]:
    """The open pauses, oldest first."""
    found = [
        (frame, visit, visit.wait.question)
        for frame in state.frames
        for visit in frame.visits
        if isinstance(visit.wait, Asking)
    ]
    return sorted(found, key=lambda item: item[1].number)


def at_rest(state: ExecutorState) -> bool:
    """Ended, held, or a question is open and no effect is in flight (timers may be)."""
    if state.ended or state.held_at is not None:
        return True
    waits = [visit.wait for visit in visits(state)]
    return any(isinstance(wait, Asking) for wait in waits) and not any(isinstance(wait, Working) for wait in waits)


def status(state: ExecutorState) -> str:
    """One of the nine of the interactive dialect."""
    if state.ended:
        return state.ended
    if state.held_at is not None:
        return "paused"
    return "waiting_for_user_input" if at_rest(state) else "running"


def has_timers(state: ExecutorState) -> bool:
    """Timers or attempts to come, deadlines of questions not counted."""
    return not state.ended and any(isinstance(visit.wait, (Sleeping, BackingOff)) for visit in visits(state))


def next_deadline(state: ExecutorState, limits: Limits) -> float | None:
    """The earliest time at which something of the run is due, unix seconds; None: nothing ever, or its clocks stand."""
    if state.held_at is not None or state.ended:
        return None
    times: list[float] = []
    for visit in visits(state):
        match visit.wait:
            case Sleeping(until=until):
                times.append(until)
            case BackingOff(until=until) if not state.pausing:
                times.append(until)
            case Asking(question=question) if question.expires_at is not None:
                times.append(question.expires_at)
            case _:
                pass
    if state.working_since is not None:
        times.append(state.working_since + max(0.0, limits.turn_seconds - state.worked_seconds))
    return min(times, default=None)
