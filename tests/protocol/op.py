"""One operation that a process waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.protocol.loop import CAUSE

if TYPE_CHECKING:
    from tests.protocol.processes import Process


class Op:
    """One operation that a process waits for. `kind`: store, send (an effect goes out) or result (it comes back);
    `done`: it has happened, its answer is still on the way."""

    def __init__(self, process: Process, kind: str, words: str, act: Callable[[], Any], what: Any) -> None:
        self.process = process
        self.kind = kind
        self.words = words
        self.act = act
        self.what = what
        self.writes = False
        self.cause = CAUSE.get()
        self.task = asyncio.current_task()
        self.future: asyncio.Future[Any] = process.loop.create_future()
        self.done = False
        self.result: Any = None
        self.raised: Exception | None = None

    @property
    def is_requests(self) -> bool:
        """Asked by the task of a request itself, not by one that the request left behind."""
        return self.cause is not None and self.cause.task is self.task

    def __str__(self) -> str:
        by = f" for {self.cause.post.name}" if self.is_requests else ""
        return f"{self.process}: {self.words}{by}"
