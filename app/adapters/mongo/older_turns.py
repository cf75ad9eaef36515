"""Closed turns that have left their run's tail: `run_turns`, one document each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from bson import ObjectId

from app.adapters.mongo.failures import insert_missing
from app.adapters.mongo.mapping import WITHOUT_BODIES, Doc, key_of, turn_of
from app.adapters.mongo.parts import Parts
from app.ports import StoreUnavailableError, Turn


class OlderTurns:
    """Written once, before the pull from the tail; then only their `state` is dropped."""

    def __init__(self, database: Any, parts: Parts) -> None:
        self._turns = database["run_turns"]
        self._parts = parts

    async def insert(self, run_id: ObjectId, docs: Sequence[Doc]) -> None:
        """Those that are there are left as they are."""
        await insert_missing(
            self._turns, [{**doc, "_id": key_of(run_id, doc["number"]), "run": run_id} for doc in docs]
        )

    async def drop_states(self, run_id: ObjectId, numbers: range) -> None:
        """Of these turns, as far as they are here."""
        ids = [key_of(run_id, number) for number in numbers]
        await self._turns.update_many({"_id": {"$in": ids}, "state": {"$exists": True}}, {"$unset": {"state": ""}})

    async def numbered(self, run_id: str, number: int) -> Turn | None:
        doc = await self._turns.find_one({"_id": key_of(run_id, number)})
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
