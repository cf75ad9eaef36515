"""The event stream of a run: one over all turns, from every process, resumable at every event."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import httpx
import pytest

from tests.system import graphs
from tests.system.caller import refused, taken
from tests.system.meanwhile import meanwhile
from tests.system.reading import Frame, events, stream
from tests.system.servers import Cluster

sharing = pytest.mark.asyncio(loop_scope="session")


async def ended_run(pair: Cluster, turns: int = 12) -> str:
    """A run of many turns by two processes, some of them archived by now, the last one with outside work."""
    workflow = await pair.servers[0].workflow(graphs.asking(*(f"Question {n}?" for n in range(2, turns + 1))))
    run = str((await pair.servers[0].started(workflow, message="Hello"))["run_id"])
    for turn in range(2, turns + 1):
        taken(await pair.servers[turn % 2].execute(workflow, run, message=f"answer {turn}"))
    return run


def whole(frames: list[Frame]) -> list[tuple[int | None, str, object]]:
    return [(frame.id, frame.event, frame.data) for frame in frames]


@sharing
async def test_a_stream_resumes_at_every_event_and_brings_each_once_in_order(pair: Cluster) -> None:
    run = await ended_run(pair)
    every = await events(pair.servers[0], run)
    assert [frame.id for frame in every] == list(range(1, len(every) + 1))
    assert every[0].data["run_id"] == run
    assert every[-1].event == "end_workflow"
    for last in range(len(every)):
        resumed = await events(pair.servers[last % 2], run, last)
        assert whole(resumed) == whole(every[last:])
    assert await events(pair.servers[1], run, len(every)) == [], "the stream of an ended run ends"
    turns = [await pair.servers[1].turn(run, turn) for turn in range(1, 13)]
    told = [{**event, "run_id": run} for turn in turns for event in turn["events"]]
    assert [frame.data for frame in every] == told, "the replies tell the same"


@sharing
async def test_a_reader_that_loses_its_connection_after_every_event_misses_and_repeats_none(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.asking("One?", "Two?", "Three?"))
    run = (await server.started(workflow))["run_id"]

    async def read() -> list[Frame]:
        found: list[Frame] = []
        while not found or found[-1].event != "end_workflow":
            process = pair.servers[len(found) % 2]
            found += await events(process, run, found[-1].id if found else None, count=1)
        return found

    reading = asyncio.ensure_future(read())
    for turn in range(2, 5):
        await asyncio.sleep(0.2)
        taken(await other.execute(workflow, run, message=f"answer {turn}"))
    async with asyncio.timeout(30):
        found = await reading
    assert [frame.id for frame in found] == list(range(1, len(found) + 1))
    assert whole(found) == whole(await events(server, run))


@sharing
async def test_a_reader_at_another_process_sees_a_turn_within_a_second(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.asking("One?", "Two?", "Three?", "Four?", "Five?"))
    run = (await server.started(workflow))["run_id"]
    took = []
    async with stream(other, run) as frames:
        async for frame in frames:
            if frame.event == "workflow_ready_for_input":
                if took:
                    took[-1] = time.monotonic() - took[-1]
                took.append(time.monotonic())
                taken(await server.execute(workflow, run, message="x"))
            if frame.event == "end_workflow":
                took[-1] = time.monotonic() - took[-1]
    assert len(took) == 5
    assert statistics.median(took) < 1.0, took


@sharing
async def test_events_of_an_open_turn_are_seen_before_it_closes(pair: Cluster) -> None:
    server, other = pair.servers
    hold = pair.hold()
    workflow = await server.workflow(graphs.working(sleep_while=hold.name))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    async with stream(other, run) as frames, asyncio.timeout(20):
        seen = []
        async for frame in frames:
            if frame.id is None:
                continue
            seen.append((frame.id, frame.event))
            if frame.event == "start_node_run" and frame.data["node_id"] == "work":
                assert (await server.run(run))["status"] == "running"
                hold.unlink()
    assert seen == [(event["seq"], event["type"]) for event in (await server.turn(run, 1))["events"]]


@sharing
async def test_a_stream_spans_turns_timers_and_stop_and_ends_with_the_run(pair: Cluster) -> None:
    server, other = pair.servers
    workflow = await server.workflow(graphs.asking_beside_a_timer(0.5))
    run = (await server.started(workflow))["run_id"]
    reading = asyncio.ensure_future(events(other, run))
    await server.until_closed_after(run, 2)
    taken(await server.execute(workflow, run, command="stop"))
    async with asyncio.timeout(10):
        found = await reading
    assert [frame.id for frame in found] == list(range(1, len(found) + 1))
    assert [frame.event for frame in found].count("end_workflow_iteration") == 3
    assert (found[-1].event, found[-1].data["status"]) == ("end_workflow", "cancelled")


@meanwhile
async def test_a_quiet_stream_has_a_comment_every_fifteen_seconds(folder: Path) -> None:
    async with Cluster(folder, probing=False) as cluster:
        server = cluster.servers[0]
        run = (await server.started(await server.workflow(graphs.asking("Well?"))))["run_id"]
        async with stream(server, run) as frames, asyncio.timeout(30):
            last = time.monotonic()
            async for frame in frames:
                if frame.comment is not None and time.monotonic() - last > 10:
                    break
                last = time.monotonic()
        assert 14 < time.monotonic() - last < 20


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "99999", "99999999999999999999"])
@sharing
async def test_an_unknown_cursor_is_refused(pair: Cluster, last: str) -> None:
    workflow = await pair.servers[0].workflow(graphs.asking("Well?"))
    run = (await pair.servers[0].started(workflow))["run_id"]
    path = f"/v1/workflow-runs/{run}/events"
    for reply in (
        await pair.servers[1].client.get(path, headers={"Last-Event-ID": last}),
        await pair.servers[1].client.get(path, params={"after": last}),
    ):
        assert isinstance(reply, httpx.Response)
        assert refused(reply)[0] == 400
