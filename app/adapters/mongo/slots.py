"""Concurrency limits: a scope has numbered places, each a document that one run holds until a time."""

from __future__ import annotations

from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from app.adapters.mongo.failures import translated
from app.adapters.mongo.mapping import Doc


class MongoSlots:
    """Implements ports.SlotStore. Exact over processes: a place is won by an insert or by a filtered update."""

    def __init__(self, database: Any) -> None:
        self._slots = database["slots"]

    @translated
    async def take(self, scope: str, places: int, run_id: str, until: float, now: float) -> bool:
        run = ObjectId(run_id)
        held = [slot async for slot in self._slots.find({"scope": scope})]
        own = next((slot for slot in held if slot["run"] == run), None)
        if own is not None:
            return await self._win(own, run, until) or await self.take(scope, places, run_id, until, now)
        live = sum(slot["until"] > now for slot in held)
        if live >= places:
            return False
        for slot in sorted((slot for slot in held if slot["until"] <= now), key=_place):
            if slot["i"] < places and await self._win(slot, run, until):
                return True
        taken = {slot["i"] for slot in held}
        free = (i for i in range(places) if i not in taken)
        for i in free:
            if await self._insert({"scope": scope, "i": i}, run, until):
                return True
            if (live := live + 1) >= places:  # each lost insert is another's place
                return False
        return False

    async def _win(self, slot: Doc, run: ObjectId, until: float) -> bool:
        query = {"_id": slot["_id"], "run": slot["run"], "until": slot["until"]}
        done = await self._slots.update_one(query, {"$set": {"run": run, "until": until}})
        return bool(done.matched_count)

    async def _insert(self, place: Doc, run: ObjectId, until: float) -> bool:
        try:
            await self._slots.insert_one({"_id": place, **place, "run": run, "until": until})
        except DuplicateKeyError:
            return False
        return True

    @translated
    async def extend(self, run_id: str, until: float) -> None:
        await self._slots.update_many({"run": ObjectId(run_id)}, {"$set": {"until": until}})

    @translated
    async def release(self, run_id: str) -> None:
        await self._slots.delete_many({"run": ObjectId(run_id)})


def _place(slot: Doc) -> int:
    return int(slot["i"])
