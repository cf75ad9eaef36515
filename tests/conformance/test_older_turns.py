"""Older turns: found by number, key, commit and event, each within its run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from app.ports import AcceptedCommand, Run, RunStore, Turn
from tests.conformance.samples import BYTES, WORDS, new_id, run, turn

BIG = BYTES * 250
TWO = (AcceptedCommand("a", "commit a", "key a"), AcceptedCommand("b", "commit b", WORDS))


async def archived(runs: RunStore, *turns: Turn) -> Run:
    """A run whose turns but the last have been archived, beside another whose turns are alike."""
    for stored in (run(tail=turns, turn=len(turns)), run(tail=turns, turn=len(turns))):
        await runs.insert(stored)
        await runs.archive(stored.id, 1, 32)
    return stored


async def behind(runs: RunStore, run_id: str, seq: int) -> Sequence[Turn]:
    return [found async for found in runs.turns_after(run_id, seq)]


def told(closed: Turn) -> Turn:
    """What the history of events needs of it."""
    return replace(closed, reply=None, state=None)


async def test_an_older_turn_is_found_by_its_number(runs: RunStore) -> None:
    stored = await archived(runs, turn(1, commands=TWO, cause="expiry"), turn(2))
    assert await runs.turn(stored.id, 1) == stored.tail[0]


@pytest.mark.parametrize("number", [2, 3, 0, -1, 2**63, -(2**70)])
async def test_no_older_turn_is_found_by_another_number(runs: RunStore, number: int) -> None:
    """The newest closed turn is still in the run."""
    stored = await archived(runs, turn(1), turn(2))
    assert await runs.turn(stored.id, number) is None


async def test_an_older_turn_is_found_by_each_of_its_keys(runs: RunStore) -> None:
    stored = await archived(runs, turn(1), turn(2, commands=TWO), turn(3))
    assert await runs.turn_by_key(stored.id, "key 1") == stored.tail[0]
    assert await runs.turn_by_key(stored.id, "key a") == stored.tail[1]
    assert await runs.turn_by_key(stored.id, WORDS) == stored.tail[1]
    assert await runs.turn_by_key(stored.id, "key 3") is None
    assert await runs.turn_by_key(new_id(), "key 1") is None


async def test_an_older_turn_is_found_by_any_of_several_commits(runs: RunStore) -> None:
    stored = await archived(runs, turn(1), turn(2, commands=TWO), turn(3))
    assert await runs.turn_by_commit(stored.id, ["commit 1"]) == stored.tail[0]
    assert await runs.turn_by_commit(stored.id, ["unknown", "commit b"]) == stored.tail[1]
    assert await runs.turn_by_commit(stored.id, ["commit 3"]) is None
    assert await runs.turn_by_commit(stored.id, []) is None
    assert await runs.turn_by_commit(new_id(), ["commit 1"]) is None


async def test_older_turns_follow_from_an_event_on_by_number(runs: RunStore) -> None:
    stored = await archived(runs, *(turn(number) for number in range(1, 13)))
    expected = [told(closed) for closed in stored.tail[:-1]]
    assert await behind(runs, stored.id, 0) == expected
    assert await behind(runs, stored.id, 1) == expected
    assert await behind(runs, stored.id, 2) == expected[1:]
    assert await behind(runs, stored.id, 19) == expected[9:]
    assert await behind(runs, stored.id, 22) == []
    assert await behind(runs, new_id(), 0) == []


async def test_the_events_of_older_turns_are_whole_however_big(runs: RunStore) -> None:
    stored = await archived(runs, turn(1, events=BIG, input=BIG, reply=BIG), turn(2))
    assert await behind(runs, stored.id, 0) == [told(stored.tail[0])]


async def test_all_older_turns_are_listed_by_number_with_what_they_were_given(runs: RunStore) -> None:
    turns = [turn(number, **({"input": BIG, "events": BIG} if number == 2 else {})) for number in range(1, 13)]
    stored = await archived(runs, *turns)
    heads = [replace(told(closed), events=b"") for closed in stored.tail[:-1]]
    assert await runs.turn_heads(stored.id) == heads
    assert await runs.turn_heads(new_id()) == []


async def test_purging_removes_the_older_turns_of_one_run(runs: RunStore) -> None:
    stored = await archived(runs, turn(1, reply=BIG), turn(2))
    other = await archived(runs, turn(1, reply=BIG), turn(2))
    await runs.purge_turns(stored.id)
    assert await runs.turn(stored.id, 1) is None
    assert await runs.turn_heads(stored.id) == []
    assert await runs.read(stored.id, bodies=True) == replace(stored, tail=stored.tail[1:])
    assert await runs.turn(other.id, 1) == other.tail[0]
