"""Blocking work in threads of its own, so many at once. A caller that leaves early leaves its place taken until the work
ends; and nothing waits for the threads when the process ends, which anyio's and the standard pools do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """At most `places` jobs at once; further ones wait in order, and a waiting one may be cancelled."""

    def __init__(self, places: int) -> None:
        self._free = asyncio.Semaphore(places)
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, job: Callable[[], T]) -> T:
        """What the job returns or raises. The job must end by itself: it cannot be stopped."""
        await self._free.acquire()
        self._busy += 1
        self._idle.clear()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            threading.Thread(target=self._work, args=(loop, future, job), name="sandbox", daemon=True).start()
        except RuntimeError as error:  # no more threads
            self._ended(future, partial(future.set_exception, error))
        return await future

    async def idle(self, seconds: float) -> bool:
        """Have all jobs ended within so many seconds?"""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        return self._idle.is_set()

    def _work(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], job: Callable[[], T]) -> None:
        try:
            result = job()
        except BaseException as error:
            settle = partial(future.set_exception, error)
        else:
            settle = partial(future.set_result, result)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(self._ended, future, settle)

    def _ended(self, future: asyncio.Future[T], settle: Callable[[], None]) -> None:
        self._free.release()
        self._busy -= 1
        if not self._busy:
            self._idle.set()
        if not future.done():  # else it is cancelled
            settle()
