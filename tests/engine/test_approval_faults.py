"""Approvals that cannot be saved: every fault with its place."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.nodes import CATALOGUE
from app.engine.validate import check
from tests.engine.graphs import line, node
from tests.engine.test_approval import decision


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({}, []),
        ({"message": None}, ["message"]),
        ({"actions": []}, ["actions"]),
        ({"actions": [{"id": "out"}, {"id": ""}, {"id": "a"}, {"id": "a"}, {"id": "{{x}}"}]},
         ["actions[0].id", "actions[4].id", "actions[1].id", "actions[3].id"]),
        ({"actions": [{"id": one} for one in ("error", "else", "expired")]},
         ["actions[0].id", "actions[1].id", "actions[2].id"]),
        ({"fields": [{"name": "a"}, {"name": "a"}, {"name": ""}]}, ["fields[1].name", "fields[2].name"]),
        ({"fields": [{"name": "a", "type": "json"}, {"label": "x"}]}, ["fields[0].type", "fields[1].name"]),
        ({"fields": [{"name": "a", "type": "select"}]}, ["fields[0].options"]),
        ({"fields": [{"name": "a", "type": "select", "options": ["x", "x", ""]}]},
         ["fields[0].options[1]", "fields[0].options[2]"]),
        ({"fields": [{"name": "a", "type": "number", "default": "x"}, {"name": "b", "type": "boolean", "default": 0}]},
         ["fields[0].default", "fields[1].default"]),
        ({"fields": [{"name": "a", "default": "long", "max_length": 3}]}, ["fields[0].default"]),
        ({"fields": [{"name": "a", "type": "number", "default": "{{n}}"}]}, []),
        ({"required_approvals": 0}, ["required_approvals"]),
        ({"required_approvals": 2}, []),
        ({"required_approvals": 2, "approvers": ["a"]}, ["required_approvals"]),
        ({"approvers": []}, ["required_approvals"]),
        ({"approvers": ["a", "a", ""]}, ["approvers[1]", "approvers[2]"]),
        ({"on_expiry": "branch", "expires_in_seconds": 0}, ["on_expiry"]),
        ({"retry": {"max_attempts": 2}}, ["retry"]),
        ({"disabled": True}, ["disabled"]),
        ({"on_error": "default", "default_output": 1}, ["on_error"]),
        ({"notify": {}}, ["notify.url"]),
        ({"notify": {"url": "x", "retry": {}, "auth": {"type": "bearer"}}}, ["notify.retry"]),
        ({"notify": {"url": "x", "auth": {"type": "bearer"}}}, ["notify.auth.token"]),
        ({"notify": {"url": "{{secret.a}}", "body": ["{{pause.links}} {{pause.links[0].url}} {{pause.id}}"]}}, []),
        ({"message": "{{secret.a}}"}, ["message"]),
        ({"message": "at {{pause.links}}", "fields": [{"name": "a", "default": "{{pause.links[0].url}}"}]},
         ["message", "fields[0].default"]),
    ],
)  # fmt: skip
def test_faults_have_their_places(config: dict[str, Any], places: list[str]) -> None:
    config = {name: value for name, value in {"message": "ok?", **config}.items() if value is not None}
    checked = check(line(node("ok", "approval", **config)), CATALOGUE)
    known = [fault.path for fault in checked.faults if fault.path != "edges[0].source_handle"]
    assert known == [f"nodes[1].config.{place}" for place in places]


def test_links_are_read_nowhere_but_in_a_notice() -> None:
    http = node("h", "http", url="x", body="{{pause.links}}", headers={"X": "{{ pause.links[0].url? }}"})
    faults = check(line(http, node("m", "message", text="{{pause.links}}")), CATALOGUE).faults
    texts = {"a": "pause.links[0] == 1", "b": "is_empty({{pause.links}})"}
    cases = [{"handle": handle, "expression": text} for handle, text in texts.items()]
    tested = check(line(node("c", "condition", cases=cases)), CATALOGUE).faults
    assert [fault.message for fault in tested] == ["links cannot be read in an expression"] * 2
    places = ["nodes[1].config.body", "nodes[1].config.headers.X", "nodes[2].config.text"]
    assert [fault.path for fault in faults] == places


def test_the_ways_out_are_the_actions() -> None:
    graph = decision(actions=[{"id": "a"}, {"id": "b"}], on_expiry="branch")
    faults = check(graph, CATALOGUE).faults
    assert [fault.message for fault in faults] == [
        "unknown handle 'approve'; ok has a, b, expired",
        "unknown handle 'reject'; ok has a, b, expired",
    ]
