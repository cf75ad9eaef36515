"""Connecting to MongoDB: one client, the indexes made, the stores on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import beanie
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from app.adapters.mongo.accounts import MongoAccounts
from app.adapters.mongo.documents import DOCUMENTS
from app.adapters.mongo.failures import translate
from app.adapters.mongo.providers import MongoProviders
from app.adapters.mongo.runs import MongoRuns
from app.adapters.mongo.secrets import MongoSecrets
from app.adapters.mongo.slots import MongoSlots
from app.adapters.mongo.workflows import MongoWorkflows
from app.ports import Clock

# A write is acknowledged when a majority has it in its journal: only that survives a kill -9 of the database. We repeat
# lost writes ourselves, by what they must find; the driver's own repetition would hide which one was lost.
OPTIONS: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "retryWrites": False,
    "serverSelectionTimeoutMS": 2_000,
    "connectTimeoutMS": 2_000,
    "socketTimeoutMS": 10_000,
    "maxPoolSize": 100,
    "appname": "antiphon",
}


@dataclass
class Database:
    """The stores over one MongoDB database."""

    client: Any
    raw: Any
    runs: MongoRuns
    workflows: MongoWorkflows
    accounts: MongoAccounts
    slots: MongoSlots
    secrets: MongoSecrets
    providers: MongoProviders

    async def ping(self) -> bool:
        """Whether it answers. Raises StoreUnavailableError."""
        try:
            await self.raw.command("ping")
        except PyMongoError as error:
            translate(error)
        return True

    async def close(self) -> None:
        self.client.close()


async def connect(uri: str, name: str, clock: Clock) -> Database:
    """Raises StoreUnavailableError."""
    client: Any = AsyncIOMotorClient(uri, **OPTIONS)
    return await over(client, name, clock)


async def over(client: Any, name: str, clock: Clock, *, bulk: bool = True) -> Database:
    """The stores over a client, indexes made. `bulk`: it can do bulk writes (mongomock cannot)."""
    raw = client[name]
    try:
        await beanie.init_beanie(database=raw, document_models=DOCUMENTS)
        database = Database(
            client=client,
            raw=raw,
            runs=MongoRuns(raw, clock, bulk=bulk),
            workflows=MongoWorkflows(raw),
            accounts=MongoAccounts(raw),
            slots=MongoSlots(raw),
            secrets=MongoSecrets(raw),
            providers=MongoProviders(raw),
        )
        await database.runs.prepare()
        await database.workflows.prepare()
    except PyMongoError as error:
        client.close()
        translate(error)
    return database
