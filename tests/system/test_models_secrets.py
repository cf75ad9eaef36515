"""Keys of providers and secrets of workspaces, repeated by everybody whom they are sent to, are found nowhere of ours; and
what models are asked is in no log."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient

from tests.engine.graphs import edge, node, source
from tests.hidden import spellings, stored
from tests.stub_http import Asked, Reply, json_reply, stub
from tests.stub_voice import Say
from tests.system.caller import Json, taken
from tests.system.models import API_KEY, Provider, Reader, cluster_of, provider
from tests.system.servers import Server

MODEL_KEY: Final = "sk-of-this/workspace+k=z~2"
TOKEN: Final = 'tok€n/+ "x&y"'
HIDDEN: Final = (API_KEY, MODEL_KEY, TOKEN)
PROMPT: Final = "the-words-of-a-user"
MARK: Final = "a-mark-that-is-kept"


def telling(url: str) -> Json:
    """The operator's provider, the workspace's own, and a site, each with what it was sent; then a refused call."""
    there = {"url": f"{url}/{{{{secret.token}}}}", "method": "POST", "body": {"k": "a {{secret.token}} b"}}
    there |= {"headers": {"X-Token": "{{secret.ascii}}"}}
    nodes = [
        node("start", "start"),
        node("shared", "llm", prompt=f"{PROMPT} {MARK}", provider="stub"),
        node("own", "llm", prompt=PROMPT, provider="own", say=True),
        node("call", "http", **there),
        node("fail", "llm", prompt=PROMPT, provider="own", on_error="branch", retry={"max_attempts": 1}),
        node("end", "end", outputs={"it": ["{{shared}}", "{{own}}", "{{call}}", "{{fail?}}"]}),
    ]
    names = [one["id"] for one in nodes]
    edges = [edge(one, other) for one, other in pairwise(names)]
    return source(nodes, [*edges, edge("fail", "end", "error")])


def repeating(key: str) -> Say:
    """A model that tells its key in every form, in pieces that cut it."""
    text = " ".join([MARK, *(form.decode() for form in spellings(key)), "end"])
    return Say(text=text, pieces=[text[at : at + 5] for at in range(0, len(text), 5)], delay_seconds=0.005)


def echo(asked: Asked) -> Reply:
    forms = [form.decode() for form in (*spellings(TOKEN), *spellings(MODEL_KEY))]
    return json_reply([asked.target, dict(asked.headers), asked.body.decode(), forms, MARK])


async def prepared(server: Server, place: str) -> None:
    for name, value in (("token", TOKEN), ("ascii", MODEL_KEY), ("model_key", MODEL_KEY)):
        taken(await server.client.put(f"/v1/secrets/{name}", json={"value": value}))
    given = {"base_url": f"http://{place}/v1", "api_key": "{{secret.model_key}}", "default_model": "m-2"}
    taken(await server.client.put("/v1/providers/own", json=given))


async def kept(uri: str) -> bytes:
    """Every document of every collection, as it is stored."""
    client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(uri)
    try:
        return await stored(client["antiphon"])
    finally:
        client.close()


async def told(server: Server, run: str) -> dict[str, bytes]:
    """All that is answered about a run, and what a reader put together."""
    reader = await Reader([server], run, 4).read()
    paths = ("", "/turns/1", "/events")
    replies = {path: (await server.client.get(f"/v1/workflow-runs/{run}{path}")).content for path in paths}
    replies["providers"] = (await server.client.get("/v1/providers")).content
    replies["secrets"] = (await server.client.get("/v1/secrets")).content
    return {**replies, "text": json.dumps(list(reader.texts().values()), ensure_ascii=False).encode()}


async def asked_with(stub: Provider) -> list[str]:
    """The keys that the provider was sent."""
    return [dict(seen["headers"])["authorization"] for seen in await stub.seen()]


async def test_no_form_of_a_key_or_secret_is_anywhere_and_no_prompt_in_a_log(tmp_path: Path) -> None:
    async with provider() as talker, stub() as site:
        site.answer = echo
        allowed = {"ANTIPHON_OUTGOING_ALLOW": f"{site.place},{talker.place}"}
        async with cluster_of(tmp_path, talker, 1, **allowed) as cluster:
            server = cluster.servers[0]
            await prepared(server, talker.place)
            refused = Say(status=401, body=json.dumps({"error": {"message": f"bad key {MODEL_KEY}"}}))
            await talker.plan(repeating(API_KEY), repeating(MODEL_KEY), refused)
            reply = await server.execute(await server.workflow(telling(site.url)), wait_seconds=0)
            run = taken(reply, 202)["run_id"]
            following = Reader([server], run)
            following.begin()
            await following.end()
            turn = await server.until_closed(run, 1)
            assert turn["status"] == "completed", turn
            assert await asked_with(talker) == [f"Bearer {key}" for key in (API_KEY, MODEL_KEY, MODEL_KEY)]
            assert json.loads(site.asked[0].body) == {"k": f"a {TOKEN} b"}, "the secret was sent"
            places = {"reply": reply.content, **await told(server, run), "database": await kept(cluster.uri)}
            places["followed"] = json.dumps([frame.data for frame in following.frames], ensure_ascii=False).encode()
            places["text followed"] = "".join(following.texts().values()).encode()
            await server.stop()
            places["log"] = server.log().encode()
    for place, data in places.items():
        found = [form for key in HIDDEN for form in spellings(key) if form in data]
        assert found == [], (place, found)
    assert all(MARK.encode() in places[place] for place in ("database", "/turns/1", "followed", "text followed"))
    assert PROMPT.encode() in places["database"] and PROMPT.encode() not in places["log"]
    assert MARK.encode() not in places["log"]
