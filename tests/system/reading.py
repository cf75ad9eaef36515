"""Reading a run's Server-Sent Events as a client does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.system.caller import Caller


@dataclass
class Frame:
    """One event, or a comment when it has no id. `cursor`: the whole of the id, with open texts behind the number."""

    id: int | None = None
    cursor: str = ""
    event: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    comment: str | None = None


@asynccontextmanager
async def stream(server: Caller, run: str, last: int | str | None = None) -> AsyncIterator[AsyncIterator[Frame]]:
    """The frames behind `Last-Event-ID`; the stream is left when the block is."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    path = f"/v1/workflow-runs/{run}/events"
    async with server.client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-run-id"] == run
        yield _frames(response.aiter_lines())


async def _frames(lines: AsyncIterator[str]) -> AsyncIterator[Frame]:
    frame, begun = Frame(), False
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if begun:
                yield frame
            frame, begun = Frame(), False
        elif not name:
            yield Frame(comment=value)
        else:
            begun = True
            match name:
                case "id":
                    frame.id, frame.cursor = int(value.partition(":")[0]), value
                case "event":
                    frame.event = value
                case "data":
                    frame.data = json.loads(value)
                case _:
                    raise AssertionError(f"no field of ours: {line}")


async def events(server: Caller, run: str, last: int | None = None, count: int | None = None) -> list[Frame]:
    """The events behind `last`: the first `count`, or all until the stream ends."""
    found: list[Frame] = []
    async with stream(server, run, last) as frames:
        async for frame in frames:
            if frame.id is not None:
                found.append(frame)
            if len(found) == count:
                break
    return found
