"""Lists of runs, their numbers, and their removal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database, over
from app.ports import Among, Run, RunFilter, RunStore
from tests.conformance.samples import NOW, WORKFLOW, WORKSPACE, SetClock, full_run, new_id, run, turn

OTHER = "a" * 24


def row(stored: Run) -> Run:
    """What a list shows."""
    return replace(stored, state=b"", tail=(), open=None, fingerprints=b"", start_reply=None)


async def several(runs: RunStore) -> list[Run]:
    """Newest first, beside a deleted one and one of another workspace."""
    made = [
        full_run(created_at=NOW + 4, deleted_at=None),
        run(created_at=NOW + 3, workflow_id=OTHER),
        run(created_at=NOW + 2, status="completed"),
        run(created_at=NOW + 1),
        run(created_at=NOW, status="completed", workflow_id=OTHER),
    ]
    for one in (made[2], made[0], made[4], made[1], made[3]):
        await runs.insert(one)
    await runs.insert(run(created_at=NOW + 5, deleted_at=NOW))
    await runs.insert(run(created_at=NOW + 5, workspace=OTHER))
    return made


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"workflow_id": WORKFLOW}, [0, 2, 3]),
        ({"workflow_id": OTHER}, [1, 4]),
        ({"status": "completed"}, [2, 4]),
        ({"status": "running"}, [0]),
        ({"status": "unknown"}, []),
        ({"start": NOW + 3}, [0, 1]),
        ({"end": NOW + 1}, [3, 4]),
        ({"start": NOW + 1, "end": NOW + 2}, [2, 3]),
        ({"workflow_id": WORKFLOW, "status": "completed", "start": NOW, "end": NOW + 9}, [2]),
        ({"workspace": new_id()}, []),
        ({"among": Among()}, []),
        ({"among": Among(workflows=(OTHER, new_id()))}, [1, 4]),
        ({"among": Among(workflows=(OTHER,)), "workflow_id": WORKFLOW}, []),
        ({"among": Among(workflows=(WORKFLOW, OTHER)), "status": "completed", "end": NOW}, [4]),
    ],
    ids=repr,
)
async def test_runs_are_listed_newest_first(runs: RunStore, wanted: dict[str, Any], places: list[int]) -> None:
    made = await several(runs)
    found = await runs.find(RunFilter(**{"workspace": WORKSPACE, **wanted}), 0, 10)
    assert found == ([row(made[place]) for place in places], len(places))


async def test_runs_are_listed_among_some_and_those_of_some_workflows(runs: RunStore) -> None:
    made = await several(runs)
    for among, places in (
        (Among(runs=(made[1].id, made[3].id, new_id())), [1, 3]),
        (Among(runs=(made[3].id,), workflows=(OTHER,)), [1, 3, 4]),
        (Among(runs=(made[1].id,), workflows=(OTHER,)), [1, 4]),
    ):
        wanted = RunFilter(workspace=WORKSPACE, among=among)
        assert await runs.find(wanted, 0, 10) == ([row(made[place]) for place in places], len(places))
        assert await runs.find(RunFilter(workspace=new_id(), among=among), 0, 10) == ([], 0)


@pytest.mark.parametrize(("skip", "limit", "places"), [(0, 2, [0, 1]), (2, 2, [2, 3]), (4, 2, [4]), (6, 2, [])])
async def test_a_list_comes_in_pages_with_the_total(runs: RunStore, skip: int, limit: int, places: list[int]) -> None:
    made = await several(runs)
    found = await runs.find(RunFilter(workspace=WORKSPACE), skip, limit)
    assert found == ([row(made[place]) for place in places], 5)


async def test_runs_of_one_moment_keep_their_order_over_pages(runs: RunStore) -> None:
    made = [run() for _ in range(7)]
    for one in made:
        await runs.insert(one)
    pages = [await runs.find(RunFilter(workspace=WORKSPACE), skip, 2) for skip in (0, 2, 4, 6)]
    listed = [one.id for page, _ in pages for one in page]
    assert listed == sorted((one.id for one in made), reverse=True)


async def test_a_run_is_found_by_its_number_within_its_workspace(runs: RunStore) -> None:
    stored, large = run(), run(number=2**63 - 1)
    await runs.insert(stored)
    await runs.insert(large)
    assert await runs.id_by_number(WORKSPACE, stored.number) == stored.id
    assert await runs.id_by_number(WORKSPACE, large.number) == large.id
    assert await runs.id_by_number(OTHER, stored.number) is None


@pytest.mark.parametrize("number", [0, -1, 2**63, -(2**63) - 1, 2**200])
async def test_no_run_has_a_number_that_was_never_handed_out(runs: RunStore, number: int) -> None:
    await runs.insert(run())
    assert await runs.id_by_number(WORKSPACE, number) is None


async def test_numbers_are_unique_over_processes_and_tasks(database: Database, another: Database) -> None:
    stores = [database.runs, another.runs]
    taken = await asyncio.gather(*(stores[place % 2].next_number() for place in range(2_500)))
    assert len(set(taken)) == 2_500
    assert min(taken) > 0


async def test_numbers_go_on_after_a_restart(database: Database, another: Database) -> None:
    taken = [await database.runs.next_number() for _ in range(5)] + [await another.runs.next_number() for _ in range(5)]
    assert len(set(taken)) == 10


async def test_processes_that_connect_to_a_new_database_at_once_get_different_numbers(
    uri: str | None, database: Database, clock: SetClock
) -> None:
    await database.raw["counters"].delete_many({})
    name = database.raw.name
    beginning = (over(database.client, name, clock, bulk=uri is not None) for _ in range(8))
    processes = await asyncio.gather(*beginning)
    for kind in ("runs", "workflows"):
        taken = [await getattr(process, kind).next_number() for process in processes for _ in range(3)]
        assert len(set(taken)) == 24


async def test_runs_and_workflows_count_apart(database: Database) -> None:
    runs = {await database.runs.next_number() for _ in range(3)}
    assert runs == {await database.workflows.next_number() for _ in range(3)}


async def test_a_run_is_removed_at_its_revision_only(runs: RunStore) -> None:
    stored, other = run(revision=4, start_key="key"), run(revision=4)
    await runs.insert(stored)
    await runs.insert(other)
    await runs.remove(stored.id, 3)
    assert await runs.read(stored.id, bodies=True) == stored
    await runs.remove(stored.id, 4)
    assert await runs.read(stored.id) is None
    assert await runs.read_by_start_key("key") is None
    assert await runs.read(other.id, bodies=True) == other
    await runs.remove(stored.id, 4)


async def test_a_start_key_is_free_again_once_its_run_is_removed(runs: RunStore) -> None:
    stored = run(start_key="key", tail=(turn(1),))
    await runs.insert(stored)
    await runs.remove(stored.id, stored.revision)
    again = run(start_key="key")
    await runs.insert(again)
    assert await runs.read_by_start_key("key", bodies=True) == again
