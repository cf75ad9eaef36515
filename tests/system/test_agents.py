"""Agents whose servers are killed at any moment: every run ends as if nothing had been, nothing is done again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import httpx

from tests.system.agency import agency, nameless
from tests.system.caller import Json, taken
from tests.system.meanwhile import meanwhile
from tests.system.servers import Cluster, Server

ALL_ONCE = {"ask": 1, "order": 1, "pay": 1, "tell": 1}
RUNS, KILLS, LONG_RUNS, LONG_KILLS = 6, 2, 60, 12


async def begun(server: Server, workflow: str, name: str) -> str:
    """A run of that name; its id."""
    return str((await server.started(workflow, message=name, wait_seconds=0))["run_id"])


async def approve(server: Server, workflow: str, run: str, **more: object) -> httpx.Response:
    return await server.execute(workflow, run, key=f"vote-{run}", message="approve", run_by="ann", **more)


def text_of(run: Json) -> str:
    text: str = run["outputs"]["it"]["text"]
    return text


@meanwhile
async def test_a_kill_at_every_stage_of_an_agent_repeats_only_what_was_in_flight(folder: Path) -> None:
    async with agency() as world, Cluster(folder, processes=2, environment=world.environment) as cluster:
        dead, heir = cluster.servers
        workflow = await dead.workflow(world.graph())
        world.hanging = {("asked", "ask"), ("ordered", "order"), ("paid", "pay"), ("told", "tell")}
        runs = {
            name: await begun(dead, workflow, name) for name in ("calm", "asked", "ordered", "open", "paid", "told")
        }
        for name in ("calm", "open", "paid", "told"):
            await dead.until_status(runs[name], "waiting_for_user_input")
        calm = taken(await approve(dead, workflow, runs["calm"]))
        for name in ("paid", "told"):
            taken(await approve(dead, workflow, runs[name], wait_seconds=0), 202)
        for name, what in (("asked", "ask"), ("ordered", "order"), ("paid", "pay"), ("told", "tell")):
            await world.until_asked(name, what)
        await dead.kill()
        for name in ("asked", "ordered", "open"):
            await heir.until_status(runs[name], "waiting_for_user_input")
            taken(await approve(heir, workflow, runs[name]))
        for name, run in runs.items():
            ended = await heir.until_status(run, "completed")
            assert nameless(ended["outputs"], name) == nameless(calm["outputs"], "calm")
            world.check(name, run)
        assert (
            text_of(calm) == '{"status_code":200,"body":{"order":"calm"}} and {"status_code":200,"body":{"pay":"calm"}}'
        )
        assert {name: world.times(name) for name in runs} == {
            "calm": ALL_ONCE,
            "asked": {**ALL_ONCE, "ask": 2},
            "ordered": {**ALL_ONCE, "order": 2},
            "open": ALL_ONCE,
            "paid": {**ALL_ONCE, "pay": 2},
            "told": {**ALL_ONCE, "tell": 2},
        }


async def test_agents_end_alike_whenever_their_servers_are_killed(tmp_path: Path, long_form: bool) -> None:
    chance = random.Random()
    async with agency() as world, Cluster(tmp_path, processes=2, environment=world.environment) as cluster:
        world.slow = 1.0
        workflow = await cluster.servers[0].workflow(world.graph())
        names = [f"run-{number:02}-" for number in range(LONG_RUNS if long_form else RUNS)]
        kills = LONG_KILLS if long_form else KILLS
        # one after the other, so that a kill meets them at different stages
        lives = [live(cluster, workflow, name, number * 0.4) for number, name in enumerate(names)]
        *ended, _ = await asyncio.gather(*lives, kill(cluster, kills, chance))
        outputs = [nameless(run["outputs"], name) for name, run in zip(names, ended, strict=True)]
        assert all(one == outputs[0] for one in outputs)
        for name, run in zip(names, ended, strict=True):
            world.check(name, run["id"])
            assert max(world.times(name).values()) <= 1 + kills


async def kill(cluster: Cluster, kills: int, chance: random.Random) -> None:
    """So often, one server or the other, which then starts again."""
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        server = chance.choice(cluster.servers)
        await server.kill()
        await server.start()


async def live(cluster: Cluster, workflow: str, name: str, after: float) -> Json:
    """A run from its start to its end, by requests that are sent again until they are answered."""
    await asyncio.sleep(after)
    async with asyncio.timeout(120):
        started = await anywhere(cluster, workflow, None, key=f"start-{name}", message=name, wait_seconds=0)
        run_id = str(started["run_id"])
        while (run := await seen(cluster, run_id))["status"] != "completed":
            assert run["status"] in ("running", "waiting_for_user_input"), run
            if run["status"] == "waiting_for_user_input":
                given = {"key": f"vote-{name}", "message": "approve", "run_by": "ann", "wait_seconds": 0}
                await anywhere(cluster, workflow, run_id, **given)
            await asyncio.sleep(0.1)
        return run


async def anywhere(cluster: Cluster, workflow: str, run_id: str | None, **given: object) -> Json:
    """The turn, by whichever server is there."""
    while True:
        for server in cluster.servers:
            try:
                reply = await server.execute(workflow, run_id, **given)  # type: ignore[arg-type]
            except httpx.TransportError:
                continue
            if reply.status_code != 503:
                return taken(reply, 200, 202)
        await asyncio.sleep(0.1)


async def seen(cluster: Cluster, run_id: str) -> Json:
    while True:
        for server in cluster.servers:
            try:
                reply = await server.client.get(f"/v1/workflow-runs/{run_id}")
            except httpx.TransportError:
                continue
            if reply.status_code != 503:
                return taken(reply)
        await asyncio.sleep(0.1)
