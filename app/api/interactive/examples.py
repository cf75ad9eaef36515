"""Whole bodies for the OpenAPI document, of the workflow that greets. A test checks each against its shape."""

from typing import Any, Final

Json = dict[str, Any]
Examples = dict[str, Any]

_run: Final = "66b0c9a2f1d3e4a5b6c7d8e9"
_workflow: Final = "66b0c8f0f1d3e4a5b6c7d8e0"
_started: Final = 1767225600.0
_usage: Final = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "estimated": False}
_graph: Final[Json] = {
    "nodes": [
        {"id": "start", "type": "start", "config": {}},
        {
            "id": "ask_name",
            "type": "ask",
            "name": "Ask the name",
            "config": {"prompt": "Who are you?", "output": "name"},
        },
        {"id": "greet", "type": "message", "config": {"text": "Hello, [[name]]!"}},
        {"id": "end", "type": "end", "config": {"outputs": {"greeting": "{{greet.text}}"}}},
    ],
    "edges": [
        {"source": "start", "target": "ask_name"},
        {"source": "ask_name", "target": "greet"},
        {"source": "greet", "target": "end"},
    ],
}

EXECUTE: Final[Examples] = {
    "start": {"run_input": {"dynamic_variables": {"language": "en"}}},
    "answer": {"run_id": _run, "run_input": {"message": "Ada"}},
    "answer_by_pause": {"run_id": _run, "run_input": {"answers": {"pause_1": "Ada"}, "expected_turn": 2}},
    "stop": {"run_id": _run, "run_input": {"command": "stop"}},
}
EXECUTE_BARE: Final[Examples] = {"bare": {"command": "start", "dynamic_variables": {"language": "en"}}}

_pause: Final[Json] = {
    "pause_id": "pause_1",
    "kind": "ask",
    "node_id": "ask_name",
    "path": "ask_name",
    "prompt": "Who are you?",
    "schema": None,
    "choices": None,
    "expires_at": None,
}


def _event(kind: str, seq: int, /, **extra: Any) -> Json:
    return {
        "type": kind,
        "logical_id": f"event_0c0f1b52-4e3f-5d0a-9b1e-{seq:012x}",
        "seq": seq,
        "timestamp": _started,
        "origin_thread_id": "0",
        "thread_reference_id": "thread_0",
        "comments": [],
        "interrupted": False,
        **extra,
    }


_busy_wait: Final = _event(
    "busy_wait_for_user_message",
    7,
    origin_node_logical_id="ask_name",
    origin_node_name="Ask the name",
    origin_node_run_id=f"{_run}-2",
    **_pause,
)
_waiting: Final[Json] = {
    "run_id": _run,
    "status": "waiting_for_user_input",
    "turn_number": 1,
    "events": [
        _event("start_workflow", 1, run_id=_run),
        _busy_wait,
        _event("workflow_ready_for_input", 10, active_companion_thread_ids=[]),
    ],
    "is_waiting_for_input": True,
    "is_completed": False,
    "error": None,
    "next_input_hint": _busy_wait,
    "has_active_companions": False,
    "has_background_work": False,
    "workflow_id": _workflow,
    "version_number": 0,
    "outputs": {},
    "pauses": [_pause],
    "usage": _usage,
}
_completed: Final[Json] = _waiting | {
    "status": "completed",
    "turn_number": 2,
    "events": [_event("end_workflow", 24, status="completed", outputs={"greeting": "Hello, Ada!"})],
    "is_waiting_for_input": False,
    "is_completed": True,
    "next_input_hint": None,
    "outputs": {"greeting": "Hello, Ada!"},
    "pauses": [],
}
_running: Final[Json] = _waiting | {
    "status": "running",
    "events": [_event("start_workflow", 1, run_id=_run)],
    "is_waiting_for_input": False,
    "next_input_hint": None,
    "has_background_work": True,
    "pauses": [],
}
TURN_REPLY: Final[Examples] = {"waiting": _waiting, "completed": _completed, "running": _running}

_row: Final[Json] = {
    "id": _run,
    "number": 17,
    "uuid": "66b0c9a2-f1d3-8e4a-96db-1f63a4000000",
    "workflow_id": _workflow,
    "version_number": 0,
    "status": "waiting_for_user_input",
    "termination_source": None,
    "turn_number": 1,
    "mode": "interactive",
    "user": None,
    "error": None,
    "usage": _usage,
    "created_at": _started,
    "updated_at": _started,
    "ended_at": None,
}


def _page(*items: Json) -> Examples:
    return {"page": {"items": list(items), "total": len(items), "page": 1, "size": 20, "pages": 1}}


