"""Secrets of workspaces as they are stored: by workspace and name, and never another workspace's."""

from __future__ import annotations

import asyncio

import pytest

from app.adapters.mongo.database import Database
from app.ports import SecretStore, StoredSecret
from tests.conformance.samples import BYTES, NOW, new_id


@pytest.fixture
def secrets(database: Database) -> SecretStore:
    return database.secrets


def secret(workspace: str, name: str = "token", sealed: bytes = BYTES, updated_at: float = NOW) -> StoredSecret:
    return StoredSecret(workspace=workspace, name=name, sealed=sealed, updated_at=updated_at)


async def test_a_secret_is_read_as_it_was_put(secrets: SecretStore) -> None:
    ours = new_id()
    await secrets.put(secret(ours))
    assert await secrets.read(ours, ["token"]) == {"token": BYTES}
    assert list(await secrets.list(ours)) == [secret(ours)]


async def test_the_last_that_was_put_is_there_once(secrets: SecretStore) -> None:
    ours = new_id()
    for number in range(3):
        await secrets.put(secret(ours, sealed=b"%d" % number, updated_at=NOW + number))
    assert list(await secrets.list(ours)) == [secret(ours, sealed=b"2", updated_at=NOW + 2)]


async def test_of_many_at_once_one_stays_whole(secrets: SecretStore, another: Database) -> None:
    ours = new_id()
    stores = [secrets, another.secrets] * 8
    puts = [secret(ours, sealed=b"%d" % at, updated_at=NOW + at) for at in range(len(stores))]
    await asyncio.gather(*(store.put(one) for store, one in zip(stores, puts, strict=True)))
    (found,) = await secrets.list(ours)
    assert found in puts


async def test_names_are_listed_in_order_and_only_those_that_are_asked_for_are_read(secrets: SecretStore) -> None:
    ours = new_id()
    for name in ("b", "a", "B", "_", "a-1"):
        await secrets.put(secret(ours, name, name.encode()))
    assert [one.name for one in await secrets.list(ours)] == ["B", "_", "a", "a-1", "b"]
    assert await secrets.read(ours, ["a", "nothing", "B", "a"]) == {"a": b"a", "B": b"B"}
    assert await secrets.read(ours, []) == {}


async def test_nothing_of_another_workspace_is_read_listed_or_deleted(secrets: SecretStore) -> None:
    ours, other = new_id(), new_id()
    await secrets.put(secret(ours, sealed=b"ours"))
    await secrets.put(secret(other, "more", b"other"))
    assert await secrets.read(other, ["token", "more"]) == {"more": b"other"}
    assert [one.name for one in await secrets.list(other)] == ["more"]
    assert await secrets.delete(other, "token") is False
    assert await secrets.read(ours, ["token"]) == {"token": b"ours"}


async def test_a_secret_is_deleted_once(secrets: SecretStore) -> None:
    ours = new_id()
    await secrets.put(secret(ours))
    assert [await secrets.delete(ours, "token") for _ in range(2)] == [True, False]
    assert list(await secrets.list(ours)) == []
