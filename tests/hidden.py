"""What must be found nowhere: the secrets and keys that a test gives to a server are looked for, in every spelling, in every
reply that it gets, and in what the server wrote and stored when the test is over."""

from __future__ import annotations

import base64
import json
from typing import Any, Final
from urllib.parse import quote, quote_plus

import bson
import httpx
import msgspec

LEAST: Final = 8  # characters: shorter ones stand in any text
GIVEN: Final = ("/v1/secrets/", "/v1/providers/")


def spellings(value: str) -> list[bytes]:
    """Literal, URL-encoded, in JSON and base64, with the user of basic authentication too."""
    texts = [value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]]
    texts += [json.dumps(value, ensure_ascii=False)[1:-1]]
    packed = [base64.b64encode(data) for data in (value.encode(), f"us:{value}".encode())]
    packed += [base64.urlsafe_b64encode(value.encode())]
    return [*(text.encode() for text in texts), *(data.rstrip(b"=") for data in packed)]


async def stored(database: Any) -> bytes:
    """Every document of every collection, as it is kept."""
    names = await database.list_collection_names()
    return b"\n".join([bson.encode(doc) for name in names async for doc in database[name].find()])


class Hidden:
    """Of one server, or of several over one database."""

    def __init__(self) -> None:
        self._forms: dict[bytes, None] = {}

    @property
    def is_empty(self) -> bool:
        return not self._forms

    def add(self, value: object) -> None:
        """A key or a secret; a reference to one is none."""
        if isinstance(value, str) and len(value) >= LEAST and "{{" not in value:
            try:
                self._forms |= dict.fromkeys(spellings(value))
            except UnicodeEncodeError:
                return  # it is refused

    def look(self, place: str, data: bytes) -> None:
        found = [form for form in self._forms if form in data]
        assert found == [], f"{place} holds {found}"

    async def note(self, request: httpx.Request) -> None:
        """A hook of a client: what is put is to be found nowhere from now on."""
        if request.method == "PUT" and request.url.path.startswith(GIVEN):
            try:
                body = msgspec.json.decode(request.content)
            except (msgspec.DecodeError, httpx.RequestNotRead):
                return
            for name in ("value", "api_key"):
                self.add(body.get(name) if isinstance(body, dict) else None)

    async def check(self, response: httpx.Response) -> None:
        """A hook of a client: streams are for their readers to look through."""
        if self._forms and not response.headers.get("content-type", "").startswith("text/event-stream"):
            await response.aread()
            if not response.request.url.path.startswith("/schema"):  # its examples are made up like those of tests
                self.look(f"the reply to {response.request.method} {response.request.url.path}", response.content)
