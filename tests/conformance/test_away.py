"""A database that is away: every method says so, soon, in the words of the ports."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from app.adapters.embedded import EmbeddedMongo
from app.adapters.mongo.database import Database, connect
from app.ports import StoreUnavailableError
from tests.conformance.calls import CALLS, Call
from tests.conformance.killing import freeze, kill
from tests.conformance.listening import opened
from tests.conformance.samples import BYTES, SetClock, after, commit, run, turn
from tests.stores import fresh_database

SECONDS = 10.0  # two tries of a read, on a busy machine
IMPATIENT: dict[str, Any] = {"serverSelectionTimeoutMS": 200, "socketTimeoutMS": 500}


async def outcome(call: Call, database: Database) -> str:
    try:
        await call(database)
    except Exception as error:
        return type(error).__name__
    return "no error"


async def until_it_answers(database: Database) -> None:
    async with asyncio.timeout(SECONDS):
        while await outcome(Database.ping, database) != "no error":  # noqa: ASYNC110  (another process)
            await asyncio.sleep(0.02)


async def test_every_method_says_that_the_database_is_away(
    own_server: EmbeddedMongo, tmp_path: Path, clock: SetClock
) -> None:
    async with opened(await own_server.start(), clock, **IMPATIENT) as database:
        kill(tmp_path)
        calls = [(name, call) for name, call in CALLS if not name.endswith("next_number")]
        outcomes = await asyncio.gather(*(outcome(call, database) for _, call in calls))
        expected = [(name, "StoreUnavailableError") for name, _ in calls]
        assert list(zip((name for name, _ in calls), outcomes, strict=True)) == expected
        assert await outcome(Database.ping, database) == "StoreUnavailableError"


async def test_numbers_that_were_fetched_before_are_handed_out_all_the_same(
    own_server: EmbeddedMongo, tmp_path: Path, clock: SetClock
) -> None:
    async with opened(await own_server.start(), clock, **IMPATIENT) as database:
        kill(tmp_path)
        for next_number in (database.runs.next_number, database.workflows.next_number):
            assert len({await next_number() for _ in range(1_000)}) == 1_000
            with pytest.raises(StoreUnavailableError):
                await next_number()


async def test_it_takes_a_few_seconds_to_say_so(own_server: EmbeddedMongo, tmp_path: Path, clock: SetClock) -> None:
    uri = await own_server.start()
    async with opened(uri, clock) as database:
        kill(tmp_path)
        began = time.monotonic()
        reading, committing = database.runs.read("f" * 24), database.runs.commit(commit(run()))
        outcomes = await asyncio.gather(reading, committing, connect(uri, "antiphon", clock), return_exceptions=True)
        assert [type(error) for error in outcomes] == [StoreUnavailableError] * 3
        assert time.monotonic() - began < SECONDS


async def test_a_closed_client_says_that_the_database_is_away(embedded_uri: str, clock: SetClock) -> None:
    async with fresh_database(embedded_uri, clock) as kept:
        database = await connect(embedded_uri, kept.raw.name, clock)
        await database.close()
        with pytest.raises(StoreUnavailableError):
            await database.runs.read("f" * 24)


async def test_the_stores_go_on_once_the_database_is_back(
    own_server: EmbeddedMongo, tmp_path: Path, clock: SetClock
) -> None:
    async with opened(await own_server.start(), clock, **IMPATIENT) as database:
        stored = run()
        await database.runs.insert(stored)
        kill(tmp_path)
        with pytest.raises(StoreUnavailableError):
            await database.runs.read(stored.id)
        await own_server.start()
        await until_it_answers(database)
        assert await database.runs.read(stored.id, bodies=True) == stored
        made = commit(stored, push=turn(2, reply=BYTES * 250))
        assert await database.runs.commit(made) is True
        assert await database.runs.read(stored.id, bodies=True) == after(stored, made)


async def test_the_late_commit_of_a_frozen_database_is_found_by_its_id(
    own_server: EmbeddedMongo, tmp_path: Path, clock: SetClock
) -> None:
    """Its caller was told that nothing is known about it."""
    async with opened(await own_server.start(), clock, **IMPATIENT) as database:
        stored = run()
        await database.runs.insert(stored)
        made = commit(stored, push=turn(2))
        frozen = freeze(tmp_path)
        with pytest.raises(StoreUnavailableError):
            await database.runs.commit(made)
        frozen.resume()
        await until_it_answers(database)
        await database.runs.commit(made)  # sent again, it is the same commit: one of the two has matched
        assert await database.runs.read(stored.id, bodies=True) == after(stored, made)
