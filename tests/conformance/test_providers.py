"""Providers of models as they are stored: by workspace and name, and never another workspace's."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import ProviderStore
from tests.conformance.samples import NOW, new_id, provider


@pytest.fixture
def providers(database: Database) -> ProviderStore:
    return database.providers


async def test_a_provider_is_read_as_it_was_put(providers: ProviderStore) -> None:
    full = provider()
    bare = replace(full, name="bare", default_model=None, embedding_model=None, last4="")
    for one in (full, bare):
        assert await providers.put(one) == one
        assert await providers.read(one.workspace, one.name) == one
    assert list(await providers.list(full.workspace)) == [bare, full]
    assert await providers.read(full.workspace, "nothing") is None


async def test_the_last_that_was_put_is_there_once_since_the_first(providers: ProviderStore) -> None:
    first = provider()
    last = provider(
        first.workspace,
        base_url="https://other.example",
        sealed=b"other",
        last4="",
        default_model=None,
        embedding_model=None,
        created_at=NOW + 9,
        updated_at=NOW + 9,
    )
    await providers.put(first)
    stored = replace(last, created_at=NOW)
    assert await providers.put(last) == stored
    assert list(await providers.list(first.workspace)) == [stored]


async def test_of_many_at_once_one_stays_whole(providers: ProviderStore, another: Database) -> None:
    ours = new_id()
    stores = [providers, another.providers] * 8
    puts = [
        provider(ours, sealed=b"%d" % at, last4=str(at), created_at=NOW + at, updated_at=NOW + at)
        for at in range(len(stores))
    ]
    await asyncio.gather(*(store.put(one) for store, one in zip(stores, puts, strict=True)))
    (found,) = await providers.list(ours)
    assert found.created_at in [one.created_at for one in puts]
    assert replace(found, created_at=found.updated_at) in puts


async def test_they_are_listed_by_name(providers: ProviderStore) -> None:
    ours = new_id()
    for name in ("b", "a", "B", "_", "a-1"):
        await providers.put(provider(ours, name=name))
    assert [one.name for one in await providers.list(ours)] == ["B", "_", "a", "a-1", "b"]


async def test_nothing_of_another_workspace_is_read_listed_or_deleted(providers: ProviderStore) -> None:
    ours, theirs = provider(), provider(name="more")
    for one in (ours, theirs):
        await providers.put(one)
    assert await providers.read(theirs.workspace, "models") is None
    assert list(await providers.list(theirs.workspace)) == [theirs]
    assert await providers.delete(theirs.workspace, "models") is False
    assert await providers.read(ours.workspace, "models") == ours


async def test_a_provider_is_deleted_once(providers: ProviderStore) -> None:
    one = provider()
    await providers.put(one)
    assert [await providers.delete(one.workspace, one.name) for _ in range(2)] == [True, False]
    assert list(await providers.list(one.workspace)) == []
