"""Heads of workflows: found, changed under a guard, listed, and gone once deleted."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import DuplicateError, WorkflowHead, WorkflowStore
from tests.conformance.samples import NOW, WORDS, WORKSPACE, head, new_id, version

OTHER = "a" * 24


def full_head() -> WorkflowHead:
    """No field has its default but the workspace's limit, which the store fills in."""
    return head(
        name=WORDS,
        description=WORDS,
        status="archived",
        active_version=7,
        next_version=2**40,
        max_concurrent_runs=3,
        updated_at=NOW + 1 / 3,
        deleted_at=NOW + 1,
    )


async def inserted(workflows: WorkflowStore, *heads: WorkflowHead) -> None:
    for one in heads:
        await workflows.insert(one, version(one.id))


async def test_a_head_and_its_first_version_are_read_as_they_were_inserted(workflows: WorkflowStore) -> None:
    for stored in (head(), full_head()):
        first = version(stored.id)
        await workflows.insert(stored, first)
        assert await workflows.head(stored.id) == stored
        assert await workflows.head_by_number(stored.number) == stored
        assert await workflows.version(stored.id, 0) == first


@pytest.mark.parametrize("unknown", ["f" * 24, "", "no id", "\ud800" * 24])
async def test_there_is_no_head_under_an_unknown_id(workflows: WorkflowStore, unknown: str) -> None:
    assert await workflows.head(unknown) is None


async def test_workflows_are_found_by_a_part_of_their_name_whatever_its_case_and_signs(
    workflows: WorkflowStore,
) -> None:
    names = ["Sign-off", "sign it", f"Sign {WORDS}", "a+b (c) [d]{2} ^x|y\\z?"]
    heads = [head(name=name, created_at=NOW + at) for at, name in enumerate(names)]
    await inserted(workflows, *heads, head(name="Sign", workspace=OTHER))
    await workflows.update(heads[1].id, {"deleted_at": NOW})
    for part, places in (
        ("SIGN", [2, 1, 0]),
        ("sign-", [0]),
        ("ÜNÏC", [2]),
        ('$set {"$gt": 1}', [2]),
        ("A+B (C) [D]{2} ^X|Y\\Z?", [3]),
        (".", [2]),
        ("\0", []),
        ("", [3, 2, 1, 0]),
    ):
        found = await workflows.ids_named(WORKSPACE, part, 10)
        assert found == [heads[place].id for place in places], part
    assert await workflows.ids_named(WORKSPACE, "sign", 2) == [heads[2].id, heads[1].id]


@pytest.mark.parametrize("unknown", [0, -1, 2**63, -(2**70)])
async def test_there_is_no_head_under_an_unknown_number(workflows: WorkflowStore, unknown: int) -> None:
    await inserted(workflows, head())
    assert await workflows.head_by_number(unknown) is None


async def test_numbers_and_ids_of_workflows_are_used_once(workflows: WorkflowStore) -> None:
    stored = head()
    await inserted(workflows, stored)
    with pytest.raises(DuplicateError) as same_number:
        await inserted(workflows, head(number=stored.number))
    with pytest.raises(DuplicateError) as same_id:
        await inserted(workflows, head(id=stored.id))
    assert (same_number.value.field, same_id.value.field) == ("number", "_id")
    assert await workflows.head(stored.id) == stored


async def test_an_update_sets_what_it_names(workflows: WorkflowStore) -> None:
    stored, other = head(max_concurrent_runs=4), head()
    await inserted(workflows, stored, other)
    changes = {"name": WORDS, "description": "", "max_concurrent_runs": None, "active_version": 3}
    assert await workflows.update(stored.id, changes) is True
    assert await workflows.head(stored.id) == replace(stored, **changes)
    assert await workflows.head(other.id) == other


async def test_an_update_can_ask_for_the_active_version(workflows: WorkflowStore) -> None:
    stored = head(active_version=2)
    await inserted(workflows, stored)
    assert await workflows.update(stored.id, {"active_version": 9}, active_version=1) is False
    assert await workflows.head(stored.id) == stored
    assert await workflows.update(stored.id, {"active_version": 3}, active_version=2) is True
    assert await workflows.update(stored.id, {"active_version": 4}, active_version=2) is False
    assert await workflows.head(stored.id) == replace(stored, active_version=3)


async def test_the_first_version_can_be_asked_for_too(workflows: WorkflowStore) -> None:
    stored = head(active_version=1)
    await inserted(workflows, stored)
    assert await workflows.update(stored.id, {"active_version": 2}, active_version=0) is False


async def test_of_many_updates_of_one_active_version_one_wins(database: Database, another: Database) -> None:
    stored = head()
    await inserted(database.workflows, stored)
    asked = [
        (database, another)[number % 2].workflows.update(stored.id, {"active_version": number}, active_version=0)
        for number in range(1, 11)
    ]
    won = await asyncio.gather(*asked)
    assert sorted(won) == [False] * 9 + [True]
    assert await another.workflows.head(stored.id) == replace(stored, active_version=won.index(True) + 1)


async def test_a_deleted_head_can_be_read_and_refuses_updates(workflows: WorkflowStore) -> None:
    stored = head()
    await inserted(workflows, stored)
    assert await workflows.update(stored.id, {"deleted_at": NOW, "status": "deleted"}) is True
    deleted = replace(stored, deleted_at=NOW, status="deleted")
    assert await workflows.update(stored.id, {"name": "again"}) is False
    assert await workflows.update(stored.id, {"name": "again"}, active_version=0) is False
    assert await workflows.head(stored.id) == deleted
    assert await workflows.head_by_number(stored.number) == deleted


async def test_an_unknown_head_is_not_updated(workflows: WorkflowStore) -> None:
    unknown = new_id()
    assert await workflows.update(unknown, {"name": "none"}) is False
    assert await workflows.head(unknown) is None


@pytest.mark.parametrize(("skip", "limit", "places"), [(0, 10, [0, 1, 2]), (0, 2, [0, 1]), (2, 2, [2]), (4, 2, [])])
async def test_workflows_are_listed_newest_first(
    workflows: WorkflowStore, skip: int, limit: int, places: list[int]
) -> None:
    made = [head(created_at=NOW + 3), head(created_at=NOW + 2), head(created_at=NOW + 1)]
    await inserted(workflows, made[1], made[0], made[2], head(workspace=OTHER), head(deleted_at=NOW))
    assert await workflows.list(WORKSPACE, skip, limit) == ([made[place] for place in places], 3)


async def test_a_list_of_nothing_is_empty(workflows: WorkflowStore) -> None:
    assert await workflows.list(new_id(), 0, 10) == ([], 0)


async def test_numbers_of_workflows_are_unique_over_processes(database: Database, another: Database) -> None:
    stores = [database.workflows, another.workflows]
    taken = await asyncio.gather(*(stores[place % 2].next_number() for place in range(500)))
    assert len(set(taken)) == 500
