"""What a turn costs the database: the commands between request and reply, after it, and when nothing happens.

The app is in this process, over the embedded database, without its background work: the sweep and the poll of followers
would send their own commands in between. One sweep is made by hand where it is its cost that matters.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from msgspec import structs

from app import bootstrap
from app.adapters.clock import SystemClock
from app.adapters.embedded import EmbeddedMongo
from app.api.app import create_app
from app.services.keys import Keys
from app.services.sweep import Sweep
from app.services.world import World
from app.settings import Settings
from tests.conformance.listening import WRITES, Commands, listened
from tests.conformance.samples import NOW, SetClock
from tests.system import graphs

Json = dict[str, Any]
TURNS: Final = 50
REPLY: Final = "— reply —"
LATER: Final = ["find workflow_runs", "update workflow_runs", REPLY]
FIRST: Final = ["find workflows", "insert workflow_runs", REPLY]


class Counted:
    """An app whose commands and replies are noted in their order."""

    def __init__(self, app: Any, world: World, commands: Commands, key: str) -> None:
        self.world = world
        self.commands = commands
        self.workflow_id = ""
        self._app = app
        headers = {"Authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(self._noting)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://counted.test", headers=headers)

    async def _noting(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Json) -> None:
            if message["type"] == "http.response.start":
                self.commands.seen.append((REPLY, {REPLY: ""}))
            await send(message)

        await self._app(scope, receive, sending)

    async def turn(self, run_id: str | None = None, key: str | None = None, **given: Any) -> httpx.Response:
        """A turn of the workflow. Forgets the commands before it."""
        self.commands.seen.clear()
        body: Json = {"run_input": given} if run_id is None else {"run_id": run_id, "run_input": given}
        headers = {} if key is None else {"Idempotency-Key": key}
        path = f"/v1/workflows/{self.workflow_id}/execute"
        reply = await self.http.post(path, json=body, headers=headers)
        assert reply.status_code == 200, reply.text
        return reply

    async def settled(self) -> list[str]:
        """All commands of the last turn, those after its reply included."""
        await asyncio.gather(*self.world.tasks)
        return [name.strip() for name in self.commands.names()]

    async def run(self, key: str | None = None) -> str:
        """A new run, in its first turn; its id."""
        return str((await self.turn(key=key)).json()["run_id"])


@asynccontextmanager
async def counting(uri: str, folder: Path) -> AsyncIterator[Counted]:
    """Over a database of its own, with a workflow."""
    async with listened(uri, f"counted_{secrets.token_hex(6)}", SystemClock()) as (database, commands):
        settings = Settings(data_dir=folder)
        world = bootstrap.build_world(database, settings, {})
        services = bootstrap.build_services(database, settings, world)
        # The time of keys stands still, so that a key that was looked up once stays known.
        keys = Keys(database.accounts, SetClock(NOW), world.ids)
        workspace = await keys.create_workspace("ours")
        _, key = await keys.create(workspace.id, ["admin"])
        counted = Counted(create_app(replace(services, keys=keys), settings), world, commands, key)
        made = await services.workflows.create(workspace.id, "Of a test", "", graphs.asking_for_ever())
        counted.workflow_id = made.head.id
        await counted.run()  # warms the caches of keys and graphs
        try:
            yield counted
        finally:
            await world.close()
            await counted.http.aclose()


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of one embedded server for all these tests. Begun in a thread: a test's loop may be running in this one."""
    mongo = EmbeddedMongo(tmp_path_factory.mktemp("counted"))
    with ThreadPoolExecutor(1) as thread:
        try:
            yield thread.submit(asyncio.run, mongo.start()).result()
        finally:
            thread.submit(asyncio.run, mongo.stop(grace_seconds=0.0)).result()


@pytest.fixture
async def counted(uri: str, tmp_path: Path) -> AsyncIterator[Counted]:
    async with counting(uri, tmp_path) as found:
        yield found


@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "without a key"])
async def test_a_first_turn_is_a_find_and_an_insert_and_a_later_one_a_find_and_an_update(
    counted: Counted, keyed: bool
) -> None:
    run_id = await counted.run("start" if keyed else None)
    assert await counted.settled() == FIRST
    for number in range(2, TURNS + 1):
        reply = await counted.turn(run_id, f"k{number}" if keyed else None, message=f"answer {number}")
        assert reply.json()["turn_number"] == number
        seen = await counted.settled()
        assert seen[: seen.index(REPLY) + 1] == LATER
    stored = await counted.world.runs.read(run_id, bodies=True)
    assert stored is not None and max(turn.size for turn in stored.tail) < 8 * 1024


async def test_archiving_comes_after_the_reply_and_takes_three_operations_for_eight_turns(counted: Counted) -> None:
    run_id = await counted.run()
    archiving = []
    for number in range(2, TURNS + 1):
        await counted.turn(run_id, message=f"answer {number}")
        seen = await counted.settled()
        archiving += seen[seen.index(REPLY) + 1 :]
    assert 0 < len(archiving) <= 3 * TURNS / 8, archiving


async def test_every_write_of_a_turn_and_of_archiving_is_journaled_by_a_majority(counted: Counted) -> None:
    run_id = await counted.run("start")
    writes = list(counted.commands.seen)
    for number in range(2, 20):
        await counted.turn(run_id, message=f"answer {number}")
        await counted.settled()
        writes += counted.commands.seen
    writes = [(name, command) for name, command in writes if name in WRITES]
    assert {name for name, _ in writes} == {"insert", "update"}
    assert all(dict(command["writeConcern"]) == {"w": "majority", "j": True} for _, command in writes)


async def test_a_replay_adds_reads_and_writes_nothing(counted: Counted) -> None:
    run_id = await counted.run("start")
    replies = {}
    for number in range(2, 20):  # the older ones are archived by then
        replies[number] = (await counted.turn(run_id, f"k{number}", message=f"answer {number}")).content
        await counted.settled()
    for number, stored in replies.items():
        again = await counted.turn(run_id, f"k{number}", message=f"answer {number}")
        assert (again.content, again.headers["Idempotency-Replayed"]) == (stored, "true")
        names = {name.split()[0] for name in await counted.settled() if name != REPLY}
        assert names == {"find"}


async def test_a_replayed_start_leaves_everything_stored_as_it_is(counted: Counted) -> None:
    first = await counted.turn(key="start", message="hello")
    before = await counted.world.runs.read(first.json()["run_id"], bodies=True)
    again = await counted.turn(key="start", message="hello")
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    # the insert is the look-up: it fails on the key, and the stored reply is read
    assert (await counted.settled())[:2] == FIRST[:2]
    assert await counted.world.runs.read(first.json()["run_id"], bodies=True) == before
    assert await _number_of_runs(counted) == 2


async def test_paused_runs_add_nothing_to_an_idle_sweep(counted: Counted) -> None:
    sweep = Sweep(counted.world)
    counted.commands.seen.clear()
    await sweep.once()
    idle = await counted.settled()
    run = await counted.world.runs.read(await counted.run(), bodies=True)
    assert run is not None
    later = counted.world.now() + 3600
    for at in range(100):  # half of them with a deadline that is far away
        other = structs.replace(
            run, id=counted.world.ids.object_id(), number=10_000 + at, wake_at=later if at % 2 else None
        )
        await counted.world.runs.insert(other)
    counted.commands.seen.clear()
    await sweep.once()
    assert await counted.settled() == idle == ["find workflow_runs"]


async def _number_of_runs(counted: Counted) -> int:
    reply = await counted.http.get("/v1/workflow-runs")
    return int(reply.json()["total"])
