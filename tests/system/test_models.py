"""Models through real servers: their text on streams of both, at a stop, and at providers that answer badly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from tests.stub_voice import Say
from tests.system.caller import Json, taken
from tests.system.models import Provider, Reader, asking, cluster_of, provider, two_branches, until
from tests.system.servers import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
STOP_SECONDS = 2.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stub() -> AsyncIterator[Provider]:
    async with provider() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory, stub: Provider) -> AsyncIterator[Cluster]:
    """Two servers that know the provider, shared: nothing is killed here."""
    async with cluster_of(tmp_path_factory.mktemp("models"), stub) as cluster:
        yield cluster


async def test_a_reader_at_another_server_gets_the_text_with_the_answer(both: Cluster, stub: Provider) -> None:
    server, other = both.servers
    await stub.plan(Say(text="one two three four five six seven eight", delay_seconds=0.15))
    workflow = await server.workflow(asking("tell"))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    near, far = await asyncio.gather(Reader([server], run).read(), Reader([other], run).read())
    for reader in (near, far):
        reader.check()
        assert list(reader.answers().values()) == ["one two three four five six seven eight"]
    assert len(near.deltas()) > 3, "texts come while they are told"
    kinds = [frame.event for frame in far.frames]
    assert [delta["offset"] for delta in far.deltas()] == [0]
    assert kinds.index("text_delta") == kinds.index("worker_llm") - 1


async def test_readers_that_drop_their_connection_after_any_number_of_frames_miss_nothing(
    both: Cluster, stub: Provider
) -> None:
    server, other = both.servers
    pieces = [f"{word} \U0001f600é" for word in range(40)]
    await stub.plan(*[Say(text="".join(pieces), pieces=pieces, delay_seconds=0.05) for _ in range(2)])
    workflow = await server.workflow(two_branches("left", "right"))
    run = (await server.started(workflow, wait_seconds=0))["run_id"]
    counts = (None, 1, 2, 3, 5, 7, 11)
    readers = [Reader([server], run, most) for most in counts]
    readers += [Reader([server, other], run, most, hops=True) for most in (1, 4)]
    await asyncio.gather(*(reader.read() for reader in readers))
    for reader in readers:
        reader.check()
        assert list(reader.answers().values()) == ["".join(pieces)] * 2
        assert reader.resets() == []
        assert reader.events() == readers[0].events()
    deltas = readers[0].deltas()
    assert len(deltas) > 6 and len({delta["node_id"] for delta in deltas[:6]}) == 2, "both are told at once"


async def test_a_stop_at_another_server_closes_the_call_of_a_streaming_model(both: Cluster, stub: Provider) -> None:
    server, other = both.servers
    took = []
    for n in range(3):
        await stub.plan(Say(text="and so on " * 500, delay_seconds=0.02))
        workflow = await server.workflow(asking(f"stopped {n}"))
        run = (await server.started(workflow, wait_seconds=0))["run_id"]
        await stub.asked(f"stopped {n}")
        began = time.monotonic()
        taken(await other.execute(workflow, run, command="stop"))

        async def closed(prompt: str = f"stopped {n}") -> bool:
            return any(seen["closed"] for seen in await stub.asked(prompt))

        await until(closed, 10)
        took.append(time.monotonic() - began)
        assert (await server.run(run))["status"] == "cancelled"
    print(f"a stop took {', '.join(f'{seconds:.2f}' for seconds in took)} s")
    assert max(took) < STOP_SECONDS, took


BAD = [
    Say(fault="drop"),
    Say(text="a b c d", fault="drop_midway"),
    Say(text="a b c d", fault="end_early"),
    Say(fault="reset"),
    Say(fault="hang"),
    Say(text="a b c d", fault="hang_midway"),
    Say(fault="html"),
    Say(fault="huge"),
    Say(fault="bomb"),
    Say(body="<html>no</html>", status=502, headers={"Content-Type": "text/html"}),
    Say(body="{}", status=429, headers={"Retry-After": "1"}),
    Say(body='{"error": {"message": "no such key"}}', status=401),
    Say(body=""),
]
BAD_STREAMS = [
    Say(text="a b c d", fault="reset_midway"),
    Say(text="a b c d", fault="garbled_sse"),
    Say(text="a b c d", fault="endless", delay_seconds=0.01),
    Say(text="too slow to end", delay_seconds=2.0),
]
BAD_WHOLES = [Say(fault="garbled_json"), Say(text="late", before_seconds=6.0)]
SLOW = Say(text="a b c d", delay_seconds=0.2, before_seconds=0.5)


@pytest.mark.parametrize("stream", [True, False])
async def test_no_run_is_stuck_by_a_provider_that_answers_badly(both: Cluster, stub: Provider, stream: bool) -> None:
    server, other = both.servers
    patience = {"timeout_seconds": 3, "retry": {"max_attempts": 2, "delay_seconds": 0.1}}
    workflow = await server.workflow(asking("stub {{say}}", stream=stream, **patience))
    says = [SLOW, *BAD, *(BAD_STREAMS if stream else BAD_WHOLES)]
    runs = []
    for say in says:
        given = {"say": msgspec.json.encode(say).decode()}
        runs.append(taken(await server.execute(workflow, wait_seconds=0, dynamic_variables=given), 202)["run_id"])
    turns = [await other.until_closed(run, 1, 40) for run in runs]
    ended = {say.fault or say.body or say.text: turn["status"] for say, turn in zip(says, turns, strict=True)}
    assert list(ended.values()) == ["completed", *["failed"] * (len(says) - 1)], ended
    for run in runs:
        reader = await Reader([other, server], run, 3, hops=True).read()
        assert reader.events() == list(range(1, len(reader.events()) + 1))
    for process in both.servers:
        assert taken(await process.client.get("/health/ready"))
        assert '"status": 5' not in process.log() and "Traceback" not in process.log()


async def test_structured_answers_are_repaired_through_a_server(both: Cluster, stub: Provider) -> None:
    schema: Json = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    await stub.plan(Say(text="no"), Say(text='{"n": 4}'))
    reply = await both.servers[0].started(await both.servers[0].workflow(asking("repaired", schema=schema)))
    assert (reply["status"], reply["outputs"]) == ("completed", {"it": '{"n": 4}'})
