"""Versions: immutable, numbered without repetition, kept as long as they are active, new or in use."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import DuplicateError, Pinned, WorkflowStore
from tests.conformance.samples import BYTES, NOW, WORDS, head, new_id, run, version


async def with_versions(database: Database, count: int, *, active: int) -> str:
    stored = head(active_version=active, next_version=count)
    await database.workflows.insert(stored, version(stored.id, 0))
    for number in range(1, count):
        await database.workflows.insert_version(version(stored.id, number))
    return stored.id


async def numbers(workflows: WorkflowStore, workflow_id: str) -> list[int]:
    return [found.number for found in (await workflows.versions(workflow_id, 0, 1_000))[0]]


async def test_a_version_is_read_as_it_was_inserted(workflows: WorkflowStore) -> None:
    plain = version(new_id(), 3)
    full = replace(plain, number=4, format=WORDS, graph_hash=None, name=WORDS, source=BYTES * 1_000)
    for stored in (plain, full):
        await workflows.insert_version(stored)
        assert await workflows.version(stored.workflow, stored.number) == stored


@pytest.mark.parametrize("number", [1, -1, 2**63, -(2**70)])
async def test_there_is_no_version_of_another_number(workflows: WorkflowStore, number: int) -> None:
    stored = version(new_id(), 0)
    await workflows.insert_version(stored)
    assert await workflows.version(stored.workflow, number) is None
    assert await workflows.rename_version(stored.workflow, number, "name") is False
    assert await workflows.version(new_id(), 0) is None


async def test_a_version_is_written_once(workflows: WorkflowStore) -> None:
    stored = version(new_id(), 1)
    await workflows.insert_version(stored)
    with pytest.raises(DuplicateError):
        await workflows.insert_version(replace(stored, source=b"another"))
    assert await workflows.version(stored.workflow, 1) == stored


async def test_version_numbers_are_taken_once_over_processes(database: Database, another: Database) -> None:
    stored = head(next_version=5)
    await database.workflows.insert(stored, version(stored.id))
    stores = [database.workflows, another.workflows]
    taken = await asyncio.gather(*(stores[place % 2].take_version_number(stored.id) for place in range(20)))
    assert sorted(number for number in taken if number is not None) == list(range(5, 25))
    assert await database.workflows.head(stored.id) == replace(stored, next_version=25)


async def test_an_unknown_workflow_has_no_version_numbers(workflows: WorkflowStore) -> None:
    assert await workflows.take_version_number(new_id()) is None


@pytest.mark.parametrize(
    ("skip", "limit", "shown"), [(0, 10, [4, 3, 2, 1, 0]), (0, 2, [4, 3]), (2, 2, [2, 1]), (4, 2, [0]), (5, 5, [])]
)
async def test_versions_are_listed_newest_first_without_their_source(
    database: Database, skip: int, limit: int, shown: list[int]
) -> None:
    workflow_id = await with_versions(database, 5, active=0)
    await with_versions(database, 2, active=0)
    expected = [version(workflow_id, number, source=b"") for number in shown]
    assert await database.workflows.versions(workflow_id, skip, limit) == (expected, 5)


async def test_a_version_is_renamed(database: Database) -> None:
    workflow_id = await with_versions(database, 2, active=0)
    assert await database.workflows.rename_version(workflow_id, 1, WORDS) is True
    assert await database.workflows.version(workflow_id, 1) == version(workflow_id, 1, name=WORDS)
    assert await database.workflows.version(workflow_id, 0) == version(workflow_id, 0)


async def test_inactive_versions_beyond_the_newest_are_dropped(database: Database) -> None:
    workflow_id, other = await with_versions(database, 7, active=6), await with_versions(database, 7, active=6)
    assert await database.workflows.drop_versions(workflow_id, 3) == 4
    assert await numbers(database.workflows, workflow_id) == [6, 5, 4]
    assert await database.workflows.drop_versions(workflow_id, 3) == 0
    assert await numbers(database.workflows, other) == [6, 5, 4, 3, 2, 1, 0]


async def test_the_active_version_is_never_dropped(database: Database) -> None:
    workflow_id = await with_versions(database, 5, active=1)
    assert await database.workflows.drop_versions(workflow_id, 2) == 2
    assert await numbers(database.workflows, workflow_id) == [4, 3, 1]


async def test_a_version_that_a_run_refers_to_is_never_dropped(database: Database) -> None:
    """Also as a child of another workflow's run, and also of a run that has ended."""
    workflow_id = await with_versions(database, 6, active=5)
    own = run(workflow_id=workflow_id, version=1, pinned=(Pinned(workflow_id, 1, "hash"),), ended_at=NOW)
    parent = run(pinned=(Pinned(new_id(), 0, "hash"), Pinned(workflow_id, 3, "hash")))
    stranger = run(pinned=(Pinned(new_id(), 2, "hash"), Pinned(workflow_id, 5, "hash")))
    for one in (own, parent, stranger):
        await database.runs.insert(one)
    assert await database.workflows.drop_versions(workflow_id, 1) == 3
    assert await numbers(database.workflows, workflow_id) == [5, 3, 1]


async def test_versions_in_use_do_not_keep_older_ones_from_being_dropped(database: Database) -> None:
    workflow_id = await with_versions(database, 8, active=7)
    for number in (4, 5, 6):
        await database.runs.insert(run(pinned=(Pinned(workflow_id, number, "hash"),)))
    assert await database.workflows.drop_versions(workflow_id, 1) == 4
    assert await numbers(database.workflows, workflow_id) == [7, 6, 5, 4]


async def test_nothing_is_dropped_of_a_workflow_without_a_head(database: Database) -> None:
    stored = version(new_id(), 0)
    await database.workflows.insert_version(stored)
    await database.workflows.insert_version(replace(stored, number=1))
    assert await database.workflows.drop_versions(stored.workflow, 1) == 0
    assert await database.workflows.version(stored.workflow, 0) == stored
