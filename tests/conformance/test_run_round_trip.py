"""A run is read as it was inserted: every field, whatever is in it, present or absent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import DuplicateError, EventBatch, Run, RunStore, Turn
from tests.conformance.samples import BYTES, after, commit, full_run, new_id, open_turn, run, turn, without_bodies

BIG = BYTES * 250


@pytest.mark.parametrize("make", [run, full_run])
async def test_a_run_is_read_as_it_was_inserted(runs: RunStore, make: Callable[[], Run]) -> None:
    stored = make()
    await runs.insert(stored)
    assert await runs.read(stored.id, bodies=True) == stored


def test_the_full_samples_have_no_default_in_any_field() -> None:
    stored = full_run()
    defaults = dict(zip(reversed(Run.__struct_fields__), reversed(Run.__struct_defaults__), strict=False))
    assert [name for name, default in defaults.items() if getattr(stored, name) == default] == []
    closed = dict(zip(reversed(Turn.__struct_fields__), reversed(Turn.__struct_defaults__), strict=False))
    assert [name for name, default in closed.items() if getattr(turn(1), name) == default] == ["batches"]


async def test_a_hot_read_leaves_the_bodies_of_closed_turns_out_and_keeps_the_open_turn_whole(runs: RunStore) -> None:
    stored = full_run()
    await runs.insert(stored)
    tail = tuple(without_bodies(closed) for closed in stored.tail)
    assert await runs.read(stored.id) == replace(stored, tail=tail, start_reply=None)


async def test_a_run_without_any_turn_is_read_as_it_was_inserted(runs: RunStore) -> None:
    stored = run(tail=(), turn=0, state=b"", next_seq=1)
    await runs.insert(stored)
    assert await runs.read(stored.id, bodies=True) == stored


async def test_an_empty_reply_and_state_are_not_absent_ones(runs: RunStore) -> None:
    stored = run(tail=(turn(1, reply=b"", state=b"", events=b"", input=b""), turn(2, reply=None, state=None)))
    await runs.insert(stored)
    assert await runs.read(stored.id, bodies=True) == stored


@pytest.mark.parametrize("name", ["input", "events", "reply", "state"])
async def test_readers_do_not_notice_that_a_big_body_is_stored_apart(runs: RunStore, name: str) -> None:
    stored = run(tail=(turn(1, **{name: BIG}), turn(2)), open=open_turn(3, events=BIG))
    await runs.insert(stored)
    assert await runs.read(stored.id, bodies=True) == stored
    hot = replace(stored, tail=tuple(without_bodies(closed) for closed in stored.tail))
    assert await runs.read(stored.id) == hot


@pytest.mark.parametrize(("size", "apart"), [(64 * 1024, 0), (64 * 1024 + 1, 1)])
async def test_bodies_over_64_kib_are_stored_apart(database: Database, size: int, apart: int) -> None:
    stored = run(tail=(turn(1, reply=b"r" * size),))
    await database.runs.insert(stored)
    assert await database.raw["run_parts"].count_documents({}) == apart
    assert await database.runs.read(stored.id, bodies=True) == stored


async def test_a_run_is_found_by_its_start_key(runs: RunStore) -> None:
    stored = full_run()
    await runs.insert(stored)
    await runs.insert(full_run())
    assert stored.start_key is not None
    assert await runs.read_by_start_key(stored.start_key, bodies=True) == stored
    assert await runs.read_by_start_key("another") is None


@pytest.mark.parametrize("run_id", ["f" * 24, "", "no id", "F" * 12, "\ud800" * 24, "0" * 23, "0" * 25])
async def test_nothing_is_read_under_an_unknown_id(runs: RunStore, run_id: str) -> None:
    await runs.insert(run())
    assert await runs.read(run_id) is None


async def test_a_start_key_is_used_once(runs: RunStore) -> None:
    first = run(start_key="key")
    await runs.insert(first)
    with pytest.raises(DuplicateError) as raised:
        await runs.insert(run(start_key="key"))
    assert raised.value.field == "start_key"
    assert await runs.read_by_start_key("key", bodies=True) == first


async def test_an_id_is_used_once(runs: RunStore) -> None:
    first = run()
    await runs.insert(first)
    with pytest.raises(DuplicateError) as raised:
        await runs.insert(run(id=first.id))
    assert raised.value.field == "_id"
    assert await runs.read(first.id, bodies=True) == first


async def test_a_number_is_used_once(runs: RunStore) -> None:
    first = run()
    await runs.insert(first)
    with pytest.raises(DuplicateError) as raised:
        await runs.insert(run(number=first.number))
    assert raised.value.field == "number"


async def test_many_runs_have_no_start_key(runs: RunStore) -> None:
    stored = [run() for _ in range(3)]
    for one in stored:
        await runs.insert(one)
    assert [await runs.read(one.id, bodies=True) for one in stored] == stored


async def test_an_insert_that_is_repeated_whole_says_that_the_run_is_there(runs: RunStore) -> None:
    """After a lost reply the same insert comes again, its big bodies too."""
    stored = run(open=open_turn(2, events=BIG), tail=(turn(1, reply=BIG),))
    await runs.insert(stored)
    with pytest.raises(DuplicateError):
        await runs.insert(stored)
    assert await runs.read(stored.id, bodies=True) == stored


async def test_an_insert_goes_on_where_the_one_before_stored_only_the_bodies(database: Database) -> None:
    stored = run(tail=(turn(1, reply=BIG, state=BIG),))
    await database.runs.insert(stored)
    await database.raw["workflow_runs"].delete_one({})
    await database.raw["run_parts"].delete_one({"_id.k": 1})
    await database.runs.insert(stored)
    assert await database.runs.read(stored.id, bodies=True) == stored


async def test_the_runs_of_two_processes_are_the_same_runs(database: Database, another: Database) -> None:
    stored = full_run()
    await database.runs.insert(stored)
    assert await another.runs.read(stored.id, bodies=True) == stored


async def test_the_revisions_of_many_runs_are_read_at_once(runs: RunStore) -> None:
    stored = [run(revision=revision) for revision in (1, 5, 9)]
    for one in stored:
        await runs.insert(one)
    wanted = [stored[0].id, stored[2].id, new_id()]
    assert await runs.revisions(wanted) == {stored[0].id: 1, stored[2].id: 9}
    assert await runs.revisions([]) == {}


async def test_batches_of_events_are_written_once_and_read_where_they_are_wanted(runs: RunStore) -> None:
    """In the open turn, in the tail, and among the older turns."""
    before = run(tail=(turn(1),))
    await runs.insert(before)
    latest, batches = before, tuple[EventBatch, ...]()
    for last_seq in (10, 20):
        commit_id = new_id()
        batches = (*batches, EventBatch(id=f"{commit_id}:events", last_seq=last_seq, size=3, body=b"%d!" % last_seq))
        made = commit(latest, open=open_turn(2, batches=batches), turn=2, commit_id=commit_id)
        assert await runs.commit(made) is True
        latest = after(latest, made)
        assert await runs.read(before.id, bodies=True) == latest
    behind = await runs.read(before.id, after=10)
    assert behind is not None and behind.open is not None
    assert [(batch.last_seq, batch.body) for batch in behind.open.batches] == [(10, b""), (20, b"20!")]
    made = commit(latest, open=None, push=turn(2, batches=batches), turn=2)
    assert await runs.commit(made) is True
    assert await runs.read(before.id, bodies=True) == after(latest, made)
    hot = await runs.read(before.id)
    assert hot is not None and hot.tail[-1] == without_bodies(turn(2))
    assert await runs.commit(commit(after(latest, made), push=turn(3), turn=3)) is True
    await runs.archive(before.id, 1, 32)
    assert await runs.turn(before.id, 2) == turn(2, batches=batches)
    assert [found.batches for found in [one async for one in runs.turns_after(before.id, 2)]] == [batches]
