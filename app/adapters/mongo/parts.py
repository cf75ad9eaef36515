"""Bodies of turns over 64 KiB: written first, under the id of the commit that will refer to them.

In a turn's document such a body is the text `commit_id:k`, the `_id` of its part. A commit that is lost leaves parts that
nothing refers to; the review removes them after an hour, raising the run's revision first so that no delayed commit can
refer to them later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bson import ObjectId

from app.adapters.mongo.failures import insert_missing
from app.adapters.mongo.mapping import BODIES, Doc, key_of, turn_doc
from app.ports import Turn

PART_BYTES = 64 * 1024
REVIEW_SECONDS = 3_600.0
AGAIN_SECONDS = 86_400.0  # what may stop being used later is looked at again
BATCH = 50


class Parts:
    """The parts of one database."""

    def __init__(self, database: Any) -> None:
        self._parts = database["run_parts"]
        self._runs = database["workflow_runs"]
        self._turns = database["run_turns"]

    async def split(self, run_id: ObjectId, commit_id: str, turns: Iterable[Turn], now: float) -> dict[int, Doc]:
        """The turns' documents by number, their large bodies stored apart."""
        turns = list(turns)
        docs = {turn.number: turn_doc(turn) for turn in turns}
        parts: list[Doc] = []

        def store(part_id: str, number: int, body: bytes) -> None:
            part = {"_id": part_id, "run": run_id, "turn": number, "body": body, "created_at": now}
            parts.append({**part, "review_at": now + REVIEW_SECONDS})

        for turn in turns:
            for batch in turn.batches:
                if batch.id.startswith(f"{commit_id}:"):
                    store(batch.id, turn.number, batch.body)
        for number, doc in docs.items():
            for name in BODIES:
                body = doc.get(name)
                if body is not None and len(body) > PART_BYTES:
                    doc[name] = key_of(commit_id, len(parts))
                    store(doc[name], number, body)
        if parts:
            await insert_missing(self._parts, parts)
        return docs

    async def fill(self, turns: Iterable[Doc], after: int = 0) -> bool:
        """Puts the bodies back in place, of batches of events those that reach beyond `after`. False: one is missing, so the
        reader must read the run again."""
        turns = list(turns)
        wanted = [(doc, name) for doc in turns for name in BODIES if isinstance(doc.get(name), str)]
        batches = [one for doc in turns for one in doc.get("batches", ()) if one["last_seq"] > after]
        if not wanted and not batches:
            return True
        ids = [*(doc[name] for doc, name in wanted), *(one["id"] for one in batches)]
        found = {part["_id"]: part["body"] async for part in self._parts.find({"_id": {"$in": ids}})}
        for doc, name in wanted:
            if doc[name] not in found:
                return False
            doc[name] = found[doc[name]]
        for one in batches:
            if one["id"] not in found:
                return False
            one["body"] = found[one["id"]]
        return True

    async def review(self, now: float) -> int:
        """Looks at some parts that are due for it. How many."""
        due = {"review_at": {"$gt": 0, "$lte": now}}
        found = [part async for part in self._parts.find(due, {"body": 0}).sort("review_at", 1).limit(BATCH)]
        for part in found:
            # The run before its older turns: the archive is written before the pull. And the revision with the look: a
            # commit in between, which may refer to the part, then wins over the removal.
            run = await self._runs.find_one({"_id": part["run"]}, {"revision": 1, "open": 1, "tail": 1})
            if await self._is_used(run, part):
                again = {"$set": {"review_at": now + AGAIN_SECONDS}}
                await self._parts.update_one({"_id": part["_id"]}, again)
            elif run is None or await self._raise_revision(run):
                await self._parts.delete_one({"_id": part["_id"]})
        return len(found)

    async def _is_used(self, run: Doc | None, part: Doc) -> bool:
        turns = [*run["tail"], run.get("open")] if run else []
        bodies = dict.fromkeys((*BODIES, "batches"), 1)
        turns.append(await self._turns.find_one({"_id": key_of(part["run"], part["turn"])}, bodies))
        return any(turn is not None and _refers(turn, part["_id"]) for turn in turns)

    async def _raise_revision(self, run: Doc) -> bool:
        """A commit that was delayed until now will find another revision. True: nothing can refer to the part any more."""
        query = {"_id": run["_id"], "revision": run["revision"]}
        raised = await self._runs.update_one(query, {"$inc": {"revision": 1}})
        return bool(raised.matched_count)

    # ---- results that a state does not hold: parts under a name, which are kept as long as their run

    async def keep(self, run_id: ObjectId, name: str, body: bytes, now: float) -> None:
        part = {"_id": key_of(run_id, name), "run": run_id, "body": body, "created_at": now, "name": name}
        await insert_missing(self._parts, [part])

    async def kept(self, run_id: ObjectId, names: Sequence[str]) -> list[bytes | None]:
        ids = [key_of(run_id, name) for name in names]
        found = {part["_id"]: part["body"] async for part in self._parts.find({"_id": {"$in": ids}})}
        return [found.get(part_id) for part_id in ids]

    async def copy(self, run_id: ObjectId, to: ObjectId, now: float) -> None:
        async for part in self._parts.find({"run": run_id, "name": {"$exists": True}}):
            await self.keep(to, part["name"], part["body"], now)

    async def purge(self, run_id: ObjectId) -> None:
        await self._parts.delete_many({"run": run_id})


def _refers(turn: Mapping[str, Any], part_id: str) -> bool:
    return any(turn.get(name) == part_id for name in BODIES) or any(
        one["id"] == part_id for one in turn.get("batches", ())
    )
