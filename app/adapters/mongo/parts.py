"""Bodies of turns over 64 KiB: written first, under the id of the commit that will refer to them.

In a turn's document such a body is `{"commit_id": …, "k": …}`. A commit that is lost leaves parts that nothing refers to;
the review removes them after an hour, raising the run's revision first so that no delayed commit can refer to them later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bson import ObjectId
from pymongo.errors import BulkWriteError

from app.adapters.mongo.mapping import BODIES, Doc, turn_doc
from app.ports import Turn

PART_BYTES = 64 * 1024
REVIEW_SECONDS = 3_600.0
AGAIN_SECONDS = 86_400.0  # what may stop being used later is looked at again
BATCH = 50
DUPLICATE = 11000


class Parts:
    """The parts of one database."""

    def __init__(self, database: Any) -> None:
        self._parts = database["run_parts"]
        self._runs = database["workflow_runs"]
        self._turns = database["run_turns"]

    async def split(self, run_id: ObjectId, commit_id: str, turns: Iterable[Turn], now: float) -> dict[int, Doc]:
        """The turns' documents by number, their large bodies stored apart."""
        docs = {turn.number: turn_doc(turn) for turn in turns}
        parts: list[Doc] = []
        for doc in docs.values():
            for name in BODIES:
                body = doc.get(name)
                if isinstance(body, bytes) and len(body) > PART_BYTES:
                    reference = {"commit_id": commit_id, "k": len(parts)}
                    part = {"_id": reference, "run": run_id, "body": body, "created_at": now}
                    parts.append({**part, "review_at": now + REVIEW_SECONDS})
                    doc[name] = reference
        if parts:
            await self._insert(parts)
        return docs

    async def _insert(self, parts: list[Doc]) -> None:
        """Those that are there are from an earlier try of the same write, with the same bodies."""
        try:
            await self._parts.insert_many(parts, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            known = all(one["code"] == DUPLICATE for one in details.get("writeErrors", ()))
            if not known or details.get("writeConcernErrors"):
                raise

    async def fill(self, turns: Iterable[Doc]) -> bool:
        """Puts the bodies back in place. False: one is missing, so the reader must read the run again."""
        wanted = [(doc, name) for doc in turns for name in BODIES if isinstance(doc.get(name), dict)]
        if not wanted:
            return True
        ids = [doc[name] for doc, name in wanted]
        found = {_key(part["_id"]): part["body"] async for part in self._parts.find({"_id": {"$in": ids}})}
        for doc, name in wanted:
            if _key(doc[name]) not in found:
                return False
            doc[name] = found[_key(doc[name])]
        return True

    async def review(self, now: float) -> int:
        """Looks at some parts that are due for it. How many."""
        due = {"review_at": {"$gt": 0, "$lte": now}}
        found = [part async for part in self._parts.find(due, {"run": 1}).sort("review_at", 1).limit(BATCH)]
        for part in found:
            # The revision before the look: a commit in between, which may refer to the part, then wins over the removal.
            run = await self._runs.find_one({"_id": part["run"]}, {"revision": 1})
            if await self._is_used(part["run"], part["_id"]):
                again = {"$set": {"review_at": now + AGAIN_SECONDS}}
                await self._parts.update_one({"_id": part["_id"]}, again)
            elif run is None or await self._raise_revision(run):
                await self._parts.delete_one({"_id": part["_id"]})
        return len(found)

    async def _is_used(self, run_id: ObjectId, reference: Doc) -> bool:
        """In this order: the archive is written before the pull from the tail."""
        places = [{f"{place}.{name}": reference} for place in ("open", "tail") for name in BODIES]
        if await self._runs.find_one({"_id": run_id, "$or": places}, {"_id": 1}):
            return True
        bodies = [{name: reference} for name in BODIES]
        return await self._turns.find_one({"run": run_id, "$or": bodies}, {"_id": 1}) is not None

    async def _raise_revision(self, run: Doc) -> bool:
        """A commit that was delayed until now will find another revision. True: nothing can refer to the part any more."""
        raised = await self._runs.update_one(
            {"_id": run["_id"], "revision": run["revision"]}, {"$inc": {"revision": 1}}
        )
        return bool(raised.matched_count)

    async def purge(self, run_id: ObjectId) -> None:
        await self._parts.delete_many({"run": run_id})


def _key(reference: Doc) -> tuple[str, int]:
    return reference["commit_id"], reference["k"]
