"""An event loop whose time is a number. Nothing in it happens by itself: `run` does what is ready, `advance` moves the time.

Every callback belongs to the owner that its context names. The callbacks of an owner that is frozen are kept until it
thaws, with its timers among them; what a discarded one had to do is never done.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

OWNER: contextvars.ContextVar[Any] = contextvars.ContextVar("owner", default=None)
CAUSE: contextvars.ContextVar[Any] = contextvars.ContextVar("cause", default=None)  # the request that a task serves


class Loop(asyncio.AbstractEventLoop):
    """As much of an event loop as tasks, futures and timeouts need."""

    def __init__(self) -> None:
        self._time = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = itertools.count()
        self._frozen: dict[Any, list[asyncio.Handle]] = {}
        self.tasks: dict[asyncio.Task[Any], Any] = {}  # those that are not done, and their owners
        self.faults: list[str] = []  # what callbacks raised

    # ---- what asyncio calls

    def time(self) -> float:
        return self._time

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._time + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._count), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the heap until its time."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self.tasks[task] = OWNER.get() if context is None else context.get(OWNER)
        task.add_done_callback(self._forget, context=contextvars.Context())
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task, None)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")

    # ---- what the test calls

    def begin(self, owner: Any, work: Coroutine[Any, Any, Any], cause: Any = None) -> asyncio.Task[Any]:
        """A task of `owner`; it and all tasks that it makes have its `cause`."""
        context = contextvars.Context()
        context.run(OWNER.set, owner)
        context.run(CAUSE.set, cause)
        return self.create_task(work, context=context)

    def run(self) -> None:
        """Until nothing is ready and no timer is due."""
        asyncio._set_running_loop(self)
        try:
            while self._ready or self._fire():
                handle = self._ready.popleft()
                if handle.cancelled():
                    continue
                owner = handle._context.get(OWNER)  # type: ignore[attr-defined]
                if owner in self._frozen:
                    self._frozen[owner].append(handle)
                else:
                    handle._run()
        finally:
            asyncio._set_running_loop(None)

    def _fire(self) -> bool:
        """Makes the next timer ready, if it is due."""
        when = self.next_timer()
        if when is None or when > self._time:
            return False
        self._ready.append(heapq.heappop(self._timers)[2])
        return True

    def next_timer(self) -> float | None:
        """When the next timer fires."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def advance(self, seconds: float) -> None:
        """Time goes by; timers fire in their order."""
        until = self._time + seconds
        while (when := self.next_timer()) is not None and when <= until:
            self._time = max(self._time, when)
            self.run()
        self._time = until

    def freeze(self, owner: Any) -> None:
        """Nothing of the owner runs until `thaw`."""
        self._frozen.setdefault(owner, [])

    def thaw(self, owner: Any) -> None:
        self._ready.extend(self._frozen.pop(owner, ()))
        self.run()

    def discard(self, owner: Any) -> None:
        """Ends every task of the owner. Their `finally` blocks run: what they ask for must be refused by others."""
        kept = self._frozen.pop(owner, ())
        for _ in range(100):
            left = [task for task, of in self.tasks.items() if of is owner]
            for task in left:
                task.cancel()
            self._ready.extend(kept)
            kept = ()
            self.run()
            if not left:
                return
        raise AssertionError(f"tasks that cannot be ended: {left}")
