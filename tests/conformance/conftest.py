"""Fixtures of the contract of the stores: the same tests on every database of tests/stores.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.adapters.embedded import EmbeddedMongo
from app.adapters.mongo.database import Database, connect, over
from app.ports import AccountStore, RunStore, SlotStore, WorkflowStore
from tests.conformance.samples import NOW, SetClock
from tests.stores import REAL_URI, STORES, fresh_database, mock_database


@pytest.fixture(scope="session")
def embedded_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One embedded server for all tests. It is begun in a thread, because a test's loop may be running in this one."""
    mongo = EmbeddedMongo(tmp_path_factory.mktemp("embedded"))
    with ThreadPoolExecutor(1) as thread:
        try:
            yield thread.submit(asyncio.run, mongo.start()).result()
        finally:
            thread.submit(asyncio.run, mongo.stop(grace_seconds=0)).result()


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[EmbeddedMongo]:
    """An embedded server that the test may kill; it starts it itself."""
    mongo = EmbeddedMongo(tmp_path)
    yield mongo
    await mongo.stop(grace_seconds=0)


@pytest.fixture(params=STORES)
def uri(request: pytest.FixtureRequest) -> str | None:
    """Of the database that the test runs on; None: it is in this process."""
    if request.param == "mock":
        return None
    return REAL_URI if request.param == "mongodb" else str(request.getfixturevalue("embedded_uri"))


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
async def database(uri: str | None, clock: SetClock) -> AsyncIterator[Database]:
    """A fresh one."""
    if uri is None:
        yield await mock_database(clock)
    else:
        async with fresh_database(uri, clock) as found:
            yield found


@pytest.fixture
async def another(uri: str | None, database: Database, clock: SetClock) -> AsyncIterator[Database]:
    """The stores of a second process on the same database."""
    if uri is None:
        yield await over(database.client, database.raw.name, clock, bulk=False)
    else:
        other = await connect(uri, database.raw.name, clock)
        yield other
        await other.close()


@pytest.fixture
def runs(database: Database) -> RunStore:
    return database.runs


@pytest.fixture
def workflows(database: Database) -> WorkflowStore:
    return database.workflows


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    return database.accounts


@pytest.fixture
def slots(database: Database) -> SlotStore:
    return database.slots
