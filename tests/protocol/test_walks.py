"""Random walks through the protocol: other ones in every run, all of them known by their seeds."""

from __future__ import annotations

import random

import pytest

from tests.protocol.kinds import WALKED_KINDS
from tests.protocol.moves import walk
from tests.protocol.scenarios import ALL, Scenario

WALKS, LONG = 40, 4_000


@pytest.mark.parametrize("scenario", [*ALL, *WALKED_KINDS], ids=lambda scenario: scenario.name)
def test_walks_of(scenario: Scenario, long_form: bool) -> None:
    first = random.randrange(2**32)
    for seed in range(first, first + (LONG if long_form else WALKS)):
        walk(scenario, seed)


def test_a_walk_is_the_same_whenever_it_is_told() -> None:
    stories = {str(walk(scenario, seed)) for scenario in ALL[:3] for seed in range(3) for _ in range(2)}
    assert len(stories) == 9
