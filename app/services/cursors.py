"""Where a reader of a run's stream stands: `C`, or `C:seq.attempt.offset,…` while texts of models are open.

`C` is the number of the last stored event sent, `seq` that of a call's first event, `offset` counts code points sent of
its text. Bounded, so that a cursor from outside costs nothing.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from app.engine import messages as said
from app.services.errors import ServiceError

MOST_OPEN: Final = 64
_number = r"[0-9]{1,15}"
_text = rf"{_number}\.{_number}\.{_number}"
_cursor = re.compile(rf"({_number})(?::({_text}(?:,{_text}){{0,{MOST_OPEN - 1}}}))?")


class TextDelta(msgspec.Struct, frozen=True, kw_only=True):
    """More of a model's text: `seq` is that of the call's first event, `offset` counts code points."""

    seq: int
    attempt: int
    offset: int
    text: str
    path: str
    node_id: str


class TextReset(msgspec.Struct, frozen=True, kw_only=True):
    """The text of the call begins anew."""

    seq: int
    attempt: int


class Cursor:
    """Moves as things are sent; `str` of it is what resumes behind them."""

    def __init__(self, after: int = 0, told: dict[int, tuple[int, int]] | None = None) -> None:
        self.after = after
        self.told = told or {}  # attempt and offset, by the call

    def __str__(self) -> str:
        texts = ",".join(f"{seq}.{attempt}.{offset}" for seq, (attempt, offset) in sorted(self.told.items()))
        return f"{self.after}:{texts}" if texts else str(self.after)

    def copy(self) -> Cursor:
        return Cursor(self.after, dict(self.told))

    def reset(self, seq: int, telling: int) -> list[TextReset]:
        """Begins a telling; told only to those who have heard another one."""
        known = self.told.get(seq)
        if known is not None and known[0] == telling:
            return []
        self.told[seq] = (telling, 0)
        return [] if known is None else [TextReset(seq=seq, attempt=telling)]

    def rest(self, seq: int, telling: int, text: str, path: str, node_id: str) -> list[TextDelta]:
        """What of `text` has not been sent."""
        offset = self.told.get(seq, (telling, 0))[1]
        if offset >= len(text):
            return []
        self.told[seq] = (telling, len(text))
        delta = TextDelta(seq=seq, attempt=telling, offset=offset, text=text[offset:], path=path, node_id=node_id)
        return [delta]

    def passed(self, event: said.AnyEvent) -> None:
        """The event has been sent."""
        self.after = event.seq
        if isinstance(event, said.ModelReplied | said.ModelFailed):
            self.told.pop(event.call_seq, None)
        elif isinstance(event, said.RunFailed | said.RunEnded):
            self.told.clear()


def cursor_of(text: str | None) -> Cursor:
    """Of `Last-Event-ID` or `after`; nothing: the beginning. Raises invalid_request."""
    if not text:
        return Cursor()
    found = _cursor.fullmatch(text)
    if found is None:
        raise ServiceError("invalid_request", "the cursor is no event number, nor one with open texts")
    after, told = int(found[1]), dict[int, tuple[int, int]]()
    for one in found[2].split(",") if found[2] else ():
        seq, attempt, offset = (int(part) for part in one.split("."))
        if not 0 < seq <= after:
            raise ServiceError("invalid_request", f"the cursor has a text of event {seq}, which comes behind it")
        told[seq] = (attempt, offset)
    return Cursor(after, told)
