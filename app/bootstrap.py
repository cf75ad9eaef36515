"""Wires adapters to ports: the only file that knows which adapter fills which port."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar import Litestar

from app.adapters.addresses import AddressGuard
from app.adapters.clock import SystemClock
from app.adapters.embedded import EmbeddedMongo
from app.adapters.http_client import GuardedHttp
from app.adapters.ids import SystemIds
from app.adapters.json_schema import SchemaChecker
from app.adapters.mongo.database import Database, connect
from app.adapters.vault import Vault, key_of_folder
from app.api.app import create_app
from app.api.interactive.views import turn_reply
from app.api.services import Services
from app.engine.state import Limits
from app.ports import Clock, Performer, StoreUnavailableError, Workspace
from app.services.errors import ServiceError
from app.services.follow import Follow
from app.services.forks import Forks
from app.services.keys import PREFIX, Keys
from app.services.performing.http import HttpPerformer
from app.services.runs import Runs
from app.services.samples import SAMPLES
from app.services.secrets import Secrets
from app.services.sweep import Sweep
from app.services.turns import Turns
from app.services.workflows import Workflows
from app.services.workspaces import Workspaces
from app.services.world import GraphCache, World
from app.settings import Settings

FIRST_WORKSPACE = "default"
GREETING_SAMPLE = "Greeting"

# Further performers by operation: a node kind that awaits an effect names one of these, or of `_performers`.
PERFORMERS: dict[str, Performer] = {}


def _performers(database: Database, settings: Settings, clock: Clock) -> dict[str, Performer]:
    """Which performer does which operation."""
    client = GuardedHttp(AddressGuard(settings.outgoing_allow))
    workspaces = Workspaces(database.accounts, clock)
    return {"http": HttpPerformer(client, build_secrets(database, settings, clock), workspaces, clock)}


def build_secrets(database: Database, settings: Settings, clock: Clock) -> Secrets:
    """Secrets under the operator's keys, else under the one in the data folder."""
    keys = settings.secret_keys.get_secret_value() if settings.secret_keys else key_of_folder(settings.data_dir)
    return Secrets(database.secrets, Vault([key.strip() for key in keys.split(",") if key.strip()]), clock)


def limits_of(settings: Settings) -> Limits:
    """The engine's bounds as set in the environment."""
    return Limits(
        turn_executions=settings.limit_turn_executions,
        turn_seconds=settings.limit_turn_seconds,
        node_executions=settings.limit_node_executions,
        branches=settings.limit_parallel_branches,
        text_bytes=settings.limit_text_bytes,
        output_bytes=settings.limit_output_bytes,
        state_bytes=settings.limit_state_bytes,
        events_bytes=settings.limit_events_bytes,
        reply_bytes=settings.limit_reply_bytes,
    )


def build_world(database: Database, settings: Settings, performers: Mapping[str, Performer]) -> World:
    """The services' world over a database."""
    ids, clock = SystemIds(), SystemClock()
    return World(
        runs=database.runs,
        workflows=database.workflows,
        slots=database.slots,
        clock=clock,
        ids=ids,
        checker=SchemaChecker(),
        performers={**_performers(database, settings, clock), **performers},
        render=turn_reply,
        limits=limits_of(settings),
        process=f"{os.getpid()}-{ids.object_id()}",
        retention_seconds=settings.run_retention_days * 86_400.0,
        graphs=GraphCache(database.workflows),
        follow=Follow(database.runs, clock),
    )


