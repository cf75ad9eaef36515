"""What the stores ask of a database server: how often, how surely, and through which index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from app.adapters.mongo.database import Database
from tests.conformance.calls import CALLS, STORES, methods
from tests.conformance.listening import WRITES, Commands, listened
from tests.conformance.samples import BYTES, LEASE, NOW, SetClock, after, commit, open_turn, run, turn
from tests.stores import STORES as DATABASES

SERVERS = [name for name in DATABASES if name != "mock"]
pytestmark = pytest.mark.parametrize("uri", SERVERS, indirect=True)


@pytest.fixture
async def heard(uri: str, database: Database, clock: SetClock) -> AsyncIterator[tuple[Database, Commands]]:
    async with listened(uri, database.raw.name, clock) as (found, commands):
        yield found, commands


async def test_a_hot_read_is_one_find_and_a_commit_one_update(heard: tuple[Database, Commands]) -> None:
    database, commands = heard
    stored = run()
    await database.runs.insert(stored)
    assert commands.names() == ["insert workflow_runs"]
    commands.seen.clear()
    assert await database.runs.read(stored.id) is not None
    made = commit(stored, push=turn(2), open=None)
    assert await database.runs.commit(made) is True
    opened = commit(after(stored, made), open=open_turn(3), lease=LEASE, fence=1)
    assert await database.runs.commit(opened) is True
    assert await database.runs.renew(stored.id, 1, opened.revision + 1, LEASE, NOW + 13, NOW) is True
    assert commands.names() == ["find workflow_runs", *["update workflow_runs"] * 3]


async def test_a_hot_read_leaves_the_parts_of_closed_turns_alone(heard: tuple[Database, Commands]) -> None:
    database, commands = heard
    stored = run(tail=tuple(turn(number, events=BYTES * 250, reply=BYTES * 250) for number in range(1, 5)))
    await database.runs.insert(stored)
    commands.seen.clear()
    await database.runs.read(stored.id)
    assert commands.names() == ["find workflow_runs"]


async def test_an_archive_reads_inserts_and_pulls_in_this_order(heard: tuple[Database, Commands]) -> None:
    database, commands = heard
    stored = run(tail=tuple(turn(number) for number in range(1, 9)))
    await database.runs.insert(stored)
    commands.seen.clear()
    await database.runs.archive(stored.id, 1, 32)
    assert commands.names() == ["find workflow_runs", "insert run_turns", "update workflow_runs"]
    await database.runs.archive(stored.id, 1, 2)
    assert commands.names()[3:] == ["find workflow_runs"]


async def test_parts_are_sent_before_what_refers_to_them(heard: tuple[Database, Commands]) -> None:
    database, commands = heard
    stored = run(tail=(turn(1, reply=BYTES * 250),))
    await database.runs.insert(stored)
    await database.runs.commit(commit(stored, push=turn(2, reply=BYTES * 250)))
    assert commands.names() == [
        "insert run_parts",
        "insert workflow_runs",
        "insert run_parts",
        "update workflow_runs",
    ]


def test_the_calls_are_of_every_method_of_every_store(uri: str) -> None:
    assert [(protocol.__name__, set(calls)) for protocol, calls in STORES] == [
        (protocol.__name__, methods(protocol)) for protocol, _ in STORES
    ]


async def test_every_write_is_journaled_by_a_majority_and_every_query_has_an_index(
    heard: tuple[Database, Commands],
) -> None:
    database, commands = heard
    names = await database.raw.list_collection_names()
    indexes = {name: await database.raw[name].index_information() for name in names}
    first_fields = {name: {index["key"][0][0] for index in found.values()} for name, found in indexes.items()}
    for method, call in CALLS:
        commands.seen.clear()
        await call(database)
        for name, command in list(commands.seen):
            if name in WRITES:
                assert (method, dict(command["writeConcern"])) == (method, {"w": "majority", "j": True})
            for collection, query in _queries(name, command):
                assert _is_served(query, first_fields[collection]), (method, collection, query)


def _queries(name: str, command: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    if name == "find":
        return [(command["find"], command["filter"])]
    if name == "aggregate":
        return [(command["aggregate"], command["pipeline"][0]["$match"])]
    key = {"update": "updates", "delete": "deletes"}.get(name)
    return [(command[name], one["q"]) for one in command[key]] if key else []


def _is_served(query: Mapping[str, Any], first_fields: set[str]) -> bool:
    """Does it name the first field of an index? With an $or, or with an object for `_id`, the embedded server reads the
    whole collection nevertheless."""
    by_object = isinstance(query.get("_id"), Mapping) and not all(name.startswith("$") for name in query["_id"])
    return not by_object and "$or" not in query and bool(first_fields & set(query))
