"""The text of models on a run's stream: every event once and every text whole, however often a reader comes back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, cast

import pytest

from app.engine import messages as engine
from app.services.cursors import TextDelta, TextReset, cursor_of
from app.services.reading import Frame, Reading
from tests.api.sites import Json, Site
from tests.api.test_models import asking, provider, talking_site
from tests.engine.graphs import edge, node, source
from tests.stub_provider import Say, StubProvider

__all__ = ["provider", "talking_site"]


class Reader:
    """Reads a run from its beginning to its end, coming back after every `most` frames."""

    def __init__(self, site: Site, run_id: str, most: int | None = None) -> None:
        self.site = site
        self.run_id = run_id
        self.most = most
        self.frames: list[Frame] = []

    async def read(self) -> Reader:
        cursor = ""
        while not (self.frames and isinstance(self.frames[-1].item, engine.RunEnded | engine.RunFailed)):
            cursor = await self._once(cursor)
        return self

    async def _once(self, cursor: str) -> str:
        workspace = (await self.site.world.runs.read(self.run_id)).workspace  # type: ignore[union-attr]
        found = Reading(self.site.world, workspace, self.run_id, cursor_of(cursor)).frames()
        taken = 0
        async with aclosing(cast(Any, found)) as source:
            async for batch in source:
                for frame in batch or ():
                    self.frames.append(frame)
                    cursor, taken = frame.cursor, taken + 1
                    if self.most is not None and taken >= self.most:
                        return cursor
        return cursor

    def events(self) -> list[int]:
        return [frame.item.seq for frame in self.frames if isinstance(frame.item, engine.Event)]

    def texts(self) -> dict[int, str]:
        """By call, as a client puts them together."""
        texts: dict[int, str] = {}
        for item in (frame.item for frame in self.frames):
            if isinstance(item, TextReset):
                texts[item.seq] = ""
            elif isinstance(item, TextDelta):
                assert item.offset == len(texts.get(item.seq, "")), "a text has a hole, or a part of it came twice"
                texts[item.seq] = texts.get(item.seq, "") + item.text
        return texts

    def whole(self) -> dict[int, str]:
        """By call, what was answered in the end."""
        replies = [frame.item for frame in self.frames if isinstance(frame.item, engine.ModelReplied)]
        return {reply.call_seq: reply.text for reply in replies}


def two_branches() -> Json:
    nodes = [node("left", "llm", prompt="left"), node("right", "llm", prompt="right")]
    ends = [node("end", "end", join="all")]
    edges = [edge("start", "left"), edge("start", "right"), edge("left", "end"), edge("right", "end")]
    return source([node("start", "start"), *nodes, *ends], edges)


async def begun(site: Site, graph: Json) -> str:
    reply = await site.execute(await site.workflow(graph), wait_seconds=0)
    assert reply.status_code == 202
    run_id: str = reply.json()["run_id"]
    return run_id


async def test_readers_that_come_back_after_any_number_of_frames_miss_nothing(
    talking_site: Site, provider: StubProvider
) -> None:
    pieces = [f"{word} \U0001f600é" for word in range(40)]
    provider.plan = [Say(text="".join(pieces), pieces=pieces, delay_seconds=0.03) for _ in range(2)]
    run_id = await begun(talking_site, two_branches())
    readers = [Reader(talking_site, run_id, most) for most in (None, 1, 2, 3, 5, 7, 11)]
    await asyncio.gather(*(reader.read() for reader in readers))
    last = max(readers[0].events())
    for reader in readers:
        assert reader.events() == list(range(1, last + 1))
        assert reader.texts() == reader.whole()
        assert set(reader.whole().values()) == {"".join(pieces)}
    deltas = [frame.item for frame in readers[0].frames if isinstance(frame.item, TextDelta)]
    assert len(deltas) > 6, "texts come while they are told, not at their end"
    assert len({delta.node_id for delta in deltas[:6]}) == 2, "both branches are told at once"


async def test_a_reader_who_comes_late_gets_the_text_with_its_answer(
    talking_site: Site, provider: StubProvider
) -> None:
    run_id = await begun(talking_site, asking(say=True))
    await asyncio.sleep(0.5)
    reader = await Reader(talking_site, run_id).read()
    assert list(reader.texts().values()) == ["said: hi"]
    kinds = [type(frame.item).__name__ for frame in reader.frames]
    assert kinds.index("TextDelta") == kinds.index("ModelReplied") - 1
    assert all(":" not in frame.cursor for frame in reader.frames[kinds.index("ModelReplied") :])


async def test_the_next_attempt_begins_the_text_anew(talking_site: Site, provider: StubProvider) -> None:
    pieces = ["one ", "two ", "three "]
    provider.plan = [
        Say(text="one two three four", pieces=pieces, delay_seconds=0.1, fault="reset_midway"),
        Say(text="another", pieces=["ano", "ther"], delay_seconds=0.1),
    ]
    run_id = await begun(talking_site, asking(retry={"max_attempts": 2, "delay_seconds": 0.2}))
    for reader in await asyncio.gather(Reader(talking_site, run_id).read(), Reader(talking_site, run_id, 1).read()):
        assert reader.texts() == reader.whole()
        assert list(reader.texts().values()) == ["another"]
        resets = [frame.item for frame in reader.frames if isinstance(frame.item, TextReset)]
        assert [reset.attempt for reset in resets] == [2]


@pytest.mark.parametrize("config", [{"stream": False}, {"schema": {"type": "object"}}])
async def test_what_is_not_streamed_has_no_deltas(talking_site: Site, provider: StubProvider, config: Any) -> None:
    provider.plan = [Say(text="{}")]
    reader = await Reader(talking_site, await begun(talking_site, asking(**config))).read()
    assert (reader.texts(), list(reader.whole().values())) == ({}, ["{}"])


async def test_a_failed_call_leaves_no_open_text(talking_site: Site, provider: StubProvider) -> None:
    provider.plan = [Say(text="a b c d", delay_seconds=0.1, fault="reset_midway")]
    reader = await Reader(talking_site, await begun(talking_site, asking(retry={"max_attempts": 1}))).read()
    assert isinstance(reader.frames[-1].item, engine.RunFailed)
    assert ":" not in reader.frames[-1].cursor
