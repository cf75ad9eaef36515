"""`matches(a, glob)`: `*` is any text, `?` one character, everything else itself. Bounded work, no regular expression."""

from __future__ import annotations

from typing import Final

max_steps: Final = 500_000


class GlobTooCostlyError(ValueError):
    """The pattern would take too long on this text."""


def matches(text: str, pattern: str) -> bool:
    """Whether the whole text fits; case counts. Raises GlobTooCostlyError."""
    if "*" not in pattern:
        return len(text) == len(pattern) and _Matcher(text).fits(pattern, 0)
    first, *middle, last = pattern.split("*")
    end = len(text) - len(last)
    if end < len(first):
        return False
    matcher = _Matcher(text)
    if not matcher.fits(first, 0) or not matcher.fits(last, end):
        return False
    position = len(first)
    for segment in middle:  # leftmost is always right: what follows has the more room
        position = matcher.find(segment, position, end)
        if position < 0:
            return False
        position += len(segment)
    return True


class _Matcher:
    def __init__(self, text: str) -> None:
        self._text = text
        self._steps = 0

    def fits(self, segment: str, position: int) -> bool:
        if "?" not in segment:
            return self._text.startswith(segment, position)
        for offset, character in enumerate(segment):
            self._step()
            if character not in ("?", self._text[position + offset]):
                return False
        return True

    def find(self, segment: str, position: int, end: int) -> int:
        if "?" not in segment:
            self._step()
            return self._text.find(segment, position, end)
        for start in range(position, end - len(segment) + 1):
            self._step()
            if self.fits(segment, start):
                return start
        return -1

    def _step(self) -> None:
        self._steps += 1
        if self._steps > max_steps:
            raise GlobTooCostlyError("the pattern takes too long on this text")
