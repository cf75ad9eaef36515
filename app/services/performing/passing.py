"""Text that passes piece by piece, without secrets: what may still become one is held back until it is decided."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from app.services.performing.masking import LONG, Mask, base64_forms, spellings

# The beginning of an escaped character, as URLs, JSON and HTML write it.
_begun_escape: Final = re.compile(r"%[0-9A-Fa-f%]{0,12}|\\[\\u0-9A-Fa-f]{0,12}|&[#0-9A-Za-z]{0,40}")


LONGEST_SPELLING: Final = 48  # characters that one may be written with; `&#00…065;` has no end


class MaskedText:
    """Of one stream: what comes out adds up to what `Mask.text` makes of the whole. With a long secret nothing passes before
    the end."""

    def __init__(self, secrets: Iterable[str]) -> None:
        kept = sorted({secret for secret in secrets if secret})
        self._mask = Mask(kept)
        self._held: list[str] = []
        if any(len(secret) > LONG for secret in kept):
            self._forms, self._window, self._holds_all, self._waiting = [], 0, True, ""
            return
        base64 = {form for secret in kept for form in base64_forms(secret)}
        self._forms = [[[re.compile(re.escape(one))] for one in form] for form in sorted(base64)]
        self._forms += [[[re.compile(one) for one in spellings(character)] for character in secret] for secret in kept]
        self._window = max(map(_longest, self._forms), default=0)
        self._holds_all = False
        self._waiting = ""

    def feed(self, piece: str) -> str:
        """What of it and of the pieces before may pass now."""
        if self._holds_all:
            self._held.append(piece)
            return ""
        text = self._waiting + piece
        starts = range(max(0, len(text) - self._window), len(text))
        undecided = next((at for at in starts if self._may_become_secret(text, at)), len(text))
        passing = self._mask.edge(text, undecided)
        self._waiting = text[passing:]
        return self._mask.text(text[:passing])

    def end(self) -> str:
        """What was held back: nothing more comes."""
        rest, self._waiting, self._held = self._waiting + "".join(self._held), "", []
        return self._mask.text(rest)

    def _may_become_secret(self, text: str, start: int) -> bool:
        return any(_runs_out(form, text, start) for form in self._forms)


def _longest(form: list[list[re.Pattern[str]]]) -> int:
    """Characters that it may be written with: letters and digits are only ever written as they are."""
    return sum(1 if len(spelled) == 1 else LONGEST_SPELLING for spelled in form)


def _runs_out(form: list[list[re.Pattern[str]]], text: str, start: int) -> bool:
    """Does the text end in the middle of this form?"""
    reached = {start}
    for spelled in form:
        if any(end == len(text) or (text[end] in "%\\&" and _begun_escape.fullmatch(text, end)) for end in reached):
            return True
        found = (pattern.match(text, end) for pattern in spelled for end in reached)
        reached = {match.end() for match in found if match}
        if not reached:
            return False
    return False
