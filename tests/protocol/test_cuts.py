"""A play that is cut at any of its awaits ends as if it had been calm: same status, outputs, turns and events.

Cut is: the process is killed before or after an operation is carried out; its answer is lost; it fails; it seems to fail
and is carried out later; it, or its answer, takes very long. Every operation of the first process is cut once in each way.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.protocol.kinds import PLAYED_KINDS
from tests.protocol.plays import CUTS, HOLDS, Cut, Played, cut_points, play
from tests.protocol.scenarios import PLAYED, Scenario

TAKEOVER_SECONDS = 15.0
KILLS = CUTS[:2]

every_play = pytest.mark.parametrize("scenario", [*PLAYED, *PLAYED_KINDS], ids=lambda scenario: scenario.name)


@every_play
def test_a_process_that_is_alone_may_be_cut_anywhere(scenario: Scenario, long_form: bool) -> None:
    cut_everywhere(replace(scenario, processes=1), (*CUTS, *HOLDS) if long_form else CUTS, thorough=long_form)


@every_play
def test_a_process_beside_another_may_be_cut_anywhere(scenario: Scenario, long_form: bool) -> None:
    cut_everywhere(scenario, (*CUTS, *HOLDS) if long_form else (*KILLS, *HOLDS), thorough=long_form)


@every_play
def test_two_kills_in_a_row_end_as_if_calm(scenario: Scenario, long_form: bool) -> None:
    scenario = replace(scenario, processes=1)
    calm = play(scenario)
    points = cut_points(calm, all_of_them=False)
    for at in points if long_form else points[len(points) // 2 :][:1]:
        first = Cut(at, "killed after")
        for then in cut_points(play(scenario, first), all_of_them=long_form):
            if then > at:
                assert_alike(play(scenario, first, Cut(then, "killed after")), calm, f"killed after {at} and {then}")


def cut_everywhere(scenario: Scenario, ways: tuple[str, ...], *, thorough: bool) -> None:
    calm = play(scenario)
    for at in cut_points(calm, all_of_them=thorough):
        for how in ways:
            played, words = play(scenario, Cut(at, how)), f"{how} at {at}: {calm.ops[at - 1][0]}"
            assert_alike(played, calm, words)
            again = played.sent - calm.sent
            assert all(times == 1 for times in again.values()), f"{words}: more than once again: {again}"
            # an effect may be done once more
            late = played.seconds - calm.seconds - scenario.effect_seconds - HOLDS.get(how, 0.0)
            assert late < TAKEOVER_SECONDS, f"{words}: {late:.1f} s late"


def assert_alike(played: Played, calm: Played, words: str) -> None:
    for turn, wanted in zip(played.ending.turns, calm.ending.turns, strict=False):
        assert turn == wanted, words
    assert played.ending == calm.ending, words
    assert played.sent.keys() <= calm.sent.keys(), f"{words}: something else goes out"
