"""Keeps secrets out of what comes back: their literal, URL-encoded and base64 forms are replaced."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "[secret]"


class Mask:
    """Of the secrets that one effect used."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in forms_of(secret)}
        # the longest first: a form may hold another
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def data(self, data: bytes) -> bytes:
        for form in self._forms:
            data = data.replace(form.encode(), MASK.encode())
        return data

    def value(self, value: Any) -> Any:
        """Texts and keys in lists and objects."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return value


def forms_of(secret: str) -> set[str]:
    """Every way in which a secret may be written. Base64 in all three alignments, without what its neighbours decide."""
    if not secret:
        return set()
    escaped = json.dumps(secret)[1:-1]
    plain = {secret, escaped, json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe=""), quote_plus(secret)}
    return plain | {quote(secret)} | _base64_forms(secret.encode(errors="surrogatepass"))


def _base64_forms(data: bytes) -> set[str]:
    forms = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        first = {0: 0, 1: 2, 2: 3}[shift]
        spoiled = (shift + len(data)) % 3 != 0
        core = encoded[first : len(encoded) - 1 if spoiled else len(encoded)]
        if len(core) >= 4:
            forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms
