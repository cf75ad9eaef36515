"""The integer numbers of runs and workflows: handed out in blocks per process, unique, with gaps, no order."""

from __future__ import annotations

import asyncio
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.adapters.mongo.mapping import Doc

BLOCK = 1_000
LOW = 200


class Numbers:
    """Numbers of one kind. `take` costs a round trip only when a block is used up faster than the next one comes."""

    def __init__(self, database: Any, kind: str) -> None:
        self._counters = database["counters"]
        self._kind = kind
        self._free: list[int] = []
        self._filling: asyncio.Task[None] | None = None

    async def take(self) -> int:
        while not self._free:
            await asyncio.shield(self._begin_filling())
        number = self._free.pop()
        if len(self._free) < LOW:
            self._begin_filling()
        return number

    async def fill(self) -> None:
        """Fetches a block."""
        while True:  # not findAndModify: the embedded server gives one number to two that ask at once
            found = await self._counters.find_one({"_id": self._kind})
            last = found["next"] if found else 0
            if await self._move(found, last + BLOCK):
                self._free = [*range(last + BLOCK, last, -1), *self._free]
                return

    async def _move(self, found: Doc | None, last: int) -> bool:
        if found is not None:
            done = await self._counters.update_one(found, {"$set": {"next": last}})
            return bool(done.matched_count)
        try:
            await self._counters.insert_one({"_id": self._kind, "next": last})
        except DuplicateKeyError:
            return False
        return True

    def _begin_filling(self) -> asyncio.Task[None]:
        if self._filling is None or self._filling.done():
            self._filling = asyncio.ensure_future(self.fill())
            self._filling.add_done_callback(_take_note)
        return self._filling


def _take_note(filling: asyncio.Task[None]) -> None:
    """A failed refill is tried again by the `take` that needs it, and raised there."""
    if not filling.cancelled():
        filling.exception()
