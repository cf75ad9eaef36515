"""What was acknowledged survives `kill -9` of the database."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.adapters.embedded import EmbeddedMongo
from app.adapters.mongo.database import Database
from app.ports import Run, StoreUnavailableError
from tests.conformance.killing import kill
from tests.conformance.listening import opened
from tests.conformance.samples import SetClock, after, commit, run, turn

KILLS_AT = (50, 130)
COMMITS = 200


class Writers:
    """Tasks that commit turns to runs of their own and note what was acknowledged."""

    def __init__(self, database: Database) -> None:
        self._runs = database.runs
        self.acknowledged: dict[str, set[int]] = {}
        self.count = 0
        self._progress = asyncio.Event()

    async def write(self) -> None:
        """Until there are enough commits; after one in doubt it goes on from the run as it is."""
        stored = run(tail=(), turn=0, revision=0)
        await self._runs.insert(stored)
        mine = self.acknowledged.setdefault(stored.id, set())
        while self.count < COMMITS:
            number = stored.turn + 1
            made = commit(stored, push=turn(number, reply=b"r" * 500), turn=number)
            try:
                assert await self._runs.commit(made) is True
            except StoreUnavailableError:
                stored = await self._read(stored)
                continue
            mine.add(number)
            self.count += 1
            self._progress.set()
            stored = after(stored, made)

    async def _read(self, stored: Run) -> Run:
        while True:
            try:
                found = await self._runs.read(stored.id, bodies=True)
            except StoreUnavailableError:
                continue
            assert found is not None
            assert max(self.acknowledged[stored.id], default=0) <= found.turn
            return found

    async def reached(self, count: int) -> None:
        while self.count < count:
            self._progress.clear()
            await self._progress.wait()


async def test_acknowledged_commits_survive_kills_of_the_database(
    own_server: EmbeddedMongo, tmp_path: Path, clock: SetClock
) -> None:
    async with opened(await own_server.start(), clock, serverSelectionTimeoutMS=500) as database:
        writers, watch = Writers(database), asyncio.create_task(own_server.watch())
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(writers.write())
            for count in KILLS_AT:
                await writers.reached(count)
                kill(tmp_path)
        watch.cancel()
        assert sum(len(numbers) for numbers in writers.acknowledged.values()) >= COMMITS
        for run_id, numbers in writers.acknowledged.items():
            found = await database.runs.read(run_id, bodies=True)
            assert found is not None
            assert [closed.number for closed in found.tail] == list(range(1, found.turn + 1))
            assert numbers <= {closed.number for closed in found.tail}
            assert found.revision == found.turn
