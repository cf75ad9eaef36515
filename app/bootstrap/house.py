"""A server opened over its database: what a first start prepares, the app, and its work in the background."""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from litestar import Litestar
from prometheus_client import CollectorRegistry

from app.adapters.clock import SystemClock
from app.adapters.ids import SystemIds
from app.adapters.mongo.database import Database, connect
from app.api.app import create_app
from app.bootstrap.wiring import PERFORMERS, build_services, build_world
from app.ports import Workspace
from app.services.errors import ServiceError
from app.services.keys import PREFIX, Keys
from app.services.samples import SAMPLES
from app.services.sweep import Sweep
from app.services.workflows import Workflows
from app.services.world import World
from app.settings import Settings

FIRST_WORKSPACE = "default"
GREETING_SAMPLE = "Greeting"


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


async def open_house(settings: Settings, uri: str) -> House:
    """Connects, makes indexes, prepares a first start, and builds the app. Raises StoreUnavailableError."""
    database = await connect(uri, settings.mongodb_database, SystemClock())
    registry = CollectorRegistry()
    world = build_world(database, settings, PERFORMERS, registry)
    services = build_services(database, settings, world)
    workspace = await _first_workspace(services.keys, services.workflows, database)
    key_file = await _admin_key(settings, services.keys, workspace)
    return House(
        app=create_app(services, settings, registry),
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
