"""Models in the system tests: a stub of a provider as its own process, graphs that ask it, and a reader of their text."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from tests.engine.graphs import edge, line, node, source
from tests.stub_voice import Say
from tests.system.caller import Caller
from tests.system.process import ROOT, free_port
from tests.system.reading import Frame, stream
from tests.system.servers import Cluster

Json = dict[str, Any]
API_KEY: Final = "sk-of-the/operator+k=y~1"
WHOLE: Final = ("say_llm", "worker_llm")
ENDS: Final = ("end_workflow", "workflow_error")


class Provider:
    """`python -m tests.stub_provider`, at a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.place = f"127.0.0.1:{self.port}"
        self._client = httpx.AsyncClient(base_url=f"http://{self.place}")

    async def plan(self, *says: Say) -> None:
        (await self._client.post("/stub/plan", content=msgspec.json.encode(says))).raise_for_status()

    async def seen(self) -> list[Json]:
        """What it was asked so far."""
        return list((await self._client.get("/stub/seen")).json()["seen"])

    async def asked(self, prompt: str, count: int = 1, seconds: float = 20.0) -> list[Json]:
        """What it was asked with these words in the prompt, once it was so often."""

        async def found() -> list[Json] | None:
            seen = [one for one in await self.seen() if prompt in one["prompt"]]
            return seen if len(seen) >= count else None

        return await until(found, seconds)

    async def close(self) -> None:
        await self._client.aclose()


async def until(look: Callable[[], Any], seconds: float) -> Any:
    """What it finds, looked for every 20 ms. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):  # noqa: ASYNC110  (it waits for another process)
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    words = [sys.executable, "-m", "tests.stub_provider", str(made.port)]
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None, "it is a pipe"
        assert (await process.stdout.readline()).decode().strip() == f"http://{made.place}/v1"
        yield made
    finally:
        process.kill()
        await process.wait()
        await made.close()


def cluster_of(folder: Path, stub: Provider, processes: int = 2, **environment: str) -> Cluster:
    """Servers that know the provider as the operator's."""
    shared = {"stub": {"base_url": f"http://{stub.place}/v1", "api_key": API_KEY, "default_model": "m-1"}}
    given = {"ANTIPHON_PROVIDERS": json.dumps(shared), "LOG_LEVEL": "DEBUG", **environment}
    return Cluster(folder, processes, environment=given)


# ---- graphs


def asking(prompt: str, **config: Any) -> Json:
    return line(node("say", "llm", prompt=prompt, **config), node("end", "end", outputs={"it": "{{say.text}}"}))


def two_branches(left: str, right: str) -> Json:
    nodes = [node("left", "llm", prompt=left), node("right", "llm", prompt=right), node("end", "end", join="all")]
    edges = [edge("start", "left"), edge("start", "right"), edge("left", "end"), edge("right", "end")]
    return source([node("start", "start"), *nodes], edges)


# ---- readers


class Reader:
    """Follows a run to its end. It comes back after every `most` frames: to the same server, or to the next one if it
    `hops`. When its connection breaks, or a stream ends too early, it goes on at the next."""

    def __init__(self, servers: Sequence[Caller], run: str, most: int | None = None, *, hops: bool = False) -> None:
        self._servers = list(servers)
        self._most = most
        self._hops = hops
        self._reading: asyncio.Task[Reader] | None = None
        self.run = run
        self.frames: list[Frame] = []

    def begin(self) -> None:
        """Reads meanwhile, until `end`."""
        self._reading = asyncio.ensure_future(self.read())

    async def end(self) -> None:
        """The run has ended for this reader too. Raises what went wrong meanwhile."""
        assert self._reading is not None, "it has begun"
        await self._reading

    async def read(self, seconds: float = 60.0) -> Reader:
        async with asyncio.timeout(seconds):
            while not self.ended:
                try:
                    stays = await self._visit() and not self._hops
                except httpx.TransportError:
                    stays = False
                    await asyncio.sleep(0.05)
                if not stays:
                    self._servers.append(self._servers.pop(0))
        return self

    async def _visit(self) -> bool:
        """Has it left by itself?"""
        taken = 0
        async with stream(self._servers[0], self.run, self.frames[-1].cursor if self.frames else None) as frames:
            async for frame in frames:
                if frame.id is None:
                    continue
                self.frames.append(frame)
                taken += 1
                if taken == self._most or self.ended:
                    return True
        return False

    @property
    def ended(self) -> bool:
        return bool(self.frames) and self.frames[-1].event in ENDS

    def events(self) -> list[int]:
        return [frame.data["seq"] for frame in self.frames if not frame.event.startswith("text_")]

    def deltas(self) -> list[Json]:
        return [frame.data for frame in self.frames if frame.event == "text_delta"]

    def resets(self) -> list[int]:
        """The attempts that were told to begin anew."""
        return [frame.data["attempt"] for frame in self.frames if frame.event == "text_reset"]

    def texts(self) -> dict[int, str]:
        """By call, as a client puts them together."""
        texts: dict[int, str] = {}
        for frame in self.frames:
            if frame.event == "text_reset":
                texts[frame.data["seq"]] = ""
            elif frame.event == "text_delta":
                seq, offset, text = (frame.data[name] for name in ("seq", "offset", "text"))
                assert offset == len(texts.get(seq, "")), "a text has a hole, or a part of it came twice"
                texts[seq] = texts.get(seq, "") + text
        return texts

    def answers(self) -> dict[int, str]:
        """By call, what the model had said in the end."""
        return {frame.data["call_seq"]: frame.data["message"] for frame in self.frames if frame.event in WHOLE}

    def check(self) -> None:
        """Every event once, every text whole."""
        events = self.events()
        assert events == list(range(1, events[-1] + 1))
        assert self.texts() == self.answers()
