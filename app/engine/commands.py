"""What each command does to a run that accepts it, before the run is walked on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from msgspec.structs import replace

from app.engine import ballot as votes, messages as said
from app.engine.kind import Answered, Decided, Expired, Succeeded, Woke
from app.engine.messages import (
    Abort,
    Answer,
    AnyCommand,
    DeadlinePassed,
    EffectFailed,
    EffectSucceeded,
    GivenAnswer,
    Pause,
    Resume,
    Start,
    Stop,
)
from app.engine.outcomes import has_attempt_left, retry, start_attempt
from app.engine.state import Asking, BackingOff, Failed, Question, Received, Sleeping, Wait, Working
from app.engine.values import Value, storable_text
from app.engine.walk import OpenFrame, OpenVisit, Walk

EXPIRED_KEPT = 32  # pauses whose late answers are told so
MESSAGE_CHARACTERS = 4_096  # of an error's message from outside, the rest is cut
MOST_PATIENCE_SECONDS = 300.0  # of a Retry-After
LONG_TIMER_SECONDS = 60.0  # one that fires counts as input from outside (graph.md, Limits)


def apply(walk: Walk, command: AnyCommand) -> None:
    """`command` is one that the run does not refuse."""
    match command:
        case Answer():
            _answer(walk, command.answers, command.variables)
        case Resume():
            _resume(walk, command)
        case Pause():
            walk.pausing = True
        case Stop():
            walk.cancel()
        case EffectSucceeded():
            _effect_succeeded(walk, command)
        case EffectFailed():
            _effect_failed(walk, command)
        case DeadlinePassed():
            _fire(walk)
        case Abort():
            walk.fail(command.source, command.source, _shortened(command.error_message))
        case Start():
            raise AssertionError("a start makes the run that it applies to")
        case _:
            assert_never(command)


def _visits(walk: Walk) -> Iterator[tuple[OpenFrame, OpenVisit]]:
    for frame in walk.frames:
        for visit in frame.visits:
            yield frame, visit


def _shortened(message: str) -> str:
    return storable_text(message[:MESSAGE_CHARACTERS])


# ---- people


def _answer(walk: Walk, answers: tuple[GivenAnswer, ...], variables: dict[str, Value]) -> None:
    walk.frames[0].variables.update(variables)
    given = {answer.pause_id: answer for answer in answers}
    if given:
        walk.since_input.clear()
    for frame, visit in _visits(walk):
        if isinstance(visit.wait, Asking) and (answer := given.get(visit.wait.question.pause_id)):
            if visit.wait.question.ballot is not None:
                _vote(walk, frame, visit, visit.wait, visit.wait.question.ballot, answer)
                continue
            walk.emit_of(frame, visit, said.UserSpoke, text=answer.text, value=answer.value, pause_id=answer.pause_id)
            frame.remember("user", answer.text)
            walk.wake(frame, visit, Received(Answered(answer.value, answer.text)))


def _vote(
    walk: Walk, frame: OpenFrame, visit: OpenVisit, wait: Asking, ballot: votes.Ballot, answer: GivenAnswer
) -> None:
    """Counts a vote. One that does not decide leaves the pause open."""
    chosen, _ = votes.read(ballot, answer.value)
    assert chosen is not None, "what cannot be read was refused"
    counted, remaining = votes.cast(ballot, chosen, answer.voter, walk.now)
    walk.emit_of(
        frame,
        visit,
        said.VoteCast,
        pause_id=answer.pause_id,
        voter=answer.voter,
        action=chosen.action,
        remaining=remaining,
    )
    if remaining:
        visit.wait = Asking(replace(wait.question, ballot=counted), wait.since)
    else:
        walk.wake(frame, visit, Received(Decided(chosen.action, counted.votes, chosen.arguments)))


def _resume(walk: Walk, command: Resume) -> None:
    """Every clock is moved by the time that the run was held; what was due when it was held fires now."""
    stood = max(0.0, walk.now - (walk.now if walk.held_at is None else walk.held_at))
    walk.held_at = None
    for _, visit in _visits(walk):
        visit.wait = _moved(visit.wait, stood)
    _answer(walk, command.answers, command.variables)
    _fire(walk)


def _moved(wait: Wait, seconds: float) -> Wait:
    match wait:
        case Sleeping(until=until, since=since):
            return Sleeping(until + seconds, since + seconds)
        case BackingOff(until=until, effect=effect):
            return BackingOff(until + seconds, effect)
        case Asking(question=question, since=since) if question.expires_at is not None:
            return Asking(replace(question, expires_at=question.expires_at + seconds), since + seconds)
        case _:
            return wait


# ---- effects


def _in_flight(walk: Walk, effect_id: str) -> tuple[OpenFrame, OpenVisit, Working]:
    for frame, visit in _visits(walk):
        if isinstance(visit.wait, Working) and visit.wait.effect.id == effect_id:
            return frame, visit, visit.wait
    raise AssertionError("applied only when it is in flight")


def _effect_succeeded(walk: Walk, command: EffectSucceeded) -> None:
    frame, visit, working = _in_flight(walk, command.effect_id)
    walk.wake(frame, visit, Received(Succeeded(command.result, working.effect.call())))


def _effect_failed(walk: Walk, command: EffectFailed) -> None:
    frame, visit, working = _in_flight(walk, command.effect_id)
    after = max(0.0, command.retry_after_seconds or 0.0)
    call = working.effect.call()
    failure = Failed(command.error_type, _shortened(command.error_message), command.details, call)
    if not command.retryable or not has_attempt_left(visit, working.effect):
        walk.wake(frame, visit, failure)
    elif after > MOST_PATIENCE_SECONDS:
        walk.wake(
            frame, visit, Failed("rate_limited", f"may be tried again in {after:g} seconds only", command.details, call)
        )
    else:
        retry(walk, frame, visit, command.error_type, working.effect, after)


# ---- time


def _fire(walk: Walk) -> None:
    """Everything that is due: timers, next attempts, expired questions."""
    for frame, visit in _visits(walk):
        match visit.wait:
            case Sleeping(until=until, since=since) if until <= walk.now:
                _waited(walk, until - since)
                walk.wake(frame, visit, Received(Woke()))
            case BackingOff(until=until, effect=effect) if until <= walk.now and not walk.pausing:
                start_attempt(walk, frame, visit, effect)
            case Asking(question=question, since=since) if _has_expired(question, walk.now):
                _waited(walk, (question.expires_at or since) - since)
                walk.expired = (*walk.expired, question.pause_id)[-EXPIRED_KEPT:]
                walk.emit_of(frame, visit, said.QuestionExpired, pause_id=question.pause_id)
                walk.wake(frame, visit, Received(Expired()))
            case _:
                pass


def _has_expired(question: Question, now: float) -> bool:
    return question.expires_at is not None and question.expires_at <= now


def _waited(walk: Walk, seconds: float) -> None:
    if seconds >= LONG_TIMER_SECONDS:
        walk.since_input.clear()
