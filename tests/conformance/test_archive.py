"""Older turns leave the run: written before they are pulled, each once, and found in one place or the other all along."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import Run, RunStore, Turn
from tests.conformance.samples import BYTES, after, commit, new_id, run, turn

BIG = BYTES * 250


async def with_turns(runs: RunStore, count: int) -> Run:
    stored = run(tail=tuple(turn(number) for number in range(1, count + 1)), turn=count)
    await runs.insert(stored)
    return stored


async def older(runs: RunStore, run_id: str, upto: int) -> list[Turn | None]:
    return [await runs.turn(run_id, number) for number in range(1, upto + 1)]


@pytest.mark.parametrize("keep", [1, 3, 5, 9])
async def test_all_closed_turns_but_the_newest_move(runs: RunStore, keep: int) -> None:
    stored = await with_turns(runs, 5)
    await runs.archive(stored.id, keep, 32)
    moved = max(0, 5 - keep)
    assert await runs.read(stored.id, bodies=True) == replace(stored, tail=stored.tail[moved:])
    assert await older(runs, stored.id, 5) == [*stored.tail[:moved], *[None] * (5 - moved)]


async def test_to_archive_again_changes_nothing(runs: RunStore) -> None:
    stored = await with_turns(runs, 5)
    for _ in range(3):
        await runs.archive(stored.id, 1, 32)
    assert await runs.read(stored.id, bodies=True) == replace(stored, tail=stored.tail[4:])
    assert await older(runs, stored.id, 4) == list(stored.tail[:4])


async def test_to_archive_a_run_that_is_not_there_does_nothing(runs: RunStore) -> None:
    unknown = new_id()
    await runs.archive(unknown, 1, 32)
    assert await runs.turn_heads(unknown) == []


async def test_to_archive_a_run_without_closed_turns_does_nothing(runs: RunStore) -> None:
    stored = run(tail=())
    await runs.insert(stored)
    await runs.archive(stored.id, 1, 32)
    assert await runs.read(stored.id, bodies=True) == stored


async def test_a_turn_that_is_archived_already_stays_as_it_was(database: Database) -> None:
    """The archive was interrupted between its insert and its pull, and the state was dropped since."""
    runs = database.runs
    stored = await with_turns(runs, 3)
    await runs.archive(stored.id, 1, 1)
    before = await older(runs, stored.id, 2)
    assert before == [replace(closed, state=None) for closed in stored.tail[:2]]
    tail = [{"number": 2, "cause": "other", "commands": [], "first_seq": 0, "size": 0, "opened_at": 0.0}]
    await database.raw["workflow_runs"].update_one({}, {"$push": {"tail": {"$each": tail, "$position": 0}}})
    await runs.archive(stored.id, 1, 32)
    assert await older(runs, stored.id, 2) == before
    assert await runs.read(stored.id, bodies=True) == replace(stored, tail=stored.tail[2:])


@pytest.mark.parametrize(("states", "kept"), [(1, []), (2, [4]), (4, [2, 3, 4]), (5, [1, 2, 3, 4]), (32, [1, 2, 3, 4])])
async def test_states_are_kept_of_the_newest_closed_turns(runs: RunStore, states: int, kept: list[int]) -> None:
    """The newest of all lies in the tail and counts."""
    stored = await with_turns(runs, 5)
    await runs.archive(stored.id, 1, states)
    expected = [closed if closed.number in kept else replace(closed, state=None) for closed in stored.tail[:4]]
    assert await older(runs, stored.id, 4) == expected


async def test_states_are_dropped_as_later_turns_come(runs: RunStore) -> None:
    stored = await with_turns(runs, 3)
    await runs.archive(stored.id, 1, 3)
    made = commit(stored, push=turn(4), turn=5)
    assert await runs.commit(made) is True
    await runs.archive(stored.id, 1, 3)
    assert await older(runs, stored.id, 3) == [replace(turn(1), state=None), turn(2), turn(3)]


async def test_the_states_of_another_run_are_left_alone(runs: RunStore) -> None:
    stored, other = await with_turns(runs, 3), await with_turns(runs, 3)
    await runs.archive(other.id, 1, 32)
    await runs.archive(stored.id, 1, 1)
    assert await older(runs, other.id, 2) == list(other.tail[:2])


async def test_big_bodies_move_along(runs: RunStore) -> None:
    stored = run(tail=(turn(1, events=BIG, reply=BIG, state=BIG, input=BIG), turn(2)), turn=2)
    await runs.insert(stored)
    await runs.archive(stored.id, 1, 32)
    assert await runs.turn(stored.id, 1) == stored.tail[0]


async def test_archives_at_the_same_time_move_each_turn_once(database: Database, another: Database) -> None:
    stored = await with_turns(database.runs, 8)
    await asyncio.gather(*((database, another)[place % 2].runs.archive(stored.id, 1, 4) for place in range(12)))
    assert await database.runs.read(stored.id, bodies=True) == replace(stored, tail=stored.tail[7:])
    kept = [closed if closed.number > 4 else replace(closed, state=None) for closed in stored.tail[:7]]
    assert await older(database.runs, stored.id, 7) == kept
    assert await database.raw["run_turns"].count_documents({}) == 7


async def test_no_turn_is_missing_for_a_moment(database: Database, another: Database) -> None:
    """Whoever reads the run and then its older turns sees every turn, while commits and archives go on."""
    stored = run(tail=(), turn=0)
    await database.runs.insert(stored)
    ended = asyncio.Event()

    async def takes_turns() -> Run:
        before = stored
        for number in range(1, 31):
            made = commit(before, push=turn(number), turn=number)
            assert await database.runs.commit(made) is True
            before = after(before, made)
        ended.set()
        return before

    async def archives(runs: RunStore) -> None:
        while not ended.is_set():
            await runs.archive(stored.id, 1, 32)
            await asyncio.sleep(0)

    async def looks(runs: RunStore) -> None:
        while not ended.is_set():
            found = await runs.read(stored.id, bodies=True)
            assert found is not None
            seen = {one.number for one in found.tail} | {one.number for one in await runs.turn_heads(stored.id)}
            assert set(range(1, found.turn + 1)) - seen == set()
            await asyncio.sleep(0)

    everyone = (
        takes_turns(),
        archives(database.runs),
        archives(another.runs),
        looks(database.runs),
        looks(another.runs),
    )
    last, *_ = await asyncio.gather(*everyone)
    await database.runs.archive(stored.id, 1, 32)
    assert await database.runs.read(stored.id, bodies=True) == replace(last, tail=last.tail[-1:])
    assert await older(database.runs, stored.id, 29) == list(last.tail[:-1])
