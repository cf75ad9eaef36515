"""Keeps secrets out of what comes back: their literal, URL-encoded and base64 forms are replaced."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

from app.engine.values import Value

MASK: Final = "[secret]"
LEAST_BASE64: Final = 4  # characters: shorter pieces stand in any text
LONG: Final = 256  # characters: of longer secrets only whole forms are looked for, patterns would take too long

_short: Final = {'"': r"\"", "\\": r"\\", "/": r"\/", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\b": r"\b", "\f": r"\f"}
_named: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


class Mask:
    """Of the secrets that one effect used."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # the longest first: one secret may hold another
        ordered = sorted({secret for secret in secrets if secret}, key=lambda secret: (-len(secret), secret))
        short = [secret for secret in ordered if len(secret) <= LONG]
        forms = [form for secret in short for form in (_written(secret), *map(re.escape, base64_forms(secret)))]
        self._forms = re.compile("|".join(forms)) if forms else None
        self._long = [form for secret in ordered if len(secret) > LONG for form in whole_forms(secret)]

    def text(self, text: str) -> str:
        for form in self._long:
            text = text.replace(form, MASK)
        return self._forms.sub(MASK, text) if self._forms else text

    def edge(self, text: str, at: int) -> int:
        """The same place, or where the secret begins that lies across it."""
        for match in self._forms.finditer(text) if self._forms else ():
            if match.end() > at:
                return min(match.start(), at)
        return at

    def data(self, data: bytes) -> bytes:
        """Of no known charset."""
        if self._forms is None and not self._long:
            return data
        text = data.decode(errors="surrogateescape")
        return self.text(text).encode(errors="surrogateescape")

    def value(self, value: Value) -> Value:
        """Texts and keys in lists and objects, and numbers that read like a secret."""
        if value is None or isinstance(value, bool) or (self._forms is None and not self._long):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)):
            return MASK if self._forms is not None and self._forms.search(str(value)) else value
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return value


def _written(secret: str) -> str:
    """A pattern of the secret, where each character may be as it is or escaped, as URLs, JSON and HTML do it: libraries
    differ in which ones they escape."""
    return "".join(_character(character) for character in secret)


def _character(character: str) -> str:
    forms = spellings(character)
    return forms[0] if len(forms) == 1 else f"(?:{'|'.join(forms)})"


def spellings(character: str) -> list[str]:
    """Patterns of all the ways to write it."""
    if character.isascii() and character.isalnum():
        return [character]
    encoded = "".join(f"%{byte:02x}" for byte in character.encode(errors="surrogatepass"))
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    forms = [re.escape(character), _any_case(encoded), _any_case(escaped)]
    forms += [re.escape(_short[character])] if character in _short else []
    forms += [r"\+"] if character == " " else []
    forms += [f"&{_named[character]};"] if character in _named else []
    forms += [rf"&\#(?:0*{ord(character)}|[xX]0*(?i:{ord(character):x}));"]
    return forms


def whole_forms(secret: str) -> list[str]:
    """A secret as libraries write it as a whole: as it is, in URLs, JSON and HTML, in base64. The longest first."""
    data = secret.encode(errors="surrogatepass")
    forms = {secret, html.escape(secret), html.escape(secret, quote=False), *base64_forms(secret)}
    for encoded in (quote(data, safe=""), quote(data), quote_plus(data), quote(data, safe="/:?#[]@!$&'()*+,;=~")):
        forms |= {encoded, re.sub("%..", lambda found: found[0].lower(), encoded)}
    for ascii_only in (True, False):
        written = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        forms |= {written, written.replace("/", r"\/")}
    return sorted(forms, key=lambda form: (-len(form), form))


def _any_case(escape: str) -> str:
    """The hexadecimal digits in either case."""
    return f"(?i:{re.escape(escape)})"


def base64_forms(secret: str) -> list[str]:
    """In all three alignments, without what its neighbours decide; in both alphabets. The longest first."""
    data = secret.encode(errors="surrogatepass")
    forms: set[str] = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        first = (0, 2, 3)[shift]
        spoiled = (shift + len(data)) % 3 != 0
        core = encoded[first : len(encoded) - 1 if spoiled else len(encoded)]
        if len(core) >= LEAST_BASE64:
            forms |= {core, core.replace("+", "-").replace("/", "_")}
    return sorted(forms, key=lambda form: (-len(form), form))
