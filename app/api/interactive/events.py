"""The engine's events in the words of the interactive dialect (facts 3.3)."""

import shlex
from collections.abc import Iterable
from typing import Any, Final, assert_never

import msgspec

from app.api.ids import SPARE, to_uuid
from app.api.interactive.model_words import NO_LATENCY, latency_words, model_words, spent_words, tool_words
from app.engine import messages as said
from app.engine.ballot import Ballot
from app.engine.kind import Choice
from app.engine.state import Frame, Question, Visit

Json = dict[str, Any]
MAIN_THREAD: Final = "0"
QUESTION: Final = SPARE >> 1


def logical_id(run_id: str, what: int | str) -> str:
    """Always the same for the same event: `what` is its `seq`, for a question its pause. A UUID made of the run's."""
    number = what if isinstance(what, int) else QUESTION | int(what.removeprefix("pause_"))
    return f"event_{to_uuid(run_id, number % SPARE)}"


def thread_id(path: str) -> str:
    """The frame as a thread: the run's own is `0`, others are named by their path."""
    return path.rstrip("/") or MAIN_THREAD


def _thread_of(path: str | None) -> str:
    return thread_id((path or "").rpartition("/")[0])


def _common(run_id: str, kind: str, seq: int | None, at: float | None, thread: str, what: int | str) -> Json:
    return {
        "type": kind,
        "logical_id": logical_id(run_id, what),
        "seq": seq,
        "timestamp": at,
        "origin_thread_id": thread,
        "thread_reference_id": f"thread_{thread}",
        "comments": [],
        "interrupted": False,
    }


def _node(run_id: str, node_id: str, name: str | None, path: str, visit: int) -> Json:
    return {
        "origin_node_logical_id": node_id,
        "origin_node_name": name or node_id,
        "origin_node_run_id": f"{run_id}-{visit}",
        "node_id": node_id,
        "path": path,
    }


def choices_of(choices: Iterable[Choice]) -> list[Json] | None:
    """As shown; None: any answer will do."""
    return [{"id": choice.id, "title": choice.title} for choice in choices] or None


def event_of(run_id: str, event: said.AnyEvent) -> Json:
    """One event. Keys never change their meaning; new ones may come."""
    kind, extra = _words(run_id, event)
    node: Json = {}
    thread = MAIN_THREAD
    if isinstance(event, said.NodeEvent):
        node = _node(run_id, event.node_id, event.node_name, event.path, event.visit)
        thread = _thread_of(event.path)
    elif isinstance(event, said.UserSpoke) and event.node_id is not None:
        node = _node(run_id, event.node_id, event.node_name, event.path or event.node_id, event.visit or 0)
        thread = _thread_of(event.path)
    elif isinstance(event, said.FrameStarted | said.FramePaused | said.FrameEnded | said.EdgeTaken):
        thread = thread_id(event.path)
    what = event.pause_id if isinstance(event, said.QuestionOpened) else event.seq
    return {**_common(run_id, kind, event.seq, event.at, thread, what), **node, **extra}


def busy_wait(run_id: str, frame: Frame, visit: Visit, question: Question) -> Json:
    """The event of a question that was opened in an earlier turn, from the state alone: without `seq` and time."""
    path = frame.path + visit.node_id
    common = _common(run_id, "busy_wait_for_user_message", None, None, _thread_of(path), question.pause_id)
    return {**common, **_node(run_id, visit.node_id, None, path, visit.number), **_asked(question)}


def _asked(question: Question | said.QuestionOpened) -> Json:
    return {
        "pause_id": question.pause_id,
        "kind": question.kind,
        "prompt": question.prompt,
        "schema": question.schema,
        "choices": choices_of(question.choices),
        "expires_at": question.expires_at,
        **ballot_of(question.kind, question.ballot),
    }


def ballot_of(kind: str, ballot: Ballot | None) -> Json:
    """What a pause that is answered by votes shows besides; nothing of any other."""
    if ballot is None:
        return {}
    if kind == "tool":
        return {
            "tool_name": ballot.tool_name,
            "tool_call_id": ballot.tool_call_id,
            "arguments": ballot.arguments,
        }
    return {
        "actions": [msgspec.structs.asdict(action) for action in ballot.actions],
        "fields": [{**msgspec.structs.asdict(field), "options": list(field.options)} for field in ballot.fields],
        "required": ballot.required,
        "votes": [{"voter": vote.voter, "action": vote.action, "at": vote.at} for vote in ballot.votes],
    }


