"""Databases over clients of our own making: with a listener for every command that is sent, with other timeouts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from app.adapters.mongo.database import OPTIONS, Database, over
from app.ports import Clock

WRITES = ("insert", "update", "delete", "findAndModify")


class Commands(CommandListener):
    """Those that were begun since it was last cleared."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.seen.append((event.command_name, event.command))

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...

    def names(self) -> list[str]:
        """In order, each with its collection."""
        return [f"{name} {command[name]}" for name, command in self.seen]


@asynccontextmanager
async def opened(uri: str, clock: Clock, name: str = "antiphon", **options: Any) -> AsyncIterator[Database]:
    """A database as `connect` makes it, but for these options of the driver; closed in the end."""
    client: Any = AsyncIOMotorClient(uri, **{**OPTIONS, **options})
    database = await over(client, name, clock)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def listened(uri: str, name: str, clock: Clock) -> AsyncIterator[tuple[Database, Commands]]:
    """A database, and its commands from now on."""
    commands = Commands()
    async with opened(uri, clock, name, event_listeners=[commands]) as database:
        commands.seen.clear()
        yield database, commands
