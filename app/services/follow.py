"""Who in this process waits for which run: woken at once by commits made here, within half a second by those of others.

One query a process and half second tells the revisions of all the runs that anybody here follows: owners of leases,
callers who wait for a reply, readers of streams. A wake-up says "look again", no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from app import ports

POLL_SECONDS = 0.5
BATCH = 1_000


class Follow:
    """The followers of one process."""

    def __init__(self, runs: ports.RunStore, clock: ports.Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._followers: dict[str, dict[asyncio.Event, None]] = {}  # in the order in which they came
        self._seen: dict[str, int] = {}

    @contextmanager
    def listen(self, run_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at every change from now on. Clear it, read the run, then wait: no change is missed."""
        event = asyncio.Event()
        self._followers.setdefault(run_id, {})[event] = None
        try:
            yield event
        finally:
            followers = self._followers[run_id]
            del followers[event]
            if not followers:
                del self._followers[run_id]
                self._seen.pop(run_id, None)

    def changed(self, run_id: str, but: asyncio.Event | None = None) -> None:
        """A commit of this process went through; `but`: the follower that made it and knows."""
        for event in self._followers.get(run_id, ()):
            if event is not but:
                event.set()

    async def run(self, draining: asyncio.Event) -> None:
        """Until the process drains."""
        while not draining.is_set():
            await self._clock.sleep(POLL_SECONDS)
            try:
                await self.poll()
            except ports.StoreUnavailableError:
                continue

    async def poll(self) -> None:
        """A run that was never polled before counts as changed: its follower may have read it before the change."""
        followed = list(self._followers)
        for first in range(0, len(followed), BATCH):
            batch = followed[first : first + BATCH]
            revisions = await self._runs.revisions(batch)
            for run_id in batch:
                revision = revisions.get(run_id, -1)
                if run_id in self._followers and self._seen.get(run_id) != revision:
                    self._seen[run_id] = revision
                    self.changed(run_id)


async def either(one: asyncio.Event, other: asyncio.Event, seconds: float | None) -> None:
    """Until one of them is set, or time is up."""
    waits = [asyncio.ensure_future(one.wait()), asyncio.ensure_future(other.wait())]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