@dataclass
class House:
    """An app with its database and its background work."""

    app: Litestar
    database: Database
    world: World
    key_file: Path
    sample_id: str | None
    background: list[asyncio.Task[None]]

    def drain(self) -> None:
        """No new work: open waits and streams end, leases are given back."""
        self.world.draining.set()

    async def close(self) -> None:
        self.drain()
        for task in self.background:
            task.cancel()
        await asyncio.gather(*self.background, return_exceptions=True)
        await self.world.close(0.3)
        await self.database.close()

    def greeting(self, base_url: str, pid: int) -> str:
        """What `serve` prints once it listens."""
        lines = [f"Antiphon serves {base_url} (pid {pid}); the admin key is in {self.key_file}"]
        if self.sample_id is None:
            return lines[0]
        asked = f'curl -s -H "Authorization: Bearer $(cat {self.key_file.resolve()})"'
        posted = f"{asked} -H 'Content-Type: application/json' '{base_url}/v1/workflows/{self.sample_id}/execute'"
        query = f"status=waiting_for_user_input&workflow_id={self.sample_id}&size=1"
        only_id = "grep -oE '\"id\": ?\"[0-9a-f]{24}' | grep -oE '[0-9a-f]{24}'"
        found = f"{asked} '{base_url}/v1/workflow-runs?{query}' | {only_id}"
        answer = '{\\"run_id\\": \\"$RUN\\", \\"run_input\\": {\\"message\\": \\"Ada\\"}}'
        lines += [
            "",
            "# Start a run; it asks for a name and waits:",
            f"{posted} -d '{{\"run_input\": {{}}}}'",
            "",
            f"# Answer it, now or after `kill -9 {pid}` and another scripts/serve:",
            f'RUN=$({found}); {posted} -d "{answer}"',
        ]
        return "\n".join(lines) + "\n"


def build_services(database: Database, settings: Settings, world: World) -> Services:
    """What the HTTP handlers call."""
    return Services(
        turns=Turns(world),
        runs=Runs(world),
        forks=Forks(world),
        workflows=Workflows(database.workflows, world.clock, world.ids, world.checker),
        keys=Keys(database.accounts, world.clock, world.ids),
        secrets=build_secrets(database, settings, world.clock),
        ready=database.ping,
    )


async def open_house(settings: Settings, uri: str) -> House:
    """Connects, makes indexes, prepares a first start, and builds the app. Raises StoreUnavailableError."""
    database = await connect(uri, settings.mongodb_database, SystemClock())
    world = build_world(database, settings, PERFORMERS)
    services = build_services(database, settings, world)
    workspace = await _first_workspace(services.keys, services.workflows, database)
    key_file = await _admin_key(settings, services.keys, workspace)
    return House(
        app=create_app(services, settings),
        database=database,
        world=world,
        key_file=key_file,
        sample_id=await _sample(services.workflows, workspace),
        background=[
            asyncio.ensure_future(Sweep(world).run()),
            asyncio.ensure_future(world.follow.run(world.draining)),
        ],
    )


async def _first_workspace(keys: Keys, workflows: Workflows, database: Database) -> Workspace:
    """The workspace of a first start with its samples. The workspace is inserted last: its presence says that all is."""
    found = await database.accounts.workspace_by_name(FIRST_WORKSPACE)
    if found is not None:
        return found
    workspace_id = SystemIds().object_id()
    for name, graph in SAMPLES.items():
        await workflows.create(workspace_id, name, "", graph)
    try:
        return await keys.create_workspace(FIRST_WORKSPACE, workspace_id)
    except ServiceError:  # another server was first
        return await keys.workspace(FIRST_WORKSPACE)


async def _admin_key(settings: Settings, keys: Keys, workspace: Workspace) -> Path:
    """Makes sure of an admin key, kept in a file that only its owner can read."""
    path = settings.data_dir / "admin.key"
    preset = settings.admin_key.get_secret_value() if settings.admin_key else None
    stored = path.read_text().strip() if path.exists() else None
    if stored is not None and await keys.is_revoked(stored):
        stored = None  # nobody could use the file's key any more
    secret = preset or stored or PREFIX + secrets.token_urlsafe(32)
    if secret != stored:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
        fresh.replace(path)
    await keys.ensure(workspace.id, secret, "admin")
    return path


async def _sample(workflows: Workflows, workspace: Workspace) -> str | None:
    found, _ = await workflows.list(workspace.id, 1, 100)
    return next((record.head.id for record in found if record.head.name == GREETING_SAMPLE), None)


# ---- administration from the command line


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
