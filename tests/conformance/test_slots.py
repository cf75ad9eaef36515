"""Concurrency limits: never more holders than places, whatever happens at the same time."""

from __future__ import annotations

import asyncio

import pytest

from app.adapters.mongo.database import Database
from app.ports import SlotStore
from tests.conformance.samples import NOW, new_id

UNTIL = NOW + 25


async def take(slots: SlotStore, run_id: str, *, places: int = 1, until: float = UNTIL, now: float = NOW) -> bool:
    return await slots.take("scope", places, run_id, 1, until, now)


async def holders(database: Database, now: float = NOW) -> set[str]:
    """Runs with a live place, each with one."""
    found = [str(slot["run"]) async for slot in database.raw["slots"].find({"until": {"$gt": now}})]
    assert len(found) == len(set(found))
    return set(found)


async def test_places_are_taken_until_none_is_left(slots: SlotStore) -> None:
    assert [await take(slots, new_id(), places=3) for _ in range(5)] == [True, True, True, False, False]


@pytest.mark.parametrize("places", [0, -1])
async def test_without_places_nothing_is_taken(slots: SlotStore, places: int) -> None:
    assert await take(slots, new_id(), places=places) is False


async def test_scopes_have_places_of_their_own(slots: SlotStore) -> None:
    run_id = new_id()
    assert await slots.take("workflow:1", 1, run_id, 1, UNTIL, NOW) is True
    assert await slots.take("workspace:1", 1, run_id, 1, UNTIL, NOW) is True
    assert await slots.take("workflow:2", 1, new_id(), 1, UNTIL, NOW) is True
    assert await slots.take("workspace:1", 1, new_id(), 1, UNTIL, NOW) is False


async def test_a_run_gets_the_place_that_it_has(database: Database) -> None:
    run_id = new_id()
    assert [await take(database.slots, run_id, places=2, until=UNTIL + at) for at in range(3)] == [True] * 3
    assert await holders(database, UNTIL + 1) == {run_id}
    assert await database.raw["slots"].count_documents({}) == 1


async def test_a_run_gets_its_place_even_when_it_has_lapsed_and_all_others_are_taken(database: Database) -> None:
    own, other = new_id(), new_id()
    assert await take(database.slots, own, places=2, until=NOW + 1) is True
    assert await take(database.slots, other, places=2) is True
    assert await take(database.slots, own, places=2, now=NOW + 2) is True
    assert await holders(database) == {own, other}


async def test_a_place_that_has_lapsed_is_taken_over(database: Database) -> None:
    first, second = new_id(), new_id()
    assert await take(database.slots, first, until=NOW + 5) is True
    assert await take(database.slots, second, now=NOW + 4.9) is False
    assert await take(database.slots, second, now=NOW + 5) is True
    assert await holders(database) == {second}


async def test_a_place_that_was_extended_is_not_taken_over(database: Database) -> None:
    first = new_id()
    assert await take(database.slots, first, until=NOW + 5) is True
    await database.slots.extend(first, 1, UNTIL)
    assert await take(database.slots, new_id(), now=NOW + 6) is False
    assert await holders(database, NOW + 6) == {first}


async def test_a_run_extends_and_releases_every_place_that_it_holds_and_no_other(database: Database) -> None:
    run_id, other = new_id(), new_id()
    for scope in ("workflow:1", "workspace:1"):
        assert await database.slots.take(scope, 2, run_id, 1, NOW + 5, NOW) is True
    assert await database.slots.take("workspace:1", 2, other, 1, NOW + 6, NOW) is True
    await database.slots.extend(run_id, 1, UNTIL)
    assert sorted([slot["until"] async for slot in database.raw["slots"].find()]) == [NOW + 6, UNTIL, UNTIL]
    await database.slots.release(run_id, 1)
    assert await holders(database) == {other}
    assert await database.raw["slots"].count_documents({}) == 1


async def test_a_run_without_a_place_extends_and_releases_nothing(database: Database) -> None:
    holder = new_id()
    assert await take(database.slots, holder) is True
    await database.slots.extend(new_id(), 1, UNTIL + 99)
    await database.slots.release(new_id(), 1)
    assert await holders(database, UNTIL) == set()
    assert await holders(database) == {holder}


