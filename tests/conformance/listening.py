"""Databases over clients of our own making: with a listener for every command that is sent, with other timeouts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
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


class Meanwhile(CommandListener):
    """Lets something happen just before a command is sent: what another process does in between, at its worst moment."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._planned: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {}
        self.happened: list[str] = []

    def before(self, command: str, happens: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Once. `command` is as in `Commands.names`; `happens` must use other stores than the ones listened to."""
        self._planned[command] = happens

    def started(self, event: CommandStartedEvent) -> None:
        command = f"{event.command_name} {event.command[event.command_name]}"
        happens = self._planned.pop(command, None)
        if happens is not None:  # in a thread of the driver's, so that the loop is free meanwhile
            asyncio.run_coroutine_threadsafe(happens(), self._loop).result()
            self.happened.append(command)

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


@asynccontextmanager
async def interrupted(uri: str, name: str, clock: Clock) -> AsyncIterator[tuple[Database, Meanwhile]]:
    """A database whose commands can be waited for."""
    meanwhile = Meanwhile()
    async with opened(uri, clock, name, event_listeners=[meanwhile]) as database:
        yield database, meanwhile
