"""kill -9 between turns: what was acknowledged is there, and the next turn goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.system import graphs
from tests.system.caller import acknowledged, available, refused, taken
from tests.system.meanwhile import meanwhile
from tests.system.servers import Cluster


async def test_the_next_turn_completes_after_kill_9_of_the_server(one: Cluster) -> None:
    server = one.servers[0]
    workflow = await server.workflow(graphs.asking("One?", "Two?"))
    run = (await server.started(workflow))["run_id"]
    database = one.mongo_pid
    for turn, (answer, status) in enumerate([("a", "waiting_for_user_input"), ("b", "completed")], 2):
        await server.kill()
        await server.start()
        reply = taken(await server.execute(workflow, run, message=answer))
        assert (reply["status"], reply["turn_number"]) == (status, turn)
    assert reply["outputs"] == {"answers": ["a", "b"]}
    assert one.mongo_pid == database, "the database was left alone and adopted"


async def test_a_server_whose_database_is_away_answers_503_and_goes_on_when_it_is_back(two: Cluster) -> None:
    server, other = two.servers
    workflow = await server.workflow(graphs.asking("One?", "Two?"))
    run = (await server.started(workflow))["run_id"]
    await two.stop_watching()
    two.kill_database()
    replies = await asyncio.gather(
        server.execute(workflow, run, message="a", key="k"),
        server.execute(workflow, message="start"),
        other.client.get(f"/v1/workflow-runs/{run}"),
        other.client.get("/health/ready"),
    )
    for reply in replies:
        assert refused(reply) == (503, "unavailable"), reply.text
        assert int(reply.headers["Retry-After"]) > 0
        assert reply.json().keys() <= {"message", "error", "run"}
    assert (await server.client.get("/health/live")).status_code == 200
    await two.start_database()
    reply = taken(await server.execute(workflow, run, message="a", key="k"))
    assert (reply["status"], reply["turn_number"]) == ("waiting_for_user_input", 2)
    assert taken(await other.execute(workflow, run, message="b"))["status"] == "completed"


async def test_the_server_restarts_its_embedded_database_and_goes_on(one: Cluster) -> None:
    server = one.servers[0]
    workflow = await server.workflow(graphs.asking("One?", "Two?"))
    run = (await server.started(workflow))["run_id"]
    server_pid, killed = server.pid, one.kill_database()
    reply = await acknowledged(server, workflow, run, message="a", key="k")
    assert taken(reply)["turn_number"] == 2
    await one.database_is_back(killed)
    assert (server.pid, server.is_alive) == (server_pid, True)


async def test_acknowledged_turns_survive_kill_9_of_the_embedded_database(one: Cluster, long_form: bool) -> None:
    server = one.servers[0]
    workflow = await server.workflow(graphs.asking_for_ever())
    run, stored = (await server.started(workflow, key="k1"))["run_id"], []
    for turn in range(2, 22 if long_form else 5):
        # killed the moment the reply is in: what is only in the database's memory is lost
        stored.append(taken(await acknowledged(server, workflow, run, message=f"answer {turn}", key=f"k{turn}")))
        await one.database_is_back(one.kill_database())
    for reply in stored:
        kept = taken(await available(server, f"/v1/workflow-runs/{run}/turns/{reply['turn_number']}"))
        assert {key: kept[key] for key in reply} == reply
    assert [reply["turn_number"] for reply in stored] == list(range(2, len(stored) + 2))
    assert (await server.run(run))["turn_number"] == len(stored) + 1


@meanwhile
async def test_an_accepted_turn_survives_kill_9_of_database_and_server_at_once(folder: Path) -> None:
    async with Cluster(folder) as cluster:
        server = cluster.servers[0]
        hold = cluster.hold()
        workflow = await server.workflow(graphs.working(sleep_while=hold.name))
        reply = await server.execute(workflow, key="k", wait_seconds=0)
        cluster.kill_database()
        await server.kill()
        assert reply.status_code == 202
        hold.unlink()
        await server.start()
        run = reply.json()["run_id"]
        closed = await server.until_closed(run, 1)
        assert (closed["status"], closed["outputs"]) == ("completed", {"result": "done"})
        again = await server.execute(workflow, key="k", wait_seconds=0)
        assert (again.status_code, again.headers["Idempotency-Replayed"], again.json()["run_id"]) == (200, "true", run)
        assert {line["key"] for line in cluster.trace()} == {f"{run}:work#2.1"}
