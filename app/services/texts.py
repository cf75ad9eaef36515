"""The text of models while it comes: held by the process that performs the call, until the answer is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.engine.state import Effect


class OpenText:
    """What one telling of a call brought so far. `seq` is that of the call's first event, `path` that of its node."""

    __slots__ = ("_pieces", "effect_id", "path", "seq", "telling")

    def __init__(self, effect: Effect, seq: int) -> None:
        self.effect_id = effect.id
        self.telling = effect.telling
        self.seq = seq
        self.path = effect.id.rpartition("#")[0]
        self._pieces: list[str] = []

    @property
    def node_id(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def add(self, piece: str) -> None:
        self._pieces.append(piece)


class Texts:
    """Implements ports.TextSink for the performers of this process, and wakes its readers."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, OpenText]] = {}  # by run, by effect
        self._readers: dict[str, set[asyncio.Event]] = {}

    def open(self, run_id: str, effect: Effect) -> None:
        """A telling of a model call begins; what an earlier one said is void."""
        if effect.seq is not None:
            self._open.setdefault(run_id, {})[effect.id] = OpenText(effect, effect.seq)

    def close(self, run_id: str, effect_id: str, telling: int) -> None:
        """The telling's answer is committed, or will never be."""
        texts = self._open.get(run_id, {})
        if effect_id in texts and texts[effect_id].telling == telling:
            del texts[effect_id]
            if not texts:
                del self._open[run_id]

    def piece(self, run_id: str, effect_id: str, telling: int, text: str) -> None:
        found = self._open.get(run_id, {}).get(effect_id)
        if found is not None and found.telling == telling and text:
            found.add(text)
            for reader in self._readers.get(run_id, ()):
                reader.set()

    def of(self, run_id: str) -> Sequence[OpenText]:
        """What is being told, in the order in which it began."""
        return sorted(self._open.get(run_id, {}).values(), key=lambda text: text.seq)

    @contextmanager
    def listen(self, run_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when there is more to be read."""
        event = asyncio.Event()
        self._readers.setdefault(run_id, set()).add(event)
        try:
            yield event
        finally:
            readers = self._readers[run_id]
            readers.discard(event)
            if not readers:
                del self._readers[run_id]
