"""Keys and workspaces from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.adapters.clock import SystemClock
from app.adapters.embedded import EmbeddedMongo
from app.adapters.ids import SystemIds
from app.adapters.mongo.database import connect
from app.ports import StoreUnavailableError
from app.services.errors import ServiceError
from app.services.keys import Keys
from app.settings import Settings


async def administer(settings: Settings, action: str, **details: Any) -> str:
    """Carries out `keys.create|list|revoke`, `workspaces.create`; the text to print. Raises LookupError, ValueError."""
    uri, stop = await _address(settings)
    try:
        database = await connect(uri, settings.mongodb_database, SystemClock())
        try:
            return await _administer(Keys(database.accounts, SystemClock(), SystemIds()), action, details)
        finally:
            await database.close()
    except ServiceError as error:
        raise ValueError(error.message) from error
    except StoreUnavailableError as error:
        raise LookupError("the database cannot be reached") from error
    finally:
        if stop is not None:
            await stop.stop()


async def _address(settings: Settings) -> tuple[str, EmbeddedMongo | None]:
    """The database to administer: the given one, a running embedded one, or one started for the duration."""
    if settings.mongodb_uri is not None:
        return settings.mongodb_uri.get_secret_value(), None
    mongo = EmbeddedMongo(settings.data_dir)
    running = mongo.running_uri()
    return (running, None) if running else (await mongo.start(), mongo)


async def _administer(keys: Keys, action: str, details: Mapping[str, Any]) -> str:
    match action:
        case "keys.create":
            workspace = await keys.workspace(details["workspace"])
            key, secret = await keys.create(workspace.id, details["scopes"], details.get("name") or "")
            return f"{secret}\n(id {key.id}, shown this once)"
        case "keys.list":
            workspace = await keys.workspace(details["workspace"])
            found = await keys.list(workspace.id)
            return "\n".join(
                f"{key.id}  {key.prefix}…  {','.join(key.scopes)}  {'revoked' if key.revoked_at else 'active'}  {key.name}"
                for key in found
            )
        case "keys.revoke":
            await keys.revoke(details["id"])
            return f"{details['id']} is revoked"
        case "workspaces.create":
            workspace = await keys.create_workspace(details["name"])
            return f"{workspace.id}  {workspace.name}"
        case "workspaces.allow":
            workspace = await keys.allow(await keys.workspace(details["workspace"]), details["place"])
            return f"{workspace.name} may reach {', '.join(workspace.allowed_hosts)}"
        case _:
            raise ValueError(f"unknown action {action!r}")
