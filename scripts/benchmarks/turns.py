"""The measurements that go over HTTP. Every one alternates its two sides, round by round."""

import asyncio
from pathlib import Path
from typing import Final

import psutil

from scripts.benchmarks import paused
from scripts.benchmarks.floor import Floor
from scripts.benchmarks.http import Client, Talk
from scripts.benchmarks.site import Site
from scripts.benchmarks.taken import Rounds, Taken

SETTLE_SECONDS: Final = 0.3  # what follows replies (archiving) is not to fall into the other side's round
POOL: Final = 64


async def against_floor(
    site: Site, client: Client, floor: Floor, in_flight: int, rounds: int, seconds: float
) -> tuple[Rounds, Rounds]:
    """Turns against the pair of operations at the same concurrency: without indexes, and with those of the runs."""
    bare, indexed = Rounds(), Rounds()
    server = psutil.Process(site.process.pid)
    talks = await client.talks(POOL)
    for _ in range(rounds):
        before = server.cpu_times()
        one = await client.turns(talks, in_flight, seconds)
        await asyncio.sleep(SETTLE_SECONDS)
        after = server.cpu_times()
        one.cpu_seconds = after.user + after.system - before.user - before.system
        for found, with_indexes in ((bare, False), (indexed, True)):
            found.ours.append(one)
            found.theirs.append(await asyncio.to_thread(floor.measure, in_flight, seconds, with_indexes))
    return bare, indexed


async def late_against_early(client: Client, runs: int, turn: int, pairs: int) -> Rounds:
    """Turn 1,000 and those that follow it against turn 2 of fresh runs, one by one."""
    old = await client.talks(runs, turn - 1, runs)
    fresh = await client.talks(pairs, 1)
    connection = (await client.connections(1))[0]
    found = Rounds()
    share = max(1, pairs // 10)
    for first in range(0, pairs, share):
        late: list[float] = []
        early: list[float] = []
        for at in range(first, min(first + share, pairs)):
            late.append(await old[at % runs].next(connection))
            early.append(await fresh[at].next(connection))
        found.ours.append(Taken(late, sum(late)))
        found.theirs.append(Taken(early, sum(early)))
    return found


async def full_against_empty(folder: Path, many: int, few: int, rounds: int, seconds: float) -> Rounds:
    """Turns on a server whose store has `many` paused runs against one with `few`, at 1 in flight."""
    found = Rounds()
    with Site(folder / "many") as full, Site(folder / "few") as empty:
        clients = [Client(full), Client(empty)]
        talks: list[list[Talk]] = [await client.talks(POOL) for client in clients]
        for site, count in ((full, many), (empty, few)):
            await asyncio.to_thread(paused.fill, site, count)
        sides = [*zip(clients, talks, (found.ours, found.theirs), strict=True)]
        for one in range(rounds):
            for client, mine, side in sides if one % 2 else reversed(sides):
                side.append(await client.turns(mine, 1, seconds))
                await asyncio.sleep(SETTLE_SECONDS)
        for client in clients:
            client.close()
    return found
