"""Following a run: its stored events as they come, and between them the text of models that is not stored yet.

Whoever reads, from whichever process and however often he comes back, gets every event once and every text whole: what
of a text had not been sent when its answer was committed is taken from the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from app.engine import messages as said
from app.engine.state import Effect, decode, effects
from app.ports import Run, Turn
from app.services.cursors import Cursor, TextDelta, TextReset
from app.services.errors import ServiceError
from app.services.facts import events_of
from app.services.world import World

COMMENT_SECONDS = 15.0
TEXT_SECONDS = 0.03  # pieces that come within this time are sent together

Item = said.AnyEvent | TextDelta | TextReset


class Frame(msgspec.Struct, frozen=True):
    """Something to be sent, and the cursor that resumes behind it."""

    item: Item
    cursor: str


class Reading:
    """One reader of one run. Raises ServiceError (not_found, invalid_request), StoreUnavailableError."""

    def __init__(self, world: World, workspace: str, run_id: str, cursor: Cursor) -> None:
        self._world = world
        self._workspace = workspace
        self._run_id = run_id
        self._cursor = cursor
        self._calls: dict[int, Effect] = {}  # in flight, by their first event

    async def frames(self) -> AsyncIterator[Sequence[Frame] | None]:
        """As they come; None after 15 quiet seconds. Ends with the run, or at shutdown. Raises invalid_request, before the
        first item, for a cursor beyond the last event."""
        run = await self._read()
        if self._cursor.after >= run.next_seq:
            message = f"there is no event {self._cursor.after} yet"
            raise ServiceError("invalid_request", message, run_id=self._run_id)
        draining, texts = self._world.draining, self._world.texts
        with self._world.follow.listen(self._run_id) as notice, texts.listen(self._run_id) as more:
            notice.set()
            while True:
                if notice.is_set():
                    notice.clear()
                    run = await self._read()
                    async for frames in self._stored(run):
                        yield frames
                    self._calls = {effect.seq: effect for effect in effects(decode(run.state)) if effect.seq}
                more.clear()
                if frames := self._told():
                    yield frames
                if run.ended_at is not None or draining.is_set():
                    return
                await _any_of((notice, more, draining), COMMENT_SECONDS)
                if more.is_set():
                    await self._world.clock.sleep(TEXT_SECONDS)
                elif not notice.is_set() and not draining.is_set():
                    yield None

    async def _read(self) -> Run:
        """With what there is behind the cursor: a reader who keeps up needs nothing of older turns."""
        after, runs = self._cursor.after, self._world.runs
        run = await runs.read(self._run_id, after=after)
        if run is not None and run.next_seq - 1 > after and (run.open is None or run.open.first_seq > after + 1):
            run = await runs.read(self._run_id, bodies=True)
        if run is None or run.deleted_at or run.workspace != self._workspace:
            raise ServiceError("not_found", "no such run")
        return run

    def _frame(self, item: Item) -> Frame:
        return Frame(item, str(self._cursor))

    # ---- what is being told

    def _told(self) -> list[Frame]:
        """Of the calls in flight whose first event has been sent."""
        frames: list[Frame] = []
        held = {text.seq: text for text in self._world.texts.of(self._run_id)}
        for seq, effect in sorted(self._calls.items()):
            text = held.get(seq)
            telling = effect.telling if text is None else text.telling
            if seq > self._cursor.after or (text is None and seq not in self._cursor.told):
                continue
            frames += [self._frame(reset) for reset in self._cursor.reset(seq, telling)]
            if text is not None:
                deltas = self._cursor.rest(seq, telling, text.text, text.path, text.node_id)
                frames += [self._frame(delta) for delta in deltas]
        return frames

    # ---- what is stored

    async def _stored(self, run: Run) -> AsyncIterator[Sequence[Frame]]:
        async for events in stored_events(self._world, run, self._cursor.after):
            frames: list[Frame] = []
            for event in events:
                frames += self._rest_of(event)
                self._cursor.passed(event)
                frames.append(self._frame(event))
            yield frames

    def _rest_of(self, event: said.AnyEvent) -> list[Frame]:
        """What has not been sent of the text that the event has whole."""
        if not isinstance(event, said.ModelReplied) or not event.streamed:
            return []
        resets = self._cursor.reset(event.call_seq, event.telling)
        frames = [self._frame(reset) for reset in resets]
        rest = self._cursor.rest(event.call_seq, event.telling, event.text, event.path, event.node_id)
        return frames + [self._frame(delta) for delta in rest]


async def stored_events(world: World, run: Run, after: int) -> AsyncIterator[tuple[said.AnyEvent, ...]]:
    """The run's events behind number `after`, those of a fork's source included. `run` has its bodies."""
    if run.next_seq - 1 <= after:
        return
    origin = run.forked_from
    if origin is not None and after < origin.seq:
        source = await world.runs.read(origin.run, bodies=True)
        if source is not None:
            async for events in stored_events(world, source, after):
                inherited = tuple(event for event in events if event.seq <= origin.seq)
                if not inherited:
                    break
                yield inherited
        after = origin.seq
    held = [turn for turn in (*run.tail, run.open) if turn is not None]
    if not held or held[0].first_seq > after + 1:
        async for turn in world.runs.turns_after(run.id, after):
            for events in _beyond(turn, after):
                after = events[-1].seq
                yield events
    for turn in held:
        for events in _beyond(turn, after):
            after = events[-1].seq
            yield events


def _beyond(turn: Turn, after: int) -> list[tuple[said.AnyEvent, ...]]:
    events = events_of(turn, after)
    return [events] if events else []


async def _any_of(events: Sequence[asyncio.Event], seconds: float) -> None:
    """Until one of them is set, or time is up."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
