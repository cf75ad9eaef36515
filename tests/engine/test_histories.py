"""Recorded histories: today's code does what it did, from the states that were stored then."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.engine.step import RefusedError, step
from tests.engine.graphs import KEY, compiled
from tests.engine.history import FOLDER, plain, read
from tests.engine.record import SCENARIOS

HISTORIES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_history_is_what_happens_today(path: Path) -> None:
    history = read(path)
    graphs = {KEY: compiled(history.graph)}
    state = None
    for recorded in history.steps:
        if recorded.refused is not None:
            with pytest.raises(RefusedError) as refused:
                step(graphs, state, recorded.command, history.limits)
            assert (refused.value.code, recorded.state()) == (recorded.refused, state)
            continue
        made = step(graphs, state, recorded.command, history.limits)
        assert made.events == recorded.events
        assert made.effects == recorded.effects
        assert made.state == recorded.state()
        state = recorded.state()
    assert plain(state) == history.state


def test_every_scenario_is_recorded() -> None:
    assert [path.stem for path in HISTORIES] == sorted(scenario.__name__ for scenario in SCENARIOS)
