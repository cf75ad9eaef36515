"""What another process does between two commands of an operation, at the worst moment."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import Run
from tests.conformance.listening import Meanwhile, interrupted
from tests.conformance.samples import (
    BYTES,
    HOUR,
    NOW,
    SetClock,
    after,
    commit,
    head,
    new_id,
    open_turn,
    run,
    turn,
    version,
    workspace,
)
from tests.stores import STORES

BIG = BYTES * 250
pytestmark = pytest.mark.parametrize("uri", [name for name in STORES if name != "mock"], indirect=True)
Interrupted = tuple[Database, Meanwhile]


@pytest.fixture
async def ours(uri: str, database: Database, clock: SetClock) -> AsyncIterator[Interrupted]:
    """The stores of the process whose operations are interrupted; `database` is another's."""
    async with interrupted(uri, database.raw.name, clock) as found:
        yield found


async def limit_of(database: Database, workflow_id: str) -> int | None:
    found = await database.workflows.head(workflow_id)
    assert found is not None
    return found.workspace_limit


async def test_a_limit_set_while_a_workflow_is_created_reaches_its_head(ours: Interrupted, database: Database) -> None:
    tenant = workspace(max_concurrent_runs=1)
    created = head(workspace=tenant.id)
    await database.accounts.insert_workspace(tenant)
    stores, meanwhile = ours
    changed = replace(tenant, max_concurrent_runs=2)
    meanwhile.before("insert workflows", lambda: database.accounts.update_workspace(changed))
    await stores.workflows.insert(created, version(created.id))
    assert meanwhile.happened == ["insert workflows"]
    assert await limit_of(database, created.id) == 2


async def test_of_two_limits_set_at_once_all_heads_have_the_one_that_the_workspace_has(
    ours: Interrupted, database: Database
) -> None:
    tenant = workspace(max_concurrent_runs=1)
    created = head(workspace=tenant.id)
    await database.accounts.insert_workspace(tenant)
    await database.workflows.insert(created, version(created.id))
    stores, meanwhile = ours
    changed = replace(tenant, max_concurrent_runs=3)
    meanwhile.before("update workflows", lambda: database.accounts.update_workspace(changed))
    await stores.accounts.update_workspace(replace(tenant, max_concurrent_runs=2))
    assert meanwhile.happened == ["update workflows"]
    assert await database.accounts.workspace(tenant.id) == changed
    assert await limit_of(database, created.id) == 3


@pytest.mark.parametrize("command", ["find run_turns", "update workflow_runs"])
async def test_a_part_that_a_delayed_commit_refers_to_in_the_end_is_not_removed(
    ours: Interrupted, database: Database, command: str
) -> None:
    """The commit comes when the review has looked at the run and found the part unused."""
    stored = run()
    await database.runs.insert(stored)
    delayed = commit(stored, push=turn(2, reply=BIG))
    assert await database.runs.commit(replace(delayed, revision=9)) is False
    stores, meanwhile = ours
    meanwhile.before(command, lambda: database.runs.commit(delayed))
    assert await stores.runs.review_parts(NOW + HOUR) == 1
    assert meanwhile.happened == [command]
    assert await database.runs.read(stored.id, bodies=True) == after(stored, delayed)


@pytest.mark.parametrize("command", ["find workflow_runs", "find run_turns"])
async def test_a_part_whose_turn_is_archived_while_the_review_looks_is_not_removed(
    ours: Interrupted, database: Database, command: str
) -> None:
    stored = run(tail=(turn(1, reply=BIG), turn(2)), turn=2)
    await database.runs.insert(stored)
    stores, meanwhile = ours
    meanwhile.before(command, lambda: database.runs.archive(stored.id, 1, 32))
    assert await stores.runs.review_parts(NOW + HOUR) == 1
    assert meanwhile.happened == [command]
    assert await database.runs.turn(stored.id, 1) == stored.tail[0]


