"""The databases that tests run on: mongomock in this process, the embedded server, and a real MongoDB when one is named."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mongomock_motor import AsyncMongoMockClient

from app.adapters.clock import SystemClock
from app.adapters.embedded import EmbeddedMongo
from app.adapters.mongo.database import Database, connect, over
from app.ports import Clock

REAL_URI = os.environ.get("TEST_MONGODB_URI")
STORES = ["mock", "embedded", *(["mongodb"] if REAL_URI else [])]


async def mock_database(clock: Clock | None = None) -> Database:
    """A fresh one; gone with its last reference."""
    return await over(AsyncMongoMockClient(), "antiphon", clock or SystemClock(), bulk=False)


@asynccontextmanager
async def fresh_database(uri: str, clock: Clock | None = None) -> AsyncIterator[Database]:
    """A database of a name of its own on a server, dropped at the end."""
    database = await connect(uri, f"antiphon_test_{secrets.token_hex(6)}", clock or SystemClock())
    try:
        yield database
    finally:
        await database.client.drop_database(database.raw.name)
        await database.close()


@asynccontextmanager
async def embedded_server(folder: Path) -> AsyncIterator[str]:
    """The URI of an embedded server of its own."""
    mongo = EmbeddedMongo(folder)
    try:
        yield await mongo.start()
    finally:
        await mongo.stop()