RUN: Final[Examples] = {"waiting": {**_row, "inputs": {}, "outputs": {}, "pauses": [_pause]}}
RUN_PAGE: Final[Examples] = _page(_row)
_caused: Final[Json] = {"cause": "command", "opened_at": _started, "closed_at": _started}
TURN_PAGE: Final[Examples] = _page({"run_id": _run, "turn_number": 2, "first_seq": 11, "last_seq": 24, **_caused})
TURN: Final[Examples] = {
    "closed": {
        **_completed,
        **_caused,
        "command": "data",
        "input": {"message": "Ada", "data": "Ada", "answers": {}, "variables": {}},
    },
}
FORK: Final[Examples] = {"fork": {"turn_number": 1}}

NEW_WORKFLOW: Final[Examples] = {"greeting": {"name": "Greeting", "description": "Asks a name.", "graph": _graph}}
_workflow_row: Final[Json] = {
    "id": _workflow,
    "number": 4,
    "handle": f"wf_{_workflow}",
    "uuid": "66b0c8f0-f1d3-8e4a-96db-1f6380000000",
    "name": "Greeting",
    "description": "Asks a name.",
    "status": "active",
    "active_version": 0,
    "max_concurrent_runs": None,
    "created_at": _started,
    "updated_at": _started,
}
WORKFLOW: Final[Examples] = {"greeting": {**_workflow_row, "graph": _graph}}
WORKFLOW_PAGE: Final[Examples] = _page(_workflow_row)
WORKFLOW_CHANGE: Final[Examples] = {"rename": {"name": "Welcome"}, "edit": {"graph": _graph}}
CONCURRENCY: Final[Examples] = {"limit": {"max_concurrent_runs": 10}, "no_limit": {"max_concurrent_runs": None}}
CONCURRENCY_REPLY: Final[Examples] = {
    "limit": {
        "workflow_id": _workflow,
        "max_concurrent_runs": 10,
        "message": "at most 10 runs are at work at once",
    },
}
GRAPH_TO_CHECK: Final[Examples] = {"graph": {"graph": _graph}, "active_version": {}}
VALIDITY: Final[Examples] = {
    "valid": {"valid": True, "errors": [], "warnings": []},
    "invalid": {
        "valid": False,
        "errors": [{"path": "nodes[1].config.prompt", "message": "is required"}],
        "warnings": [{"path": "nodes[2]", "message": "greet cannot be reached from the start"}],
    },
}
NEW_VERSION: Final[Examples] = {
    "from_graph": {"graph": _graph, "name": "Second", "mark_as_active": True},
    "from_version": {"source_version_number": 0},
}
_version: Final[Json] = {
    "workflow_id": _workflow,
    "version_number": 0,
    "name": "Initial Version",
    "active": True,
    "created_at": _started,
}
VERSION: Final[Examples] = {"initial": {**_version, "graph": _graph}}
VERSION_PAGE: Final[Examples] = _page(_version)
RENAME: Final[Examples] = {"rename": {"name": "With a prompt that asks nicely"}}
WORKSPACE: Final[Examples] = {
    "workspace": {
        "id": "66b0c800f1d3e4a5b6c7d8d0",
        "name": "default",
        "max_concurrent_runs": None,
        "created_at": _started,
    },
}
WORKSPACE_CHANGE: Final[Examples] = {"limit": {"max_concurrent_runs": 100}, "rename": {"name": "Sales"}}
EVENTS: Final = (
    f'id: 1\nevent: start_workflow\ndata: {{"type":"start_workflow","seq":1,"run_id":"{_run}"}}\n\n: still here\n\n'
)

VERSION_DIFF: Final[Examples] = {
    "diff": {
        "workflow_id": _workflow,
        "from_version": 0,
        "to_version": 1,
        "equivalent": False,
        "nodes": {
            "added": [],
            "removed": [],
            "changed": [
                {"id": "greet", "changes": [{"path": "config.text", "from": "Hello, [[name]]!", "to": "Hi, [[name]]!"}]}
            ],
        },
        "edges": {"added": [], "removed": [], "changed": []},
        "changes": [],
        "truncated": False,
    }
}

CLONE: Final[Examples] = {"named": {"name": "Greeting, in Spanish"}, "unnamed": {}}
EXPORT: Final[Examples] = {
    "greeting": {
        "format": "antiphon.workflow",
        "format_version": 1,
        "id": _workflow,
        "version": 0,
        "name": "Greeting",
        "description": "Asks a name.",
        "graph": _graph,
        "children": [],
        "requires": {"secrets": [], "providers": [], "data_sets": []},
    }
}
