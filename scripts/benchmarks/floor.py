"""The floor: one find and one majority, journaled, filtered update of a document of the same size, bare through the driver.

A process of its own. It copies a run that the server wrote, and works on the copies: the find leaves the same bodies in
the database, the update writes the same fields with as many bytes as a turn does. The collection has no indexes; a second
one has those of the runs, which tells what they cost.
"""

import asyncio
import itertools
import json
import subprocess
import sys
import time
from typing import Any, Final

import uvloop
from bson import ObjectId, encode
from motor.motor_asyncio import AsyncIOMotorClient

from app.adapters.mongo.database import OPTIONS
from app.adapters.mongo.documents import WorkflowRunDocument
from app.adapters.mongo.mapping import WITHOUT_TAIL_BODIES
from scripts.benchmarks.site import DATABASE, Site
from scripts.benchmarks.taken import Taken

POOL: Final = 64
_written: Final = ("commit_id", "turn", "status", "state", "next_seq", "takeovers", "updated_at", "fingerprints")


class Floor:
    """The process, as seen by who measures."""

    def __init__(self, site: Site, run_id: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.benchmarks.floor", site.mongo_uri, run_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.document_bytes: int = self._line()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def measure(self, in_flight: int, seconds: float, indexed: bool = False) -> Taken:
        """Latencies of the pair of operations."""
        assert self._process.stdin is not None
        print(json.dumps([indexed, in_flight, seconds]), file=self._process.stdin, flush=True)
        return Taken(**self._line())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class _Copies:
    """Copies of one document, each with the revision that it has."""

    def __init__(self, collection: Any, original: dict[str, Any]) -> None:
        self._collection = collection
        self._original = original
        self._revisions: dict[ObjectId, int] = {ObjectId(): 0 for _ in range(POOL)}

    async def prepare(self, indexes: list[Any]) -> None:
        await self._collection.drop()
        if indexes:
            await self._collection.create_indexes(indexes)
        copies = [
            {**self._original, "_id": found, "revision": 0, "number": number, "start_key": str(number)}
            for number, found in enumerate(self._revisions)
        ]
        await self._collection.insert_many(copies)

    async def once(self, which: ObjectId) -> None:
        await self._collection.find_one({"_id": which}, WITHOUT_TAIL_BODIES)
        revision = self._revisions[which]
        self._revisions[which] = revision + 1
        changes = {name: self._original[name] for name in _written if name in self._original}
        changes |= {"revision": revision + 1, "tail.0": self._original["tail"][-1]}
        done = await self._collection.update_one({"_id": which, "revision": revision}, {"$set": changes})
        assert done.matched_count == 1

    async def measure(self, in_flight: int, seconds: float) -> dict[str, Any]:
        found: list[float] = []
        began, cpu = time.perf_counter(), time.process_time()

        async def work(share: list[ObjectId]) -> None:
            for which in itertools.cycle(share):
                at = time.perf_counter()
                if at >= began + seconds:
                    return
                await self.once(which)
                found.append(time.perf_counter() - at)

        ids = list(self._revisions)
        await asyncio.gather(*(work(ids[at::in_flight]) for at in range(in_flight)))
        spent = time.process_time() - cpu
        return {"latencies": found, "seconds": time.perf_counter() - began, "cpu_seconds": spent}


async def _serve(uri: str, run_id: str) -> None:
    client: Any = AsyncIOMotorClient(uri, **OPTIONS)
    original = await client[DATABASE]["workflow_runs"].find_one({"_id": ObjectId(run_id)})
    bare, indexed = (_Copies(client[DATABASE][name], original) for name in ("floor", "floor_indexed"))
    await bare.prepare([])
    await indexed.prepare(WorkflowRunDocument.Settings.indexes)
    print(len(encode(original)), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        with_indexes, in_flight, seconds = json.loads(line)
        print(json.dumps(await (indexed if with_indexes else bare).measure(in_flight, seconds)), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1], sys.argv[2]))
