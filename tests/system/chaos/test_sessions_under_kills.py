"""Many sessions while servers and database are killed: no turn is lost, none happens twice, no run is made twice."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any, Final

from tests.system.chaos.kills import Killer
from tests.system.chaos.sessions import TURNS, WITH_WORK, Patient, Session, asking, working
from tests.system.servers import Cluster
from tests.system.supervisor import Supervisor

Json = dict[str, Any]
SEED: Final = "ANTIPHON_CHAOS_SEED"
AT_ONCE: Final = 20
SHORT: Final = (100, 5)  # sessions, kills
LONG: Final = (1_000, 20)


async def test_sessions_of_three_turns_lose_and_double_nothing_while_processes_are_killed(
    two: Cluster, long_form: bool
) -> None:
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    count, kills = LONG if long_form else SHORT
    print(f"\n{SEED}={seed}: {count} sessions, {kills} kills")
    workflows = [await two.servers[0].workflow(graph) for graph in (asking(), working())]
    sessions = [Session(number, workflows[number % WITH_WORK == 0]) for number in range(count)]
    killer = Killer(two, random.Random(seed), kills, count * TURNS)
    async with Patient([server.url for server in two.servers], random.Random(seed + 1)) as patient:
        async with Supervisor(two):
            async with asyncio.TaskGroup() as work:
                work.create_task(_play_all(sessions, patient))
                work.create_task(killer.run(patient))
            print(f"killed: {', '.join(killer.killed)}; {patient.refusals} times a client had to come again")
            for session in sessions:
                await _check(session, patient)
            for workflow in workflows:
                runs = await patient.get(f"/v1/workflow-runs?workflow_id={workflow}&size=1")
                assert runs["total"] == sum(session.workflow_id == workflow for session in sessions)
    assert len(killer.killed) == kills
    assert len({session.run_id for session in sessions}) == count


async def _play_all(sessions: list[Session], patient: Patient) -> None:
    waiting = iter(sessions)

    async def play() -> None:
        for session in waiting:
            await session.play(patient)

    async with asyncio.TaskGroup() as players:
        for _ in range(AT_ONCE):
            players.create_task(play())


async def _check(session: Session, patient: Patient) -> None:
    """Its turns are 1, 2, 3; every reply is the one that is stored; the run ended with the session's own answers."""
    assert [reply["turn_number"] for reply in session.replies] == list(range(1, TURNS + 1))
    assert {reply["run_id"] for reply in session.replies} == {session.run_id}
    assert session.replies[-1]["status"] == "completed"
    assert session.replies[-1]["outputs"]["answers"] == session.answers
    for reply in session.replies:
        stored = await patient.get(f"/v1/workflow-runs/{session.run_id}/turns/{reply['turn_number']}")
        assert {name: stored[name] for name in reply} == reply
    run = await patient.get(f"/v1/workflow-runs/{session.run_id}")
    assert (run["status"], run["turn_number"]) == ("completed", TURNS)