async def test_a_run_whose_place_was_taken_over_does_not_extend_it(database: Database) -> None:
    first, second = new_id(), new_id()
    assert await take(database.slots, first, until=NOW + 1) is True
    assert await take(database.slots, second, now=NOW + 2, until=NOW + 3) is True
    await database.slots.extend(first, 1, UNTIL)
    await database.slots.release(first, 1)
    assert await holders(database) == {second}
    assert await holders(database, NOW + 3) == set()


async def test_what_comes_late_of_a_turn_leaves_the_next_turns_place_alone(database: Database) -> None:
    run_id = new_id()
    for number in (1, 2):
        assert await database.slots.take("scope", 1, run_id, number, UNTIL, NOW) is True
    await database.slots.extend(run_id, 1, UNTIL + 99)
    await database.slots.release(run_id, 1)
    assert await holders(database) == {run_id}
    assert await holders(database, UNTIL) == set()
    await database.slots.release(run_id, 2)
    assert await holders(database) == set()


async def test_to_extend_never_shortens(database: Database) -> None:
    run_id = new_id()
    assert await take(database.slots, run_id) is True
    await database.slots.extend(run_id, 1, NOW + 1)
    assert await holders(database, NOW + 2) == {run_id}


async def test_a_lowered_limit_counts_the_places_beyond_it(database: Database) -> None:
    first, second, third = new_id(), new_id(), new_id()
    for run_id in (first, second, third):
        assert await take(database.slots, run_id, places=3) is True
    await database.slots.release(first, 1)
    assert await take(database.slots, new_id(), places=2) is False
    await database.slots.release(second, 1)
    late = new_id()
    assert await take(database.slots, late, places=2) is True
    assert await holders(database) == {third, late}
    assert await take(database.slots, third, places=2) is True


async def test_a_raised_limit_gives_more_places(slots: SlotStore) -> None:
    assert [await take(slots, new_id(), places=places) for places in (1, 1, 2, 2, 3)] == [
        True,
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("places", [1, 10, 49, 60])
async def test_many_takes_at_once_get_as_many_places_as_there_are(
    database: Database, another: Database, places: int
) -> None:
    runs = [new_id() for _ in range(50)]
    taken = await asyncio.gather(
        *(take((database, another)[at % 2].slots, run_id, places=places) for at, run_id in enumerate(runs))
    )
    assert sum(taken) == min(places, 50)
    assert await holders(database) == {run_id for run_id, got in zip(runs, taken, strict=True) if got}


async def test_many_takes_at_once_share_lapsed_and_free_places_beside_one_beyond_the_limit(
    database: Database, another: Database
) -> None:
    lapsed, beyond = [new_id(), new_id()], new_id()
    for run_id in lapsed:
        assert await take(database.slots, run_id, places=2, until=NOW + 1) is True
    for filler in [new_id() for _ in range(5)]:
        assert await take(database.slots, filler, places=7, until=NOW + 1) is True
    assert await take(database.slots, beyond, places=8) is True
    runs = [new_id() for _ in range(50)]
    taken = await asyncio.gather(
        *(take((database, another)[at % 2].slots, run_id, places=4, now=NOW + 2) for at, run_id in enumerate(runs))
    )
    assert sum(taken) == 3
    winners = {run_id for run_id, got in zip(runs, taken, strict=True) if got}
    assert await holders(database, NOW + 2) == {beyond, *winners}


async def test_takes_and_releases_at_once_never_exceed_the_places(database: Database, another: Database) -> None:
    at_work = most = turns = 0

    async def works(slots: SlotStore) -> None:
        nonlocal at_work, most, turns
        run_id = new_id()
        for _ in range(4):
            if not await take(slots, run_id, places=3):
                await asyncio.sleep(0.005)
                continue
            at_work, turns = at_work + 1, turns + 1
            most = max(most, at_work)
            await asyncio.sleep(0)
            at_work -= 1
            await slots.release(run_id, 1)

    await asyncio.gather(*(works((database, another)[at % 2].slots) for at in range(12)))
    assert 0 < most <= 3
    assert turns >= 3
    assert await holders(database) == set()
