"""Closed turns that have left their run's tail: `run_turns`, one document each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from bson import ObjectId
from pymongo import UpdateMany, UpdateOne

from app.adapters.mongo.mapping import WITHOUT_BODIES, Doc, fits, turn_of
from app.adapters.mongo.parts import Parts
from app.ports import StoreUnavailableError, Turn


class OlderTurns:
    """Written once, before the pull from the tail; then only their `state` is dropped."""

    def __init__(self, database: Any, parts: Parts, *, bulk: bool) -> None:
        self._turns = database["run_turns"]
        self._parts = parts
        self._bulk = bulk

    async def insert(self, run_id: ObjectId, docs: Sequence[Doc], drop_states_to: int) -> None:
        """One operation: those that are there are left as they are; states up to a number are dropped."""
        inserts = [({"_id": {"run": run_id, "number": doc["number"]}}, {**doc, "run": run_id}) for doc in docs]
        old = {"run": run_id, "number": {"$lte": drop_states_to}, "state": {"$exists": True}}
        drop = {"$unset": {"state": ""}}
        if not self._bulk:
            for query, doc in inserts:
                await self._turns.update_one(query, {"$setOnInsert": doc}, upsert=True)
            await self._turns.update_many(old, drop)
            return
        writes = [UpdateOne(query, {"$setOnInsert": doc}, upsert=True) for query, doc in inserts]
        await self._turns.bulk_write([*writes, *([UpdateMany(old, drop)] if drop_states_to > 0 else [])], ordered=True)

    async def numbered(self, run_id: str, number: int) -> Turn | None:
        key = {"run": ObjectId(run_id), "number": number}
        doc = await self._turns.find_one({"_id": key}) if fits(number) else None
        return None if doc is None else await self._filled(doc)

    async def find_one(self, run_id: str, query: Doc) -> Turn | None:
        doc = await self._turns.find_one({"run": ObjectId(run_id), **query})
        return None if doc is None else await self._filled(doc)

    async def _filled(self, doc: Doc) -> Turn:
        if not await self._parts.fill([doc]):
            raise StoreUnavailableError("a part of an older turn is missing")
        return turn_of(doc)

    async def after(self, run_id: str, seq: int) -> AsyncIterator[Turn]:
        """By number: those whose last event is behind `seq`."""
        query = {"run": ObjectId(run_id), "last_seq": {"$gt": seq}}
        async for doc in self._turns.find(query, {"reply": 0, "state": 0}).sort("last_seq", 1):
            yield await self._filled(doc)

    async def heads(self, run_id: str) -> Sequence[Turn]:
        """By number, without bodies."""
        without = {name: 0 for name in WITHOUT_BODIES if name != "input"}
        found = []
        async for doc in self._turns.find({"run": ObjectId(run_id)}, without).sort("last_seq", 1):
            found.append(await self._filled(doc))
        return found

    async def purge(self, run_id: str) -> None:
        await self._turns.delete_many({"run": ObjectId(run_id)})
