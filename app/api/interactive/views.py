"""What the interactive dialect shows: replies, runs, turns, workflows and versions. Times are unix seconds."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from app.api.ids import to_uuid
from app.api.interactive.events import ballot_of, busy_wait, choices_of, event_of
from app.api.interactive.model_words import usage_words
from app.engine.messages import QuestionOpened
from app.engine.state import ExecutorState, has_timers, questions, status, usage_of
from app.engine.talk import Usage
from app.engine.values import ext_hook, to_json
from app.services.facts import GivenInput, TurnFacts
from app.services.runs import RunRecord, TurnRecord
from app.services.workflows import VersionRecord, WorkflowRecord

Json = dict[str, Any]
NO_USAGE: Final = usage_words(Usage())
_given: Final = msgspec.msgpack.Decoder(GivenInput, ext_hook=ext_hook)


def turn_reply(facts: TurnFacts) -> bytes:
    """The reply to a turn, byte for byte what is stored and replayed."""
    return to_json(reply_of(facts))


def reply_of(facts: TurnFacts) -> Json:
    """The reply to a turn as a value; also the `run` of an error."""
    state = facts.state
    word = status(state)
    return {
        "run_id": facts.run_id,
        "status": word,
        "turn_number": facts.turn,
        "events": [event_of(facts.run_id, event) for event in facts.events],
        "is_waiting_for_input": word == "waiting_for_user_input",
        "is_completed": state.ended is not None,
        "error": state.error if state.ended == "failed" else None,
        "next_input_hint": _hint(facts) if word == "waiting_for_user_input" else None,
        "has_active_companions": False,
        "has_background_work": state.held_at is None and has_timers(state),
        "workflow_id": facts.workflow_id,
        "version_number": facts.version,
        "outputs": state.outputs,
        "pauses": pauses_of(state),
        "usage": usage_words(usage_of(state)),
    }


def _hint(facts: TurnFacts) -> Json | None:
    """The busy-wait event of the oldest open pause: that of this turn, else made anew from the state."""
    for frame, visit, question in questions(facts.state):
        for event in facts.events:
            if isinstance(event, QuestionOpened) and event.pause_id == question.pause_id:
                return event_of(facts.run_id, event)
        return busy_wait(facts.run_id, frame, visit, question)
    return None


def pauses_of(state: ExecutorState) -> list[Json]:
    """The open pauses, oldest first; none once the run has ended."""
    if state.ended:
        return []
    return [
        {
            "pause_id": question.pause_id,
            "kind": question.kind,
            "node_id": visit.node_id,
            "path": frame.path + visit.node_id,
            "prompt": question.prompt,
            "schema": question.schema,
            "choices": choices_of(question.choices),
            "expires_at": question.expires_at,
            **ballot_of(question.kind, question.ballot),
        }
        for frame, visit, question in questions(state)
    ]


def run_view(record: RunRecord) -> Json:
    """A run; without its state a row of a list, which has no `inputs`, `outputs` and `pauses`."""
    run, state = record.run, record.state
    shown: Json = {
        "id": run.id,
        "number": run.number,
        "uuid": to_uuid(run.id),
        "workflow_id": run.workflow_id,
        "version_number": run.version,
        "status": run.status,
        "termination_source": run.termination_source,
        "turn_number": run.turn,
        "mode": run.mode,
        "user": run.user,
        "error": run.error,
        "usage": run.usage or NO_USAGE,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "ended_at": run.ended_at,
    }
    if state is not None:
        shown["inputs"] = state.frames[0].inputs if state.frames else {}
        shown["outputs"] = state.outputs
        shown["pauses"] = pauses_of(state)
    return shown


def _cause(record: TurnRecord) -> Json:
    turn = record.turn
    return {"cause": turn.cause, "opened_at": turn.opened_at, "closed_at": turn.closed_at}


def _given_to(record: TurnRecord) -> Json:
    given = _given.decode(record.turn.input) if record.turn.input else None
    return {"command": given.command if given else None, "input": _input(given) if given else None}


def _input(given: GivenInput) -> Json:
    return {
        "message": given.message,
        "data": given.data,
        "answers": given.answers,
        "variables": given.variables,
    }


def run_reply(record: RunRecord) -> bytes:
    """A run as a reply."""
    return to_json(run_view(record))


def turn_view(record: TurnRecord) -> bytes:
    """A turn: the reply's shape, the stored bytes once it is closed, and what caused it."""
    stored = record.turn.reply
    if stored is None and record.facts is not None:
        stored = turn_reply(record.facts)
    extra = to_json({**_cause(record), **_given_to(record)})
    return extra if stored is None else stored.rstrip()[:-1] + b"," + extra[1:]


def turn_row(record: TurnRecord) -> Json:
    """A turn in a list: without its input and what happened in it."""
    return {
        "run_id": record.run_id,
        "turn_number": record.turn.number,
        "first_seq": record.turn.first_seq,
        "last_seq": record.turn.last_seq,
        **_cause(record),
    }


def workflow_view(record: WorkflowRecord) -> Json:
    """A workflow; rows of a list have no `graph`."""
    head = record.head
    shown: Json = {
        "id": head.id,
        "number": head.number,
        "handle": head.handle,
        "uuid": to_uuid(head.id),
        "name": head.name,
        "description": head.description,
        "status": head.status,
        "active_version": head.active_version,
        "max_concurrent_runs": head.max_concurrent_runs,
        "created_at": head.created_at,
        "updated_at": head.updated_at,
    }
    if record.source is not None:
        shown["graph"] = record.source
    return shown


def version_view(record: VersionRecord) -> Json:
    """A version; rows of a list have no `graph`."""
    version = record.version
    shown: Json = {
        "workflow_id": version.workflow,
        "version_number": version.number,
        "name": version.name,
        "active": record.active,
        "created_at": version.created_at,
    }
    if record.source is not None:
        shown["graph"] = record.source
    return shown


def page_view(items: Sequence[Json], total: int, page: int, size: int) -> Json:
    """A page of a list, counted from 1."""
    return {"items": list(items), "total": total, "page": page, "size": size, "pages": -(-total // size)}
