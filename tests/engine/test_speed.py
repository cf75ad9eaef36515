"""The engine's speed has a floor, far below what it does on an idle machine."""

from __future__ import annotations

from tests.engine.speed import microseconds_per_turn, node_executions_per_second


def test_pure_nodes_are_fast() -> None:
    assert node_executions_per_second() > 20_000


def test_a_later_turn_is_fast() -> None:
    assert microseconds_per_turn(turns=100) < 150
