"""What a worker's error says to the one who wrote the code: which limit was crossed, or which line went wrong."""

from __future__ import annotations

import re
from typing import Final

from pydantic_monty import Frame, MontyError, MontyRuntimeError, MontySyntaxError

from app.ports import EffectError

SHOWN_CHARACTERS: Final = 2_000
SHOWN_FRAMES: Final = 5
USERS_FILE: Final = "<string>"  # what `exec` calls the code it is given

_place = re.compile(r" \(<string>, line (\d+)\)$")
_unsupported = re.compile(r"^NotImplementedError: The monty syntax parser does not yet support ")
# (how it begins, what is shown, error type). Code may raise the like itself; it deceives only its author.
_limits: Final = (
    (re.compile(r"TimeoutError: \w+ time limit exceeded"), "the code took longer than {seconds:g} seconds", "timeout"),
    (re.compile(r"TimeoutError: sleep limit exceeded"), "code may not sleep", "sandbox_limit"),
    (re.compile(r"MemoryError\b"), "the code needs more memory than 64 MiB", "sandbox_limit"),
    (re.compile(r"RecursionError\b"), "the code calls itself too deeply", "sandbox_limit"),
    (
        re.compile(r"RuntimeError: suspension limit"),
        "the code asked too often for what is not there",
        "sandbox_limit",
    ),
)


def failure(error: MontyError, seconds: float, feed: str) -> EffectError:
    """The effect's failure. `feed`: our own code around the user's, which writes the output as JSON in its last lines."""
    said = _said(error)
    in_output = _is_output(error, feed)
    if in_output and said.startswith("RecursionError"):
        return EffectError("code_error", "the output is nested too deeply")
    for pattern, message, error_type in _limits:
        if pattern.match(said):
            return EffectError(error_type, message.format(seconds=seconds))
    if in_output:
        return EffectError("code_error", "the output is not JSON: " + said.partition(": ")[2])
    return EffectError("code_error", described(error))


def described(error: MontyError, lines_before: int = 0) -> str:
    """`Type: message (line 3 in f, line 7)`, innermost first. `lines_before`: of ours, before the user's first line."""
    said = _unsupported.sub("NotImplementedError: this Python does not know ", _said(error))
    lines = [
        f"line {frame.line - lines_before}" + (f" in {frame.function_name}" if _is_function(frame) else "")
        for frame in reversed(_frames(error))
        if frame.filename == USERS_FILE
    ]
    place = _place.search(said)
    if place:
        lines = [f"line {max(int(place[1]) - lines_before, 1)}"]
        said = said[: place.start()]
    shown = lines if len(lines) <= SHOWN_FRAMES else [*lines[: SHOWN_FRAMES - 1], "…", lines[-1]]
    return said + (f" ({', '.join(shown)})" if shown else "")


def _said(error: MontyError) -> str:
    """`Type: message`, cut."""
    text = error.display("type-msg") if isinstance(error, (MontyRuntimeError, MontySyntaxError)) else str(error)
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return text[:SHOWN_CHARACTERS] + "…"


def _frames(error: MontyError) -> list[Frame]:
    return error.traceback() if isinstance(error, (MontyRuntimeError, MontySyntaxError)) else []


def _is_function(frame: Frame) -> bool:
    return frame.function_name not in (None, "<module>")


def _is_output(error: MontyError, feed: str) -> bool:
    """Did it happen while the output was written, outside the user's code?"""
    frames = _frames(error)
    if not frames or frames[-1].filename == USERS_FILE:
        return False
    return "dumps(" in feed.splitlines()[frames[-1].line - 1]
