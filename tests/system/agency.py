"""A world for an agent: a provider whose model orders and pays, a shop that does both, and a log of whom was asked for what.

The model's first answer calls both tools, `order` at once and `pay` when a person has approved; its second tells what came of
them. Every run goes by a name, which its requests carry, so that those of many runs can be told from each other.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from tests.engine.graphs import line, node
from tests.stub_http import Asked, Reply, Stub, json_reply, stub
from tests.stub_provider import Say, Seen, StubProvider, stub_provider
from tests.system.caller import Json

STAGES = {
    "ask": 1,
    "order": 2,
    "pay": 2,
    "tell": 3,
}  # a later one begins only when the result of those before is committed
EFFECTS = {"ask": "it#2.1", "order": "it#2.2", "pay": "it#2.3", "tell": "it#2.4"}


class Request(NamedTuple):
    """One that arrived. `what`: ask or tell of the model, order or pay of the shop."""

    name: str
    what: str
    key: str | None


class Agency:
    """`hanging`: (name, what) of requests that are never answered, each the first time only; `slow`: how long the others
    take, in seconds at most."""

    def __init__(self, provider: StubProvider, shop: Stub) -> None:
        self.provider = provider
        self.shop = shop
        self.log: list[Request] = []
        self.hanging: set[tuple[str, str]] = set()
        self.slow = 0.0
        self.chance = random.Random()
        provider.answer, shop.answer = self._say, self._serve

    @property
    def environment(self) -> dict[str, str]:
        """Of a server in this world."""
        shared = {"stub": {"base_url": self.provider.base_url, "api_key": "sk-of-the-stub", "default_model": "m-1"}}
        return {"ANTIPHON_PROVIDERS": json.dumps(shared), "ANTIPHON_OUTGOING_ALLOW": self.shop.place}

    def graph(self) -> Json:
        tools = [self._tool("order", approval=False), self._tool("pay", approval=True)]
        return line(
            node("it", "agent", prompt="{{message}}", tools=tools), node("end", "end", outputs={"it": "{{it}}"})
        )

    def _tool(self, name: str, *, approval: bool) -> Json:
        request = {"url": f"{self.shop.url}/{name}/{{{{args.q}}}}", "method": "POST", "body": "{{args}}"}
        return {"name": name, "type": "http", "request": request, "needs_approval": approval}

    # ---- what is asked of it

    def _came(self, name: str, what: str, key: str | None) -> bool:
        """Is it to be left without an answer?"""
        self.log.append(Request(name, what, key))
        hangs = (name, what) in self.hanging
        self.hanging.discard((name, what))
        return hangs

    def _say(self, seen: Seen) -> Say:
        results = [message["content"] for message in seen.body["messages"] if message["role"] == "tool"]
        if self._came(seen.prompt, "tell" if results else "ask", seen.key):
            return Say(fault="hang")
        takes = self.chance.uniform(0, self.slow)
        if results:
            return Say(text=" and ".join(results), before_seconds=takes)
        wanted = json.dumps({"q": seen.prompt})
        calls = [{"id": f"call-{tool}", "name": tool, "arguments": wanted} for tool in ("order", "pay")]
        return Say(calls=calls, finish="tool_calls", before_seconds=takes)

    def _serve(self, asked: Asked) -> Reply:
        _, what, name = asked.target.split("/")
        if self._came(name, what, asked.header("idempotency-key")):
            return Reply(hang=True)
        reply = json_reply({what: name})
        reply.drip_seconds = self.chance.uniform(0, self.slow) / len(reply.body)
        return reply

    # ---- what can be seen in it

    async def until(self, is_so: Callable[[], bool], seconds: float = 30.0) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not is_so():  # noqa: ASYNC110  (it waits for another process)
                await asyncio.sleep(0.02)

    async def until_asked(self, name: str, what: str) -> None:
        """It has arrived. Raises TimeoutError."""
        await self.until(lambda: any((one.name, one.what) == (name, what) for one in self.log))

    def times(self, name: str) -> dict[str, int]:
        """How often each thing was asked for the run."""
        return dict(Counter(one.what for one in self.log if one.name == name))

    def check(self, name: str, run: str) -> None:
        """One key for each effect; nothing whose result was committed is asked for again."""
        mine = [one for one in self.log if one.name == name]
        assert {(one.what, one.key) for one in mine} == {(what, f"{run}:{EFFECTS[what]}") for what in EFFECTS}
        stages = [STAGES[one.what] for one in mine]
        assert stages == sorted(stages), [one.what for one in mine]
        pays = [one.what for one in mine if STAGES[one.what] == 2]
        assert pays == sorted(pays), f"an order was made again after the run had come to rest: {pays}"


@asynccontextmanager
async def agency() -> AsyncIterator[Agency]:
    async with stub_provider() as provider, stub() as shop:
        yield Agency(provider, shop)


def nameless(outputs: Json, name: str) -> Json:
    """As those of any other run."""
    found: Json = json.loads(json.dumps(outputs).replace(name, "NAME"))
    return found
