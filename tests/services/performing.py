"""The http effect performed against a stub, with secrets of a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.mongo.database import Database
from app.adapters.vault import Vault
from app.engine.seal import Seal, Sealed, SecretRef, Text
from app.ports import EffectContext, EffectError
from app.services.performing.http import HttpPerformer
from app.services.secrets import Secrets
from app.services.workspaces import Workspaces
from tests.conformance.samples import NOW, SetClock, new_id
from tests.stub_http import Asked, Stub

OURS, OTHER = new_id(), new_id()
KEY = "run:call#1.1"
TOKEN, PASSWORD = 't0ken/+ö"x', "p&ss: w%rd"


class Site:
    def __init__(self, database: Database, server: Stub) -> None:
        self.clock = SetClock(NOW)
        self.server = server
        self.secrets = Secrets(database.secrets, Vault(["k" * 16]), self.clock)
        workspaces = Workspaces(database.accounts, self.clock)
        self.performer = HttpPerformer(GuardedHttp(AddressGuard()), self.secrets, workspaces, self.clock)

    async def perform(self, fields: Mapping[str, Any], /, workspace: str = OURS, **call: Any) -> Any:
        """`fields` with `("name",)` in the place of a secret's reference, alone or in a list of parts."""
        given: dict[str, Any] = {"url": self.server.url, **fields}
        seals = tuple(Seal(path, parts) for path, parts in places(given, ()))
        request = {"fields": Sealed(shown(given), seals), "method": "GET", **call}
        context = EffectContext(
            workspace=workspace,
            run_id="run",
            effect_id="call#1.1",
            idempotency_key=KEY,
            attempt=1,
            operation="http",
            request=msgspec.to_builtins(request),
        )
        return await self.performer.perform(context)

    async def failure(self, fields: Mapping[str, Any], /, **call: Any) -> EffectError:
        with pytest.raises(EffectError) as caught:
            await self.perform(fields, **call)
        return caught.value

    @property
    def asked(self) -> Asked:
        return self.server.asked[-1]


def places(value: Any, path: tuple[Any, ...]) -> Any:
    if isinstance(value, tuple):
        yield path, tuple(SecretRef(part[0]) if isinstance(part, tuple) else Text(part) for part in value)
    elif isinstance(value, (list, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return "a reference"
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    return [shown(item) for item in value] if isinstance(value, list) else value


def secret(name: str, before: str = "", after: str = "") -> Any:
    return (before, (name,), after)
