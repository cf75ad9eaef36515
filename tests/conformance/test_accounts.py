"""Workspaces and API keys; a workspace's limit stands in the heads of all its workflows."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import AccountStore, DuplicateError
from tests.conformance.samples import NOW, WORDS, api_key, head, new_id, version, workspace


async def limits(database: Database, *workflow_ids: str) -> list[int | None]:
    found = [await database.workflows.head(workflow_id) for workflow_id in workflow_ids]
    return [one.workspace_limit for one in found if one is not None]


async def test_a_workspace_is_read_as_it_was_inserted(accounts: AccountStore) -> None:
    for stored in (
        workspace(),
        workspace(max_concurrent_runs=0),
        workspace(max_concurrent_runs=5, allowed_hosts=("crm.internal:80", "10.0.0.0/8")),
    ):
        await accounts.insert_workspace(stored)
        assert await accounts.workspace(stored.id) == stored
        assert await accounts.workspace_by_name(stored.name) == stored


@pytest.mark.parametrize("unknown", ["f" * 24, "", "no id", "\ud800" * 24])
async def test_there_is_no_workspace_under_an_unknown_id(accounts: AccountStore, unknown: str) -> None:
    assert await accounts.workspace(unknown) is None


async def test_there_is_no_workspace_under_an_unknown_name(accounts: AccountStore) -> None:
    await accounts.insert_workspace(workspace(name="ours"))
    assert await accounts.workspace_by_name("Ours") is None


async def test_a_name_is_used_once(accounts: AccountStore) -> None:
    first, second = workspace(), workspace()
    await accounts.insert_workspace(first)
    await accounts.insert_workspace(second)
    with pytest.raises(DuplicateError) as inserting:
        await accounts.insert_workspace(workspace(name=first.name))
    with pytest.raises(DuplicateError) as renaming:
        await accounts.update_workspace(replace(second, name=first.name))
    assert (inserting.value.field, renaming.value.field) == ("name", "name")
    assert await accounts.workspace(second.id) == second


async def test_a_workspace_changes_its_name_and_limit(accounts: AccountStore) -> None:
    stored = workspace()
    await accounts.insert_workspace(stored)
    for changed in (replace(stored, name=WORDS, max_concurrent_runs=3), replace(stored, max_concurrent_runs=None)):
        await accounts.update_workspace(changed)
        assert await accounts.workspace(stored.id) == changed


async def test_a_limit_is_copied_into_the_heads_of_the_workspace_alone(database: Database) -> None:
    ours, other = workspace(), workspace()
    heads = [head(workspace=ours.id), head(workspace=ours.id), head(workspace=other.id)]
    for one in (ours, other):
        await database.accounts.insert_workspace(one)
    for stored in heads:
        await database.workflows.insert(stored, version(stored.id))
    ids = [stored.id for stored in heads]
    assert await limits(database, *ids) == [None, None, None]
    await database.accounts.update_workspace(replace(ours, max_concurrent_runs=2))
    assert await limits(database, *ids) == [2, 2, None]
    await database.accounts.update_workspace(replace(ours, max_concurrent_runs=None))
    assert await limits(database, *ids) == [None, None, None]


async def test_a_head_that_is_created_later_has_the_limit_too(database: Database) -> None:
    ours = workspace(max_concurrent_runs=2)
    await database.accounts.insert_workspace(ours)
    created = head(workspace=ours.id, workspace_limit=99)
    await database.workflows.insert(created, version(created.id))
    assert await database.workflows.head(created.id) == replace(created, workspace_limit=2)
    await database.accounts.update_workspace(replace(ours, max_concurrent_runs=7))
    assert await limits(database, created.id) == [7]


async def test_heads_created_while_the_limit_changes_have_the_last_one(database: Database, another: Database) -> None:
    """Whether the head or the limit is written first, and whichever of two limits comes last."""
    for round_ in range(6):
        ours = workspace()
        await database.accounts.insert_workspace(ours)
        heads = [head(workspace=ours.id) for _ in range(4)]
        await asyncio.gather(
            *(database.workflows.insert(stored, version(stored.id)) for stored in heads),
            another.accounts.update_workspace(replace(ours, max_concurrent_runs=round_)),
            *(
                store.accounts.update_workspace(replace(ours, max_concurrent_runs=10 + limit))
                for limit, store in enumerate([database, another, another])
            ),
        )
        found = await database.accounts.workspace(ours.id)
        assert found is not None
        assert await limits(database, *(stored.id for stored in heads)) == [found.max_concurrent_runs] * 4


async def test_a_key_is_read_as_it_was_inserted(accounts: AccountStore) -> None:
    full = api_key(name=WORDS, scopes=("admin", "edit", "run", "read"), expires_at=NOW + 1, revoked_at=NOW + 2)
    for stored in (api_key(), full):
        await accounts.insert_key(stored)
        assert await accounts.key_by_digest(stored.digest) == stored
    assert await accounts.key_by_digest("unknown") is None


async def test_a_digest_is_used_once(accounts: AccountStore) -> None:
    stored = api_key()
    await accounts.insert_key(stored)
    with pytest.raises(DuplicateError) as raised:
        await accounts.insert_key(api_key(digest=stored.digest))
    assert raised.value.field == "digest"
    assert await accounts.key_by_digest(stored.digest) == stored


async def test_the_keys_of_a_workspace_are_listed_oldest_first(accounts: AccountStore) -> None:
    ours = new_id()
    made = [api_key(workspace=ours, created_at=NOW + at) for at in range(3)]
    for stored in (made[2], made[0], made[1], api_key()):
        await accounts.insert_key(stored)
    assert await accounts.keys(ours) == made
    assert await accounts.keys(new_id()) == []


async def test_a_key_is_revoked(accounts: AccountStore) -> None:
    stored, other = api_key(), api_key()
    for one in (stored, other):
        await accounts.insert_key(one)
    assert await accounts.revoke_key(stored.id, NOW + 9) is True
    assert await accounts.key_by_digest(stored.digest) == replace(stored, revoked_at=NOW + 9)
    assert await accounts.key_by_digest(other.digest) == other


@pytest.mark.parametrize("unknown", ["f" * 24, "", "no id", "\ud800" * 24])
async def test_an_unknown_key_is_not_revoked(accounts: AccountStore, unknown: str) -> None:
    assert await accounts.revoke_key(unknown, NOW) is False
