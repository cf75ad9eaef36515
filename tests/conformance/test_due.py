"""What is due: in order, in pages, and only what has a wake-up time."""

from __future__ import annotations

import pytest

from app.ports import Run, RunStore
from tests.conformance.samples import NOW, commit, run


async def stored(runs: RunStore, *times: float | None) -> list[Run]:
    made = [run(wake_at=at) for at in times]
    for one in made:
        await runs.insert(one)
    return made


def pairs(*made: Run) -> list[tuple[float | None, str]]:
    return sorted((one.wake_at, one.id) for one in made if one.wake_at is not None)


async def test_runs_are_due_in_the_order_of_their_wake_up_times(runs: RunStore) -> None:
    made = await stored(runs, NOW + 2, NOW - 1, NOW, NOW + 1)
    assert await runs.due(NOW + 2, None, 10) == pairs(*made)


async def test_a_run_is_due_at_its_wake_up_time_and_not_before(runs: RunStore) -> None:
    (only,) = await stored(runs, NOW)
    assert await runs.due(NOW, None, 10) == pairs(only)
    assert await runs.due(NOW - 0.001, None, 10) == []


async def test_runs_without_a_wake_up_time_are_never_due(runs: RunStore) -> None:
    _, only, _ = await stored(runs, None, NOW, None)
    assert await runs.due(NOW * 2, None, 10) == pairs(only)


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_pages_follow_one_another_without_a_gap_or_a_repetition(runs: RunStore, limit: int) -> None:
    made = await stored(runs, NOW, NOW, NOW + 1, NOW, NOW + 1, NOW + 2, NOW, None)
    found: list[tuple[float, str]] = []
    for _ in range(8):
        page = await runs.due(NOW + 2, found[-1] if found else None, limit)
        assert len(page) <= limit
        found += page
    assert found == pairs(*made)


async def test_a_page_starts_behind_a_run_that_is_gone(runs: RunStore) -> None:
    made = await stored(runs, NOW, NOW, NOW)
    first, second, third = pairs(*made)
    assert first[0] is not None
    await runs.remove(first[1], 1)
    assert await runs.due(NOW, (first[0], first[1]), 10) == [second, third]


async def test_a_run_moves_with_its_wake_up_time(runs: RunStore) -> None:
    one, other = await stored(runs, NOW, NOW + 1)
    assert await runs.commit(commit(one, wake_at=NOW + 5)) is True
    assert await runs.commit(commit(other, wake_at=None)) is True
    assert await runs.due(NOW + 4, None, 10) == []
    assert await runs.due(NOW + 5, None, 10) == [(NOW + 5, one.id)]
