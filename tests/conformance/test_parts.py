"""Bodies that are stored apart: what nothing refers to goes after an hour, what is in use stays."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import EventBatch, StoreUnavailableError
from tests.conformance.samples import BYTES, HOUR, NOW, SetClock, after, commit, new_id, open_turn, run, turn

BIG = BYTES * 250


async def parts(database: Database) -> int:
    return int(await database.raw["run_parts"].count_documents({}))


async def test_parts_are_written_before_what_refers_to_them(database: Database, another: Database) -> None:
    """A reader in another process never finds a reference without its part."""
    before = run()
    await database.runs.insert(before)
    ended = asyncio.Event()

    async def commits() -> None:
        latest = before
        for number in range(2, 12):
            opened = open_turn(number + 1, events=BIG)
            made = commit(latest, push=turn(number, reply=BIG), open=opened, turn=number + 1)
            assert await database.runs.commit(made) is True
            latest = after(latest, made)
            await asyncio.sleep(0)
        ended.set()

    async def reads() -> int:
        seen = 0
        while not ended.is_set():
            found = await another.runs.read(before.id, bodies=True)
            assert found is not None
            assert [closed.reply for closed in found.tail[1:]] == [BIG] * (len(found.tail) - 1)
            assert found.open is None or found.open.events == BIG
            seen += 1
            await asyncio.sleep(0)
        return seen

    _, seen = await asyncio.gather(commits(), reads())
    assert seen > 0


async def test_a_reader_never_takes_a_run_without_its_parts(database: Database) -> None:
    stored = run(tail=(turn(1, reply=BIG), turn(2)), open=open_turn(3, events=BIG))
    await database.runs.insert(stored)
    await database.runs.archive(stored.id, 1, 32)
    await database.raw["run_parts"].delete_many({})
    for reading in (
        database.runs.read(stored.id),
        database.runs.read(stored.id, bodies=True),
        database.runs.turn(stored.id, 1),
    ):
        with pytest.raises(StoreUnavailableError):
            await reading


async def test_parts_of_a_lost_commit_are_removed_after_an_hour(database: Database, clock: SetClock) -> None:
    runs, stored = database.runs, run()
    await runs.insert(stored)
    lost = replace(commit(stored, push=turn(2, reply=BIG, state=BIG)), revision=9)
    assert await runs.commit(lost) is False
    assert await parts(database) == 2
    assert await runs.review_parts(NOW + HOUR - 1) == 0
    assert await runs.review_parts(NOW + HOUR) == 2
    assert await parts(database) == 0
    assert await runs.review_parts(NOW + HOUR) == 0


async def test_a_review_raises_the_revision_before_it_removes(database: Database) -> None:
    """So a commit that was delayed until then does not refer to what is gone."""
    runs, stored = database.runs, run()
    await runs.insert(stored)
    delayed = commit(stored, push=turn(2, reply=BIG))
    assert await runs.commit(replace(delayed, revision=9)) is False
    await runs.review_parts(NOW + HOUR)
    found = await runs.read(stored.id, bodies=True)
    assert found == replace(stored, revision=stored.revision + 1)
    assert await runs.commit(delayed) is False
    assert await runs.commit(commit(found, push=turn(2))) is True


async def test_parts_in_use_are_kept_and_looked_at_again(database: Database) -> None:
    runs = database.runs
    stored = run(tail=(turn(1, reply=BIG), turn(2, state=BIG)), open=open_turn(3, events=BIG, input=BIG), turn=3)
    await runs.insert(stored)
    await runs.archive(stored.id, 1, 32)
    assert await runs.review_parts(NOW + HOUR) == 4
    assert await runs.review_parts(NOW + 2 * HOUR) == 0
    assert await runs.read(stored.id, bodies=True) == replace(stored, tail=stored.tail[1:])
    assert await runs.turn(stored.id, 1) == stored.tail[0]
    assert await runs.review_parts(NOW + 26 * HOUR) == 4
    assert await parts(database) == 4


async def test_parts_that_a_later_commit_replaced_are_removed_in_the_end(database: Database, clock: SetClock) -> None:
    runs, stored = database.runs, run(open=open_turn(2, events=BIG))
    await runs.insert(stored)
    clock.time = NOW + HOUR
    made = commit(stored, push=turn(2, events=BIG + b"more"), open=None)
    assert await runs.commit(made) is True
    assert await parts(database) == 2
    assert await runs.review_parts(NOW + 2 * HOUR) == 2
    assert await parts(database) == 1
    assert await runs.read(stored.id, bodies=True) == replace(after(stored, made), revision=made.revision + 2)


async def test_the_part_of_a_dropped_state_is_removed_in_the_end(database: Database) -> None:
    runs, stored = database.runs, run(tail=(turn(1, state=BIG, reply=BIG), turn(2)), turn=2)
    await runs.insert(stored)
    await runs.archive(stored.id, 1, 1)
    assert await runs.review_parts(NOW + HOUR) == 2
    assert await parts(database) == 1
    assert await runs.turn(stored.id, 1) == replace(stored.tail[0], state=None)


async def test_parts_of_an_insert_that_never_came_are_removed(database: Database) -> None:
    stored = run(tail=(turn(1, reply=BIG),))
    await database.runs.insert(stored)
    await database.runs.remove(stored.id, stored.revision)
    assert await database.runs.review_parts(NOW + HOUR) == 1
    assert await parts(database) == 0


async def test_a_review_while_turns_are_archived_removes_nothing_in_use(database: Database, another: Database) -> None:
    runs, tail = database.runs, tuple(turn(number, reply=BIG) for number in range(1, 7))
    for _ in range(5):
        stored = run(id=new_id(), tail=tail, turn=6)
        await runs.insert(stored)
        await asyncio.gather(runs.archive(stored.id, 1, 32), *(another.runs.review_parts(NOW + HOUR) for _ in range(4)))
        assert [await runs.turn(stored.id, number) for number in range(1, 6)] == list(tail[:5])
        assert await runs.read(stored.id, bodies=True) == replace(stored, tail=tail[5:])


async def test_many_lost_parts_are_reviewed_in_batches(database: Database) -> None:
    stored = run(tail=tuple(turn(number, reply=BIG, events=BIG, state=BIG) for number in range(1, 21)))
    await database.runs.insert(stored)
    await database.runs.remove(stored.id, stored.revision)
    assert await parts(database) == 60
    looked_at = 0
    while found := await database.runs.review_parts(NOW + HOUR):
        looked_at += found
    assert (looked_at, await parts(database)) == (60, 0)


async def test_purging_removes_the_parts_of_one_run(database: Database) -> None:
    stored, other = run(tail=(turn(1, reply=BIG),)), run(tail=(turn(1, reply=BIG),))
    for one in (stored, other):
        await database.runs.insert(one)
    await database.runs.purge_turns(stored.id)
    assert await parts(database) == 1
    assert await database.runs.read(other.id, bodies=True) == other


async def test_kept_results_are_read_by_name_copied_and_removed_with_their_run(database: Database) -> None:
    ours, other = run(), run()
    await database.runs.keep_results(ours.id, "each#2/0", BYTES)
    await database.runs.keep_results(ours.id, "each#2/0", BYTES)
    await database.runs.keep_results(ours.id, "in/each[1]/each#9/1", b"")
    assert await database.runs.kept_results(ours.id, ["in/each[1]/each#9/1", "gone", "each#2/0"]) == [b"", None, BYTES]
    assert await database.runs.kept_results(other.id, ["each#2/0"]) == [None]
    await database.runs.copy_results(ours.id, other.id)
    await database.runs.purge_turns(ours.id)
    assert await database.runs.kept_results(ours.id, ["each#2/0"]) == [None]
    assert await database.runs.kept_results(other.id, ["each#2/0"]) == [BYTES]
    assert await database.runs.review_parts(NOW + 10**9) == 0, "what is kept is not reviewed"


async def test_batches_of_events_in_use_are_kept_and_those_of_lost_commits_go(database: Database) -> None:
    runs, stored = database.runs, run()
    await runs.insert(stored)
    for wins in (True, False):
        commit_id = new_id()
        batch = EventBatch(id=f"{commit_id}:events", last_seq=9, size=1, body=b"!")
        made = commit(stored, open=open_turn(2, batches=(batch,)), commit_id=commit_id)
        assert await runs.commit(made) is wins
    assert await parts(database) == 2
    assert await runs.review_parts(NOW + HOUR) == 2
    assert await parts(database) == 1
    assert (await runs.read(stored.id, bodies=True)) is not None
