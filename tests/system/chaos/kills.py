"""kill -9 at random moments: of a server, of the database, of both at once."""

from __future__ import annotations

import asyncio
import random
import signal
from typing import Final

from tests.system.chaos.sessions import Patient
from tests.system.servers import Cluster

SERVER, DATABASE, BOTH = "server", "database", "both"
_victims: Final = (SERVER, SERVER, SERVER, DATABASE, BOTH)


class Killer:
    """Kills when certain numbers of turns have been acknowledged, and a moment after: the moments lie all over the work,
    however fast the machine is, and anywhere within a turn."""

    def __init__(self, cluster: Cluster, chance: random.Random, kills: int, turns: int) -> None:
        self.killed: list[str] = []
        self._cluster = cluster
        self._chance = chance
        self._moments = sorted(chance.sample(range(1, turns - 1), kills))

    async def run(self, patient: Patient) -> None:
        """Until the last kill."""
        for moment in self._moments:
            await patient.until(moment)
            await asyncio.sleep(self._chance.random() / 20)
            victim = self._chance.choice(_victims)
            if victim != DATABASE:
                await self._kill_a_server()
            if victim != SERVER:
                self._cluster.kill_database()
            self.killed.append(victim)

    async def _kill_a_server(self) -> None:
        """One that lives; the supervisor starts it again."""
        while not (alive := [one for one in self._cluster.servers if one.is_alive]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self._chance.choice(alive).send(signal.SIGKILL)
