"""Tests that mostly wait: they begin with the session and go on beside the others, all at once, on a loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any

Story = Callable[[Path], Coroutine[Any, Any, None]]


def meanwhile(story: Story) -> Callable[[Stories], None]:
    """A test of its name, which waits for the end of the story. The story is given a folder of its own."""

    def test(stories: Stories) -> None:
        stories.told(story)

    test.__name__, test.__doc__, test.__module__ = story.__name__, story.__doc__, story.__module__
    test.__dict__["story"] = story
    return test


class Stories:
    """What goes on meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._futures: dict[Story, Future[None]] = {}
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def begin(self, story: Story) -> None:
        if story not in self._futures:
            folder = self._folder / f"story-{len(self._futures)}"  # short: it becomes part of a socket's name
            self._futures[story] = asyncio.run_coroutine_threadsafe(story(folder), self._loop)

    def told(self, story: Story) -> None:
        """Waits for its end. Raises what went wrong in it."""
        self._futures[story].result()

    def end(self) -> None:
        """Breaks off what is still under way, and waits until it has cleaned up."""
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
