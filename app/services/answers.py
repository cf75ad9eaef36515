"""Which open pauses an answer is meant for, and whether it fits what they ask."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from app.engine.ballot import bar, read
from app.engine.messages import GivenAnswer
from app.engine.state import ExecutorState, Question, questions
from app.engine.values import Value, size_of, to_text
from app.ports import AnswerChecker
from app.services.errors import Detail, ServiceError
from app.services.facts import TurnRequest

VOTER_CHARACTERS = 1_000


def pause_ids(state: ExecutorState) -> tuple[str, ...]:
    """The open pauses, oldest first."""
    return tuple(question.pause_id for _, _, question in questions(state))


def has_answer(request: TurnRequest) -> bool:
    return request.answer_given or request.answers is not None


def resolve(
    request: TurnRequest, state: ExecutorState, aim: tuple[str, ...] | None, checker: AnswerChecker, limit: int
) -> tuple[GivenAnswer, ...]:
    """The answers by pause. Raises ServiceError: ambiguous_answer, unknown_pause, pause_already_answered, not_an_approver,
    self_approval, already_voted, invalid_answer, too_large. `aim`: the pauses open at the first read at rest."""
    opened = {question.pause_id: question for _, _, question in questions(state)}
    if request.answers is not None:
        check_open(request.answers, state)
        given = dict(request.answers)
    elif len(opened) > 1:
        raise ServiceError("ambiguous_answer", f"several pauses are open, name one in answers: {list(opened)}")
    else:
        if aim is not None and tuple(opened) != aim:
            check_open(aim, state)
            raise ServiceError("pause_already_answered", "the pause was answered by someone else")
        given = dict.fromkeys(opened, request.answer)
    check_voter([opened[pause_id] for pause_id in given], request.voter, state)
    faults: list[Detail] = []
    answers = []
    for pause_id, value in given.items():
        text = request.answer_text if request.answers is None and request.answer_text is not None else to_text(value)
        place = f"answers.{pause_id}" if request.answers is not None else "answer"
        if size_of(value) > limit:
            raise ServiceError(
                "too_large", f"an answer may have {limit} bytes", details=[Detail(place, "is too large")]
            )
        value, wrong = fit(opened[pause_id], value, checker)
        faults += [Detail(_below(place, path), message) for path, message in wrong]
        answers.append(GivenAnswer(pause_id, value, text, request.voter))
    if faults:
        raise ServiceError("invalid_answer", "the answer does not fit what is asked", details=faults)
    return tuple(answers)


def _below(place: str, path: str) -> str:
    return f"{place}.{path}" if path and path[0] != "[" else place + path


def check_open(named: Iterable[str], state: ExecutorState) -> None:
    """Raises pause_expired, pause_already_answered or unknown_pause unless each of the pauses is open."""
    opened = pause_ids(state)
    for pause_id in named:
        if pause_id in opened:
            continue
        if pause_id in state.expired:
            raise ServiceError("pause_expired", f"nobody answered {pause_id} in time")
        number = pause_id.removeprefix("pause_")
        if pause_id.startswith("pause_") and number.isdecimal() and 0 < int(number) < state.next_pause:
            raise ServiceError("pause_already_answered", f"{pause_id} is no longer open")
        message = f"there is no pause {pause_id!r}"
        raise ServiceError("unknown_pause", message, details=[Detail(f"answers.{pause_id}", "is unknown")])


def check_voter(asked: Iterable[Question], voter: str | None, state: ExecutorState) -> None:
    """Raises ServiceError unless the voter may answer all of these: not_an_approver, self_approval, already_voted, and
    too_large for a name that is kept with every vote."""
    for question in asked:
        if question.ballot is None:
            continue
        if barred := bar(question.ballot, voter, state.origin.starter):
            raise ServiceError(*barred)
        if voter is not None and len(voter) > VOTER_CHARACTERS:
            detail = Detail("run_by", f"may have {VOTER_CHARACTERS} characters")
            raise ServiceError("too_large", "the name of a voter is too long", details=[detail])


def fit(question: Question, value: Value, checker: AnswerChecker) -> tuple[Value, list[tuple[str, str]]]:
    """The value as the node gets it (a choice by its id, a vote with all its fields), and everything that does not fit."""
    if question.ballot is not None:
        chosen, wrong = read(question.ballot, value)
        if chosen is None:
            return value, wrong
        arguments = chosen.arguments
        if arguments is not None and question.schema is not None:
            misfits = checker.check(question.schema, arguments)
            wrong = [(_below("arguments", place), message) for place, message in misfits]
        return msgspec.structs.asdict(chosen), wrong
    if question.choices:
        found = next((c.id for c in question.choices if value == c.id), None)
        found = found or next((c.id for c in question.choices if isinstance(value, str) and value == c.title), None)
        if found is None:
            return value, [("", f"must be one of {[choice.id for choice in question.choices]}")]
        value = found
    return value, checker.check(question.schema, value) if question.schema is not None else []