async def test_a_turn_that_is_being_archived_is_in_the_run_until_it_is_elsewhere(
    ours: Interrupted, database: Database
) -> None:
    stored = run(tail=(turn(1), turn(2), turn(3)), turn=3)
    await database.runs.insert(stored)
    stores, meanwhile = ours
    seen: list[Run | None] = []

    async def looks() -> None:
        seen.append(await database.runs.read(stored.id, bodies=True))
        assert [await database.runs.turn(stored.id, number) for number in (1, 2, 3)] == [*stored.tail[:2], None]

    meanwhile.before("update workflow_runs", looks)
    await stores.runs.archive(stored.id, 1, 32)
    assert meanwhile.happened == ["update workflow_runs"]
    assert seen == [stored]
    assert await database.runs.read(stored.id, bodies=True) == replace(stored, tail=stored.tail[2:])


async def test_a_turn_that_is_closed_while_others_are_archived_stays_in_the_run(
    ours: Interrupted, database: Database
) -> None:
    stored = run(tail=(turn(1), turn(2), turn(3)), turn=3)
    await database.runs.insert(stored)
    made = commit(stored, push=turn(4), turn=4)
    stores, meanwhile = ours
    meanwhile.before("update workflow_runs", lambda: database.runs.commit(made))
    await stores.runs.archive(stored.id, 1, 32)
    assert meanwhile.happened == ["update workflow_runs"]
    assert await database.runs.read(stored.id, bodies=True) == replace(after(stored, made), tail=(turn(3), turn(4)))


async def test_a_reader_whose_part_is_gone_reads_the_run_again(ours: Interrupted, database: Database) -> None:
    stored = run(open=open_turn(2, events=BIG), turn=2)
    await database.runs.insert(stored)
    made = commit(stored, push=turn(2, events=BIG, reply=BIG), open=None)

    async def closes_the_turn() -> None:
        assert await database.runs.commit(made) is True
        await database.raw["run_parts"].delete_one({"_id": f"{stored.commit_id}:0"})

    stores, meanwhile = ours
    meanwhile.before("find run_parts", closes_the_turn)
    assert await stores.runs.read(stored.id, bodies=True) == after(stored, made)
    assert meanwhile.happened == ["find run_parts"]


async def test_an_insert_whose_key_is_taken_meanwhile_leaves_parts_that_are_removed(
    ours: Interrupted, database: Database
) -> None:
    first, second = run(start_key="key"), run(start_key="key", tail=(turn(1, reply=BIG),))
    stores, meanwhile = ours
    meanwhile.before("insert workflow_runs", lambda: database.runs.insert(first))
    with pytest.raises(Exception, match="start_key"):
        await stores.runs.insert(second)
    assert await database.runs.read_by_start_key("key", bodies=True) == first
    assert await database.runs.review_parts(NOW + HOUR) == 1
    assert await database.raw["run_parts"].count_documents({}) == 0


async def test_a_place_that_is_extended_while_it_is_taken_over_stays_its_owners(
    ours: Interrupted, database: Database
) -> None:
    owner, late = new_id(), new_id()
    assert await database.slots.take("scope", 1, owner, 1, NOW + 1, NOW) is True
    stores, meanwhile = ours
    meanwhile.before("update slots", lambda: database.slots.extend(owner, 1, NOW + 60))
    assert await stores.slots.take("scope", 1, late, 1, NOW + 60, NOW + 2) is False
    assert meanwhile.happened == ["update slots"]
    assert [str(slot["run"]) async for slot in database.raw["slots"].find()] == [owner]


async def test_a_version_number_that_is_taken_meanwhile_is_not_given_again(
    ours: Interrupted, database: Database
) -> None:
    stored = head(next_version=5)
    await database.workflows.insert(stored, version(stored.id))
    taken: list[int | None] = []

    async def takes() -> None:
        taken.append(await database.workflows.take_version_number(stored.id))

    stores, meanwhile = ours
    meanwhile.before("update workflows", takes)
    taken.append(await stores.workflows.take_version_number(stored.id))
    assert taken == [5, 6]
