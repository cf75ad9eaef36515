"""A play that is cut at any of its awaits ends as if it had been calm: same status, outputs, turns and events.

Cut is: the process is killed before or after an operation is carried out; its answer is lost; it fails; it seems to fail
and is carried out later. Every operation of the first process is cut once in each way, with and without a second one.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.protocol.plays import CUTS, Cut, cut_points, play
from tests.protocol.scenarios import PLAYED, Scenario

TAKEOVER_SECONDS = 15.0


@pytest.mark.parametrize("processes", [1, 2], ids=["alone", "with another"])
@pytest.mark.parametrize("scenario", PLAYED, ids=lambda scenario: scenario.name)
def test_wherever_it_is_cut_it_ends_as_if_calm(scenario: Scenario, processes: int, long_form: bool) -> None:
    scenario = replace(scenario, processes=processes)
    calm = play(scenario)
    assert calm.ending == play(scenario).ending
    for at in cut_points(calm.ops, all_of_them=long_form):
        for how in CUTS:
            played = play(scenario, Cut(at, how))
            words = f"{how} at {at}: {calm.ops[at - 1]}"
            assert played.ending == calm.ending, words
            late = played.seconds - calm.seconds - scenario.effect_seconds  # an effect may be done once more
            assert late < TAKEOVER_SECONDS, f"{words}: {late:.1f} s late"


@pytest.mark.parametrize("scenario", PLAYED, ids=lambda scenario: scenario.name)
def test_two_kills_in_a_row_end_as_if_calm(scenario: Scenario, long_form: bool) -> None:
    scenario = replace(scenario, processes=1)
    calm = play(scenario)
    points = cut_points(calm.ops, all_of_them=False)
    for at in points if long_form else points[len(points) // 2 :][:1]:
        first = Cut(at, "killed after")
        for then in cut_points(play(scenario, first).ops, all_of_them=long_form):
            if then > at:
                assert play(scenario, first, Cut(then, "killed after")).ending == calm.ending, (at, then)
