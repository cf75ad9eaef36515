"""A reader of a run's stream, who goes from one process to the other: he must hear every event once and every text whole."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from app.engine import messages as said
from app.services.cursors import TextDelta, TextReset, cursor_of
from app.services.reading import Item, Reading
from tests.protocol.posts import WORKSPACE
from tests.protocol.watch import require

if TYPE_CHECKING:
    from tests.protocol.processes import Process
    from tests.protocol.story import Story

MOST = 3  # frames, after which he comes back


class Listener:
    """He begins once there is a run, and is never served by a process that is not alive. One who `leaves` does so at the first
    piece of a text, and comes back when the run is over."""

    post = task = aim = None  # he causes operations, and no commit

    def __init__(self, story: Story, *, leaves: bool) -> None:
        self._story = story
        self._leaves = leaves
        self._is_away = False
        self._cursor = ""
        self._visits = 0
        self._visit: Any = None
        self.heard: list[Item] = []

    @property
    def is_done(self) -> bool:
        return bool(self.heard) and isinstance(self.heard[-1], said.RunEnded | said.RunFailed)

    def go_on(self) -> None:
        """Comes back, when he is nowhere."""
        alive, run_id = self._story.alive(), self._story.only_run()
        if run_id is None or not alive or self.is_done or (self._visit is not None and not self._visit.done()):
            return
        if self._is_away and self._story.memory.runs[run_id].ended_at is None:
            return
        process = alive[self._visits % len(alive)]
        self._visits += 1
        self._visit = self._story.loop.begin(process, self._read(process, run_id), self)
        self._story.loop.run()

    async def _read(self, process: Process, run_id: str) -> None:
        found = Reading(process.world, WORKSPACE, run_id, cursor_of(self._cursor)).frames()
        taken = 0
        async with aclosing(cast(Any, found)) as source:
            async for frames in source:
                for frame in frames or ():
                    self.heard.append(frame.item)
                    self._cursor, taken = frame.cursor, taken + 1
                    self._is_away = self._leaves and isinstance(frame.item, TextDelta)
                    if taken == MOST or self._is_away:
                        return

    def check(self) -> None:
        """At the end. Raises Violation."""
        numbers = [item.seq for item in self.heard if isinstance(item, said.Event)]
        require(numbers == list(range(1, len(numbers) + 1)), f"a reader heard the events {numbers}")
        texts: dict[int, str] = {}
        tellings: dict[int, int] = {}
        for item in self.heard:
            if isinstance(item, TextReset):
                texts[item.seq], tellings[item.seq] = "", item.attempt
            elif isinstance(item, TextDelta):
                require(item.offset == len(texts.get(item.seq, "")), f"a reader heard {item} after {texts}")
                telling = tellings.setdefault(item.seq, item.attempt)
                require(item.attempt == telling, f"a reader heard {item} in telling {telling}")
                texts[item.seq] = texts.get(item.seq, "") + item.text
        replies = [item for item in self.heard if isinstance(item, said.ModelReplied) and item.streamed]
        wanted = {reply.call_seq: reply.text for reply in replies}
        require(texts == wanted, f"a reader heard {texts}, the answers are {wanted}")
