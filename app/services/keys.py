"""API keys and workspaces: a key is shown once, only its SHA-256 is stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import cast, get_args

from msgspec.structs import replace

from app.ports import AccountStore, ApiKey, Clock, DuplicateError, Ids, Scope, Workspace
from app.services.errors import ServiceError

CACHE_SECONDS = 4.0  # a revoked key stops within 5 s everywhere
CACHE_KEYS = 10_000
PREFIX = "ak_"


def digest_of(secret: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


class Keys:
    """Makes, finds and revokes keys. Raises ServiceError, StoreUnavailableError."""

    def __init__(self, store: AccountStore, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._known: dict[str, tuple[float, ApiKey]] = {}

    async def authenticate(self, secret: str) -> ApiKey | None:
        """The key, if it is known, not expired and not revoked (as of at most 4 s ago)."""
        digest, now = digest_of(secret), self._clock.now()
        cached = self._known.get(digest)
        if cached is None or cached[0] <= now:
            key = await self._store.key_by_digest(digest)
            if key is None or key.revoked_at is not None:
                self._known.pop(digest, None)
                return None
            if len(self._known) >= CACHE_KEYS:
                self._known.clear()
            cached = self._known[digest] = (now + CACHE_SECONDS, key)
        key = cached[1]
        return None if key.expires_at is not None and key.expires_at <= now else key

    async def create(
        self, workspace: str, scopes: Iterable[str], name: str = "", secret: str | None = None
    ) -> tuple[ApiKey, str]:
        """The key and its secret. Raises ServiceError for an unknown scope."""
        chosen = tuple(scopes)
        unknown = [scope for scope in chosen if scope not in get_args(Scope)]
        if unknown or not chosen:
            raise ServiceError("invalid_value", f"scopes are {', '.join(get_args(Scope))}; not {unknown}")
        secret = secret or PREFIX + secrets.token_urlsafe(32)
        key = ApiKey(
            id=self._ids.object_id(),
            workspace=workspace,
            name=name,
            prefix=secret[:7],
            digest=digest_of(secret),
            scopes=cast(tuple[Scope, ...], chosen),
            created_at=self._clock.now(),
        )
        await self._store.insert_key(key)
        return key, secret

    async def is_revoked(self, secret: str) -> bool:
        found = await self._store.key_by_digest(digest_of(secret))
        return found is not None and found.revoked_at is not None

    async def ensure(self, workspace: str, secret: str, name: str) -> None:
        """An admin key with a secret that was given from outside; nothing happens when it is there."""
        found = await self._store.key_by_digest(digest_of(secret))
        if found is None:
            with suppress(DuplicateError):  # another server was first
                await self.create(workspace, ["admin"], name, secret)

    async def list(self, workspace: str) -> list[ApiKey]:
        return list(await self._store.keys(workspace))

    async def revoke(self, key_id: str) -> None:
        """Raises not_found."""
        if not await self._store.revoke_key(key_id, self._clock.now()):
            raise ServiceError("not_found", "no such key")

    async def create_workspace(self, name: str, workspace_id: str | None = None) -> Workspace:
        """Raises ServiceError when the name is taken."""
        workspace = Workspace(id=workspace_id or self._ids.object_id(), name=name, created_at=self._clock.now())
        try:
            await self._store.insert_workspace(workspace)
        except DuplicateError as error:
            raise ServiceError("invalid_value", f"there is a workspace {name!r} already") from error
        return workspace

    async def workspace_by_id(self, workspace_id: str) -> Workspace:
        """Raises not_found."""
        found = await self._store.workspace(workspace_id)
        if found is None:
            raise ServiceError("not_found", "no such workspace")
        return found

    async def update_workspace(
        self,
        workspace_id: str,
        *,
        name: str | None = None,
        limit_given: bool = False,
        max_concurrent_runs: int | None = None,
    ) -> Workspace:
        """A new name; a new limit when `limit_given` (None: no limit). Raises not_found, invalid_value (name taken)."""
        found = await self.workspace_by_id(workspace_id)
        changed = replace(
            found,
            name=found.name if name is None else name,
            max_concurrent_runs=max_concurrent_runs if limit_given else found.max_concurrent_runs,
        )
        try:
            await self._store.update_workspace(changed)
        except DuplicateError as error:
            raise ServiceError("invalid_value", f"there is a workspace {name!r} already") from error
        return changed

    async def allow(self, workspace: Workspace, place: str) -> Workspace:
        """Lets the workspace's workflows reach an inner address."""
        changed = replace(workspace, allowed_hosts=tuple(dict.fromkeys((*workspace.allowed_hosts, place))))
        await self._store.update_workspace(changed)
        return changed

    async def workspace(self, name: str) -> Workspace:
        """By name or id. Raises not_found."""
        found = await self._store.workspace_by_name(name) or await self._store.workspace(name)
        if found is None:
            raise ServiceError("not_found", f"no workspace {name!r}")
        return found
