"""Concurrency limits: a scope has numbered places, each a document that one run holds until a time."""

from __future__ import annotations

from itertools import chain
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from app.adapters.mongo.failures import translated
from app.adapters.mongo.mapping import Doc, key_of


class MongoSlots:
    """Implements ports.SlotStore. Exact over processes: a place is won by an insert or by a filtered update."""

    def __init__(self, database: Any) -> None:
        self._slots = database["slots"]

    @translated
    async def take(self, scope: str, places: int, run_id: str, turn: int, until: float, now: float) -> bool:
        run = ObjectId(run_id)
        taken = {"run": run, "turn": turn, "until": until}
        while True:  # each lost place is somebody else's progress
            held = {slot["i"]: slot async for slot in self._slots.find({"scope": scope})}
            own = next((slot for slot in held.values() if slot["run"] == run), None)
            if own is not None:
                if await self._win(own, taken):
                    return True
                continue
            live = {i for i, slot in held.items() if slot["until"] > now}
            if len(live) >= places:
                return False
            i = _choose(places, live, run)
            if await self._occupy(scope, i, held.get(i), taken):
                return True

    async def _occupy(self, scope: str, i: int, lapsed: Doc | None, taken: Doc) -> bool:
        if lapsed is not None:
            return await self._win(lapsed, taken)
        return await self._insert({"_id": key_of(scope, i), "scope": scope, "i": i, **taken})

    async def _win(self, slot: Doc, taken: Doc) -> bool:
        query = {name: slot[name] for name in ("_id", "run", "turn", "until")}
        done = await self._slots.update_one(query, {"$set": taken})
        return bool(done.matched_count)

    async def _insert(self, slot: Doc) -> bool:
        try:
            await self._slots.insert_one(slot)
        except DuplicateKeyError:
            return False
        return True

    @translated
    async def extend(self, run_id: str, turn: int, until: float) -> None:
        await self._slots.update_many({"run": ObjectId(run_id), "turn": turn}, {"$max": {"until": until}})

    @translated
    async def release(self, run_id: str, turn: int) -> None:
        await self._slots.delete_many({"run": ObjectId(run_id), "turn": turn})


def _choose(places: int, live: set[int], run: ObjectId) -> int:
    """A place that is not held. Runs that come at once start to look in different places; but while one beyond a lowered
    limit is still held, which counts too, all must compete for the same."""
    first = 0 if any(i >= places for i in live) else int.from_bytes(run.binary[-3:], "big") % places
    return next(i for i in chain(range(first, places), range(first)) if i not in live)
