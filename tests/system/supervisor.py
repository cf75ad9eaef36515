"""Keeps servers alive: whoever is killed is started again, and again."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from tests.system.servers import Cluster, Server, ServerError


class Supervisor:
    """While entered, every server of the cluster that dies is restarted. `deaths` counts them."""

    def __init__(self, cluster: Cluster) -> None:
        self._servers = cluster.servers
        self._tasks: list[asyncio.Task[None]] = []
        self.deaths = 0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._keep(server)) for server in self._servers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, server: Server) -> None:
        while True:
            await asyncio.sleep(0.05)
            if server.is_alive:
                continue
            self.deaths += 1
            try:
                await server.start()
            except ServerError:  # killed before it listened
                continue
