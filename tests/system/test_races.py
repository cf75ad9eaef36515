"""Fifty callers at once, spread over two processes: a turn happens once, and one answer wins."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.system import graphs
from tests.system.caller import Caller, refused, taken
from tests.system.servers import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")
CALLERS = 50


async def everybody(pair: Cluster, call: Callable[[Caller, int], Awaitable[httpx.Response]]) -> list[httpx.Response]:
    """All calls at once, every other one to the second process."""
    return list(await asyncio.gather(*(call(pair.servers[number % 2], number) for number in range(CALLERS))))


def check_that_one_was_first(replies: list[httpx.Response]) -> None:
    assert [reply.status_code for reply in replies] == [200] * CALLERS
    assert len({reply.content for reply in replies}) == 1, "byte for byte"
    assert Counter(reply.headers.get("Idempotency-Replayed") for reply in replies) == {"true": CALLERS - 1, None: 1}


async def test_fifty_posts_of_one_turn_with_one_key_are_one_turn(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("One?", "Two?"))
    run = (await pair.servers[0].started(workflow))["run_id"]
    replies = await everybody(pair, lambda server, _: server.execute(workflow, run, message="a", key="k"))
    check_that_one_was_first(replies)
    assert (replies[0].json()["status"], replies[0].json()["turn_number"]) == ("waiting_for_user_input", 2)
    assert (await pair.servers[1].run(run))["turn_number"] == 2
    assert (await pair.servers[1].turn(run, 2)).items() >= replies[0].json().items()


async def test_fifty_posts_of_one_turn_with_outside_work_and_one_key_perform_it_once(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking_then_working(sleep_seconds=0.5))
    run = (await pair.servers[0].started(workflow))["run_id"]
    replies = await everybody(pair, lambda server, _: server.execute(workflow, run, message="a", key="k"))
    check_that_one_was_first(replies)
    assert replies[0].json()["status"] == "completed"
    assert len(pair.trace("begun", run=run)) == 1


async def test_fifty_starts_with_one_key_are_one_run(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("One?"))
    replies = await everybody(pair, lambda server, _: server.execute(workflow, key="k"))
    check_that_one_was_first(replies)
    found = taken(await pair.servers[0].client.get(f"/v1/workflow-runs?workflow_id={workflow}"))
    assert [run["id"] for run in found["items"]] == [replies[0].json()["run_id"]]


async def test_fifty_starts_with_outside_work_and_one_key_perform_it_once(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.working(sleep_seconds=0.5))
    replies = await everybody(pair, lambda server, _: server.execute(workflow, key="k"))
    check_that_one_was_first(replies)
    assert len(pair.trace("begun", run=replies[0].json()["run_id"])) == 1


async def test_of_fifty_different_answers_with_expected_turn_one_wins(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("One?", "Two?"))
    run = (await pair.servers[0].started(workflow))["run_id"]
    replies = await everybody(
        pair, lambda server, number: server.execute(workflow, run, message=f"answer {number}", expected_turn=2)
    )
    won = [reply for reply in replies if reply.status_code == 200]
    assert len(won) == 1
    for reply in replies:
        if reply is not won[0]:
            assert refused(reply) == (409, "turn_mismatch"), reply.text
            state = reply.json()["run"]
            assert (state["turn_number"], state["status"]) == (2, "waiting_for_user_input")
            assert [pause["prompt"] for pause in state["pauses"]] == ["Two?"]
    given = won[0].json()["events"][0]["messages"][0]["content"]
    last = taken(await pair.servers[1].execute(workflow, run, message="last", expected_turn=3))
    assert last["outputs"] == {"answers": [given, "last"]}


async def test_of_fifty_answers_that_name_the_pause_one_wins(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("One?", "Two?"))
    started = await pair.servers[0].started(workflow)
    run, pause = started["run_id"], started["pauses"][0]["pause_id"]
    replies = await everybody(
        pair, lambda server, number: server.execute(workflow, run, answers={pause: f"answer {number}"})
    )
    assert Counter(reply.status_code for reply in replies) == {200: 1, 409: CALLERS - 1}
    assert {refused(reply)[1] for reply in replies if reply.status_code == 409} == {"pause_already_answered"}
    assert (await pair.servers[0].run(run))["turn_number"] == 2


async def test_of_fifty_stops_one_makes_the_turn_and_all_see_the_run_cancelled(pair: Cluster) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("One?"))
    run = (await pair.servers[0].started(workflow))["run_id"]
    replies = await everybody(pair, lambda server, _: server.execute(workflow, run, command="stop"))
    assert {(taken(reply)["status"], taken(reply)["turn_number"]) for reply in replies} == {("cancelled", 2)}
    assert sum(bool(reply.json()["events"]) for reply in replies) == 1
