"""The three workflows that a first start brings along, so that there is something to run."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def _line(*ids: str) -> list[dict[str, Any]]:
    return [{"source": one, "target": other} for one, other in pairwise(ids)]


GREETING = {
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
    "edges": _line("start", "ask_name", "greet", "end"),
}

SIGN_OFF = {
    "nodes": [
        {
            "id": "start",
            "type": "start",
            "config": {"inputs": [{"name": "amount", "type": "number", "required": True}]},
        },
        {"id": "size", "type": "condition", "config": {"cases": [{"handle": "large", "expression": "amount > 100"}]}},
        {
            "id": "decide",
            "type": "ask",
            "name": "Ask for a decision",
            "config": {
                "prompt": "Pay {{amount}}?",
                "choices": [{"id": "yes", "title": "Pay it"}, {"id": "no", "title": "Refuse it"}],
                "branch_on_choice": True,
                "expires_in_seconds": 86400,
                "on_expiry": "branch",
            },
        },
        {"id": "paid", "type": "end", "config": {"outputs": {"paid": True}}},
        {"id": "refused", "type": "end", "config": {"outputs": {"paid": False}}},
    ],
    "edges": [
        {"source": "start", "target": "size"},
        {"source": "size", "source_handle": "else", "target": "paid"},
        {"source": "size", "source_handle": "large", "target": "decide"},
        {"source": "decide", "source_handle": "yes", "target": "paid"},
        {"source": "decide", "source_handle": "no", "target": "refused"},
        {"source": "decide", "source_handle": "expired", "target": "refused"},
    ],
}

REMINDER = {
    "nodes": [
        {"id": "start", "type": "start", "config": {"inputs": [{"name": "text", "default": "Drink some water."}]}},
        {"id": "rest", "type": "wait", "config": {"seconds": 5}},
        {"id": "remind", "type": "message", "config": {"text": "{{text}}"}},
        {"id": "end", "type": "end", "config": {"outputs": {"reminded": "{{text}}"}}},
    ],
    "edges": _line("start", "rest", "remind", "end"),
}

SAMPLES: dict[str, dict[str, Any]] = {"Greeting": GREETING, "Sign-off": SIGN_OFF, "Reminder": REMINDER}
