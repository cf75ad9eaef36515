"""What a workspace may reach besides public addresses, as of a few seconds ago."""

from __future__ import annotations

from app.ports import AccountStore, Clock

CACHE_SECONDS = 4.0


class Workspaces:
    """Raises StoreUnavailableError."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def allowed_hosts(self, workspace_id: str) -> tuple[str, ...]:
        until, hosts = self._known.get(workspace_id, (0.0, ()))
        if until <= self._clock.now():
            found = await self._store.workspace(workspace_id)
            hosts = found.allowed_hosts if found is not None else ()
            self._known[workspace_id] = (self._clock.now() + CACHE_SECONDS, hosts)
        return hosts
