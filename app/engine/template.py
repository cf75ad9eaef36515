"""Texts with references: `Hello {{name}}, [[count]]`. Parsed once, rendered once: what was inserted is never rendered again.

Anything in `{{ }}` that is no plain path makes a template rich, as do `{% %}` and `{# #}`; rich ones are rendered by an
effect before their node is entered, and only looked up here.
`[[ ]]` around anything but a path is plain text (`[[1,2]]`, `[["a"]]`, `[[true]]`: JSON).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from app.engine.kind import NodeError
from app.engine.path import Path, brace_reference, bracket_reference, parse_path, resolve
from app.engine.scope import Scope
from app.engine.values import Value, size_of, to_text

max_text_bytes: Final = 256 * 1024
max_total_bytes: Final = 4 * 1024 * 1024  # of all the texts in one rendered value
_cached_characters: Final = 8 * 1024  # longer templates would make the cache a leak

_opening = re.compile(r"\{\{|\{%|\{#|\[\[")
# Possessive, so that text without an end fails in linear time. Quoted braces do not close.
_quoted = r""""[^"]*+"|'[^']*+'"""
_rich = {
    "{{": re.compile(rf"\{{\{{(?:[^\"'}}]|{_quoted}|\}}(?!\}}))*+\}}\}}"),
    "{%": re.compile(rf"\{{%(?:[^\"'%]|{_quoted}|%(?!\}}))*+%\}}"),
    "{#": re.compile(r"\{#(?:[^#]|#(?!\}))*+#\}"),
}
_closing = {"{{": "}}", "{%": "%}", "{#": "#}"}


class TemplateSyntaxError(ValueError):
    """The text is no template."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Template(msgspec.Struct, frozen=True):
    """`parts` are literal texts and references, in order; a rich one's code stands in its literal texts, and
    apart in `codes`, without comments."""

    parts: tuple[str | Path, ...]
    is_rich: bool = False
    codes: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every plain reference; `Path.braces` says which kind."""
        return tuple(part for part in self.parts if isinstance(part, Path))

    def text(self, scope: Scope, max_bytes: int = max_text_bytes) -> str:
        """Raises NodeError: `invalid_reference`, `too_large`; `invalid_value` for a rich one."""
        self.refuse_rich()
        rendered: list[str] = []
        size = 0
        for part in self.parts:
            piece = part if isinstance(part, str) else to_text(resolve(part, scope))
            size += _bytes_in(piece)
            if size > max_bytes:
                raise NodeError("too_large", f"the rendered text is larger than {max_bytes} bytes")
            rendered.append(piece)
        return "".join(rendered)

    def value(self, scope: Scope, max_bytes: int = max_text_bytes) -> Value:
        """As `text`, but a text that is exactly one reference keeps the type of what it refers to."""
        self.refuse_rich()
        if len(self.parts) == 1 and isinstance(self.parts[0], Path):
            return resolve(self.parts[0], scope)
        return self.text(scope, max_bytes)

    def refuse_rich(self) -> None:
        if self.is_rich:
            raise NodeError("invalid_value", "this rich template has not been rendered")


def parse(text: str) -> Template:
    """Raises TemplateSyntaxError for `{{`, `{%` or `{#` without its end."""
    return _cached(text) if len(text) <= _cached_characters else _parse(text)


def is_literal(text: str) -> bool:
    """It refers to nothing. False also for what is no template, which is a fault of its own."""
    try:
        found = parse(text)
    except TemplateSyntaxError:
        return False
    return not found.is_rich and not found.paths


def _parse(text: str) -> Template:
    parts: list[str | Path] = []
    codes: list[str] = []
    is_rich, position, literal_from = False, 0, 0
    while found := _opening.search(text, position):
        opening, start = found.group(), found.start()
        pattern = bracket_reference if opening == "[[" else brace_reference
        plain = pattern.match(text, start)
        if plain is None and opening == "[[":
            position = start + 1
            continue
        if literal_from < start:
            parts.append(text[literal_from:start])
        if plain is not None:
            parts.append(parse_path(plain["path"], "[[" if opening == "[[" else "{{"))
            position = literal_from = plain.end()
        else:
            is_rich, literal_from = True, start
            position = _end_of_rich(text, start, opening)
            if opening != "{#":
                codes.append(text[start:position])
    if literal_from < len(text):
        parts.append(text[literal_from:])
    return Template(tuple(parts), is_rich, tuple(codes))


_cached = lru_cache(maxsize=2048)(_parse)


def _end_of_rich(text: str, start: int, opening: str) -> int:
    if found := _rich[opening].match(text, start):
        return found.end()
    closing = _closing[opening]
    end = text.find(closing, start + 2)  # an odd quote inside: as a person would read it
    if end < 0:
        line = text.count("\n", 0, start) + 1
        raise TemplateSyntaxError(f"{opening} in line {line} has no {closing}")
    return end + 2


class Rendering:
    """Adds up what all its texts take, so that a thousand small templates make no gigabyte. `done`: texts that have been
    rendered elsewhere, with their values. Raises NodeError."""

    __slots__ = ("_done", "_left", "_max_bytes", "_scope")

    def __init__(self, scope: Scope, max_bytes: int = max_text_bytes, done: Mapping[str, Value] | None = None) -> None:
        self._scope = scope
        self._max_bytes = max_bytes
        self._done = done or {}
        self._left = max_total_bytes

    def text(self, source: str) -> str:
        """The template as text."""
        if source in self._done:
            rendered = to_text(self._done[source])
            self.spend([rendered])
            return rendered
        rendered = parsed(source).text(self._scope, self._max_bytes)
        self._spend(_bytes_in(rendered))
        return rendered

    def spend(self, texts: list[str]) -> None:
        """Counts texts that were rendered elsewhere, together one."""
        size = sum(_bytes_in(text) for text in texts)
        if size > self._max_bytes:
            raise NodeError("too_large", f"the rendered text is larger than {self._max_bytes} bytes")
        self._spend(size)

    def value(self, value: Value) -> Value:
        """Every text in lists and objects; keys stay."""
        if isinstance(value, str):
            is_done = value in self._done
            rendered = self._done[value] if is_done else parsed(value).value(self._scope, self._max_bytes)
            self._spend(_weight(rendered))
            return rendered
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return value

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise NodeError("too_large", f"the rendered values are larger than {max_total_bytes} bytes together")


def parsed(text: str) -> Template:
    try:
        return parse(text)
    except TemplateSyntaxError as error:
        raise NodeError("invalid_value", error.message) from error


def _weight(value: Value) -> int:
    """Bytes of what was inserted: a list that is inserted a thousand times is stored a thousand times."""
    if isinstance(value, str):
        return _bytes_in(value)
    return size_of(value) if isinstance(value, (list, dict)) else 0


def _bytes_in(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