def _words(run_id: str, event: said.AnyEvent) -> tuple[str, Json]:
    match event:
        case said.RunStarted():
            return "start_workflow", {"run_id": run_id}
        case said.FrameStarted():
            return "start_thread", {}
        case said.NodeStarted():
            return "start_node_run", {"run_input": None}
        case said.NodeFinished():
            return "end_node_run", _finished(event)
        case said.NodeRetried(attempt=attempt, error_type=error_type, delay_seconds=delay):
            return "node_retried", {"attempt": attempt, "error_type": error_type, "delay_seconds": delay}
        case said.ItemStarted(index=index):
            return "item_started", {"index": index}
        case said.ItemFinished():
            return "item_finished", _item(event)
        case said.UserSpoke(text=text, pause_id=pause_id):
            return "user_messages", {"messages": [{"role": "user", "content": text}], "pause_id": pause_id}
        case said.Said(text=text) | said.Welcomed(text=text):
            return "say_static", {"message": text}
        case said.HttpRequested():
            return "http_request", _request(event)
        case said.ModelCalled() | said.ModelReplied() | said.ModelFailed():
            return model_words(event)
        case said.ToolCallStarted() | said.ToolCallFinished():
            return tool_words(event)
        case said.StateShown():
            return "workflow_show_state", _shown(event)
        case said.EdgeTaken():
            return _edge(run_id, event)
        case said.QuestionOpened() | said.VoteCast() | said.QuestionExpired():
            return _of_pause(event)
        case said.Warned(message=message):
            return "workflow_warning", {"warning_message": message}
        case said.FramePaused(last_node_id=last):
            return "pause_thread", {"last_node_logical_id": last}
        case said.FrameEnded(last_node_id=last):
            return "end_thread", {"last_node_logical_id": last}
        case said.TurnEnded() | said.ReadyForInput() | said.RunPaused() | said.RunFailed() | said.RunEnded():
            return _end(event)
        case _:
            assert_never(event)


def _item(event: said.ItemFinished) -> Json:
    return {
        "index": event.index,
        "status": event.status,
        "error_type": event.error_type,
        "error_message": event.error_message,
    }


def _of_pause(event: said.QuestionOpened | said.VoteCast | said.QuestionExpired) -> tuple[str, Json]:
    match event:
        case said.QuestionOpened():
            return "busy_wait_for_user_message", _asked(event)
        case said.VoteCast():
            return "vote_cast", _vote(event)
        case said.QuestionExpired(pause_id=pause_id):
            message = f"nobody answered {pause_id} in time"
            return "workflow_warning", {"warning_message": message, "pause_id": pause_id}
        case _:
            assert_never(event)


def _vote(event: said.VoteCast) -> Json:
    return {
        "pause_id": event.pause_id,
        "voter": event.voter,
        "action": event.action,
        "remaining": event.remaining,
    }


def _request(event: said.HttpRequested) -> Json:
    """`curl_command` shows method and address only: headers and bodies may be secret."""
    sent = None if event.url is None else f"curl -X {event.method} {shlex.quote(event.url)}"
    return {
        "curl_command": sent,
        "status_code": event.status_code,
        "response_body": event.body,
        "truncated": event.truncated,
        "error": event.error,
    }


def _finished(event: said.NodeFinished) -> Json:
    return {
        "run_output": event.output,
        "handle": event.handle,
        "error_type": event.error_type,
        "error_message": event.error_message,
        "skipped": event.skipped,
    }


def _shown(event: said.StateShown) -> Json:
    return {
        "thread_id": _thread_of(event.path),
        "runtime_variables": event.variables,
        "workflow_runtime_variables": {},
    }


def _edge(run_id: str, event: said.EdgeTaken) -> tuple[str, Json]:
    words: Json = {
        "edge_name": event.handle if event.conditional else "",
        "edge_logical_id": event.edge_id,
        "edge_run_id": f"{run_id}-{event.seq}",
        "source_node_logical_id": event.source,
        "source_node_name": event.source_name,
        "destination_node_logical_id": event.target,
        "destination_node_name": event.target_name,
        "reason": f"left by {event.handle}" if event.conditional else None,
        "path": event.path,
    }
    return ("conditional_edge", {**words, "args_filled": {}}) if event.conditional else ("direct_edge", words)


def _end(
    event: said.TurnEnded | said.ReadyForInput | said.RunPaused | said.RunFailed | said.RunEnded,
) -> tuple[str, Json]:
    match event:
        case said.TurnEnded(turn=turn):
            return "end_workflow_iteration", {
                "iteration_number": turn,
                "run_input_output_pair": None,
                "iteration_metrics": _metrics(event),
            }
        case said.ReadyForInput():
            return "workflow_ready_for_input", {"active_companion_thread_ids": []}
        case said.RunPaused():
            return "pause_event", {}
        case said.RunFailed(error_type=error_type, error_message=message, spent=spent):
            return "workflow_error", {
                "error_type": error_type,
                "error_message": message,
                "stack_trace": None,
                **spent_words(spent),
            }
        case said.RunEnded(status=status, outputs=outputs, spent=spent):
            return "end_workflow", {"status": status, "outputs": outputs, **spent_words(spent)}
        case _:
            assert_never(event)


def _metrics(event: said.TurnEnded) -> Json:
    return {
        "e2e_latency_milliseconds": max(0.0, (event.at - event.started_at) * 1000),
        "nodes_executed_count": event.executions,
        "llm_call_count": len(event.latencies),
        "tool_call_count": event.tool_calls,
        "llm_call_latency_stats": latency_words(event.latencies),
        "tool_call_latency_stats": NO_LATENCY,
    }
