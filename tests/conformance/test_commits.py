"""A commit is one filtered update: all of it happens, or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import Lease, Run, RunStore
from tests.conformance.samples import BYTES, LEASE, NOW, WORDS, after, commit, full_run, new_id, open_turn, run, turn

BIG = BYTES * 250


async def test_a_commit_sets_fields_and_pushes_the_closed_turn(runs: RunStore) -> None:
    before = run(open=open_turn(2))
    await runs.insert(before)
    made = commit(
        before,
        push=turn(2),
        open=None,
        turn=2,
        status="completed",
        termination_source="end",
        error=WORDS,
        state=BYTES,
        next_seq=5,
        fingerprints=BYTES,
        fingerprints_partial=True,
        wake_at=NOW + 5,
        takeovers=0,
        updated_at=NOW + 1,
        ended_at=NOW + 1,
        limited=True,
    )
    assert await runs.commit(made) is True
    assert await runs.read(before.id, bodies=True) == after(before, made)


async def test_a_commit_takes_a_lease_and_opens_a_turn(runs: RunStore) -> None:
    before = run()
    await runs.insert(before)
    made = commit(before, open=open_turn(2), turn=2, lease=LEASE, fence=1, wake_at=LEASE.until, takeovers=1)
    assert await runs.commit(made) is True
    assert await runs.read(before.id, bodies=True) == after(before, made)


async def test_what_a_commit_does_not_mention_stays(runs: RunStore) -> None:
    before = full_run()
    await runs.insert(before)
    made = commit(before)
    assert await runs.commit(made) is True
    assert await runs.read(before.id, bodies=True) == after(before, made)


async def test_what_a_commit_sets_to_none_is_gone(database: Database) -> None:
    before = full_run()
    await database.runs.insert(before)
    gone = dict.fromkeys(("lease", "open", "wake_at", "termination_source", "error", "ended_at", "user"))
    made = commit(before, **gone)
    assert await database.runs.commit(made) is True
    assert await database.runs.read(before.id, bodies=True) == after(before, made)
    assert await database.runs.due(NOW * 2, None, 10) == []
    stored = await database.raw["workflow_runs"].find_one({})
    assert set(gone) & set(stored) == set()


async def test_commits_build_on_one_another(runs: RunStore) -> None:
    before = run(tail=())
    await runs.insert(before)
    for number in range(1, 20):
        made = commit(before, push=turn(number), turn=number, state=b"state %d" % number)
        assert await runs.commit(made) is True
        before = after(before, made)
    assert await runs.read(before.id, bodies=True) == before


@pytest.mark.parametrize(
    "filters",
    [
        {"revision": 6},
        {"revision": 8},
        {"run_id": "f" * 24},
        {"fence": 3},
        {"fence": 5},
        {"match_lease": True, "lease": None},
        {"match_lease": True, "lease": Lease("another", LEASE.until)},
        {"match_lease": True, "lease": Lease(LEASE.owner, LEASE.until + 1)},
    ],
    ids=repr,
)
async def test_a_commit_that_does_not_match_changes_nothing(runs: RunStore, filters: dict[str, Any]) -> None:
    before = full_run()
    await runs.insert(before)
    made = replace(commit(before, push=turn(3, reply=BIG), open=None, lease=None, wake_at=None), **filters)
    assert await runs.commit(made) is False
    assert await runs.read(before.id, bodies=True) == before
    assert [found.number for found in await runs.turn_heads(before.id)] == []
    assert await runs.due(NOW * 2, None, 10) == [(before.wake_at, before.id)]


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"fence": 4},
        {"match_lease": True, "lease": LEASE},
        {"fence": 4, "match_lease": True, "lease": LEASE},
        {"lease": Lease("another", 0.0)},  # only told, not to be matched
    ],
    ids=repr,
)
async def test_a_commit_matches_the_run_as_it_was_read(runs: RunStore, filters: dict[str, Any]) -> None:
    before = full_run()
    await runs.insert(before)
    made = replace(commit(before, push=turn(3), open=None), **filters)
    assert await runs.commit(made) is True
    assert await runs.read(before.id, bodies=True) == after(before, made)


async def test_a_commit_can_ask_that_there_is_no_lease(runs: RunStore) -> None:
    free, leased = run(), run(lease=LEASE)
    for before in (free, leased):
        await runs.insert(before)
    filters = {"match_lease": True, "lease": None}
    assert await runs.commit(commit(free, filters=filters)) is True
    assert await runs.commit(commit(leased, filters=filters)) is False


async def test_a_commit_that_is_sent_again_does_not_match(runs: RunStore) -> None:
    before = run()
    await runs.insert(before)
    made = commit(before, push=turn(2))
    assert [await runs.commit(made), await runs.commit(made)] == [True, False]
    assert await runs.read(before.id, bodies=True) == after(before, made)


@pytest.mark.parametrize("name", ["input", "events", "reply", "state"])
async def test_readers_do_not_notice_that_a_commit_stores_a_big_body_apart(runs: RunStore, name: str) -> None:
    before = run()
    await runs.insert(before)
    opened = commit(before, open=open_turn(2, **({name: BIG} if name in ("input", "events") else {})), turn=2)
    assert await runs.commit(opened) is True
    during = after(before, opened)
    assert await runs.read(before.id, bodies=True) == during
    assert await runs.read(before.id) == replace(
        during, tail=(replace(turn(1), input=b"", events=b"", reply=None, state=None),)
    )
    closed = commit(during, push=turn(2, **{name: BIG}), open=None)
    assert await runs.commit(closed) is True
    assert await runs.read(before.id, bodies=True) == after(during, closed)


async def test_a_commit_with_big_bodies_can_be_sent_again(runs: RunStore) -> None:
    """After a lost reply; its bodies are there already."""
    before = run()
    await runs.insert(before)
    lost = replace(commit(before, push=turn(2, reply=BIG)), revision=99)
    assert await runs.commit(lost) is False
    assert await runs.commit(replace(lost, revision=before.revision)) is True
    assert await runs.read(before.id, bodies=True) == after(before, lost)


@pytest.mark.parametrize("words", [WORDS, "", "$", ".", "a\x00b", "\U0010ffff"])
async def test_texts_of_users_survive(runs: RunStore, words: str) -> None:
    before = run(user=words)
    await runs.insert(before)
    commands = (replace(turn(1).commands[0], key=words),)
    made = commit(before, push=turn(2, commands=commands), status=words)
    assert await runs.commit(made) is True
    assert await runs.read(before.id, bodies=True) == after(before, made)


async def test_of_many_commits_on_one_revision_one_wins(database: Database, another: Database) -> None:
    before = run(tail=())
    await database.runs.insert(before)
    for number in range(1, 6):
        made = [commit(before, push=turn(number, reply=new_id().encode())) for _ in range(12)]
        stores = [database.runs, another.runs] * 6
        won = await asyncio.gather(*(store.commit(one) for store, one in zip(stores, made, strict=True)))
        assert sorted(won) == [False] * 11 + [True]
        before = after(before, made[won.index(True)])
        assert await another.runs.read(before.id, bodies=True) == before


async def test_tasks_that_insist_on_one_run_lose_no_commit(database: Database, another: Database) -> None:
    """Each reads and commits until it has won its share: every revision is one commit, every commit one turn."""
    stored = run(tail=(), turn=0, revision=0)
    await database.runs.insert(stored)

    async def insist(store: RunStore, name: int) -> list[int]:
        mine: list[int] = []
        while len(mine) < 5:
            found = await store.read(stored.id)
            assert found is not None
            number = found.turn + 1
            if await store.commit(commit(found, push=turn(number, reply=b"%d" % name), turn=number)):
                mine.append(number)
        return mine

    names = range(8)
    won = await asyncio.gather(*(insist((database.runs, another.runs)[name % 2], name) for name in names))
    found = await database.runs.read(stored.id, bodies=True)
    assert found is not None
    owners = {number: b"%d" % name for name, numbers in zip(names, won, strict=True) for number in numbers}
    assert (found.revision, found.turn) == (40, 40)
    assert [(closed.number, closed.reply) for closed in found.tail] == sorted(owners.items())


async def test_commits_of_many_runs_at_once_each_find_their_own(database: Database, another: Database) -> None:
    stored: list[Run] = [run(tail=()) for _ in range(30)]
    for one in stored:
        await database.runs.insert(one)
    for number in range(1, 4):
        made = [commit(one, push=turn(number), turn=number) for one in stored]
        late = [replace(one, revision=one.revision - 1) for one in made[::3]]  # of a revision that is gone
        stores = [(database.runs, another.runs)[place % 2] for place in range(len(made) + len(late))]
        sent = zip(stores, [*made, *late], strict=True)
        won = await asyncio.gather(*(store.commit(one) for store, one in sent))
        assert won == [True] * len(made) + [False] * len(late)
        stored = [after(before, one) for before, one in zip(stored, made, strict=True)]
    assert [await another.runs.read(one.id, bodies=True) for one in stored] == stored
