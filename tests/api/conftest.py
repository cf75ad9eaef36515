"""Fixtures of the API's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from app import bootstrap
from app.api.app import create_app
from app.services.sweep import Sweep
from app.settings import Settings
from tests.api.sites import Site, client_of
from tests.hidden import stored
from tests.stores import mock_database
from tests.stub_http import Stub, stub


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Site]:
    """The house as bootstrap builds it, over a database in memory, with a key for secrets that needs no file."""
    settings = settings.model_copy(update={"secret_keys": SecretStr("a key of these tests")})
    database = await mock_database()
    registry = CollectorRegistry()
    world = bootstrap.build_world(database, settings, bootstrap.PERFORMERS, registry)
    services = bootstrap.build_services(database, settings, world)
    keys = services.keys
    app = create_app(services, settings, registry)
    ours, other = await keys.create_workspace("ours"), await keys.create_workspace("other")
    secrets = {scope: (await keys.create(ours.id, [scope]))[1] for scope in ("read", "run", "edit", "admin")}
    secrets["other"] = (await keys.create(other.id, ["admin"]))[1]
    background = [
        asyncio.ensure_future(Sweep(world).run()),
        asyncio.ensure_future(world.follow.run(world.draining)),
    ]
    async with client_of(app) as http:
        site = Site(app, world, http, secrets)
        for provider in settings.shared_providers().values():
            site.hidden.add(provider.api_key)
        yield site
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    await world.close(0.1)
    site.hidden.look("the database", await stored(database.raw))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(Settings()) as found:
        yield found


@pytest.fixture
async def guarded_site() -> AsyncIterator[Site]:
    """With a small body limit, and browsers allowed from one origin."""
    async with opened(Settings(max_body_bytes=2048, cors_origins=("https://ours.example",))) as found:
        yield found


@pytest.fixture
async def server() -> AsyncIterator[Stub]:
    async with stub() as found:
        yield found


@pytest.fixture
async def outgoing_site(server: Stub) -> AsyncIterator[Site]:
    """One that may reach the server."""
    async with opened(Settings(outgoing_allow=(server.place,))) as found:
        yield found
