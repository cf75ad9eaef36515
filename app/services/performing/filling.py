"""Secrets in what an effect sends: fetched before anything is sent, put in where the author wrote them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from app.engine.seal import Sealed, unseal
from app.ports import Clock, EffectError, StoreUnavailableError
from app.services.links import Link
from app.services.secrets import Secrets
from app.services.workspaces import Workspaces

AWAY_SECONDS: Final = 0.5
Found = TypeVar("Found")


async def waited_for(clock: Clock, ask: Callable[[], Awaitable[Found]]) -> Found:
    """Before anything is sent, a database that is away is waited for as long as the attempt may take."""
    while True:
        try:
            return await ask()
        except StoreUnavailableError:
            await clock.sleep(AWAY_SECONDS)


async def prepared(
    secrets: Secrets, workspaces: Workspaces, clock: Clock, workspace: str, fields: Sealed
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The secrets that the fields need, by name, and where the workspace may go besides public addresses. Raises
    EffectError."""

    async def ask() -> tuple[dict[str, str], tuple[str, ...]]:
        return await secrets.reveal(workspace, fields.names()), await workspaces.allowed_hosts(workspace)

    return await waited_for(clock, ask)


def filled(fields: Sealed, secrets: dict[str, str], links: Sequence[Link] = ()) -> dict[str, Any]:
    """What is sent, with its secrets and links. Raises EffectError."""
    try:
        found: dict[str, Any] = unseal(fields, secrets, [link.shown() for link in links])
    except LookupError as error:
        raise EffectError("invalid_reference", f"{error.args[0]} cannot be read: there is no such link") from None
    return found
