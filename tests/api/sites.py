"""The real app on a database in memory, with two workspaces and keys of every scope."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from litestar import Litestar

from app.api.reference import document_of
from app.services.world import World
from tests.api.contract import Contract
from tests.hidden import Hidden

Json = dict[str, Any]
NOBODY = "f" * 24
GREETING: Json = {
    "nodes": [
        {"id": "start", "type": "start", "config": {}},
        {
            "id": "ask_name",
            "type": "ask",
            "name": "Ask the name",
            "config": {"prompt": "Who are you?", "output": "name"},
        },
        {"id": "greet", "type": "message", "config": {"text": "Hello, [[name]]!"}},
        {"id": "end", "type": "end", "config": {"outputs": {"greeting": "{{greet.text}}"}}},
    ],
    "edges": [
        {"source": "start", "target": "ask_name"},
        {"source": "ask_name", "target": "greet"},
        {"source": "greet", "target": "end"},
    ],
}


@dataclass
class Site:
    """`keys`: secrets by scope, and `other`, an admin of another workspace. Every reply is checked by the contract."""

    app: Litestar
    world: World
    http: httpx.AsyncClient
    keys: dict[str, str]
    contract: Contract = field(init=False)
    hidden: Hidden = field(default_factory=Hidden)

    def __post_init__(self) -> None:
        self.contract = Contract(document_of(self.app))

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = "admin", **given: Any
    ) -> httpx.Response:
        headers = dict(given.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {self.keys.get(key, key)}"
        if body is not None:
            given["json"] = body
        reply = await self.http.request(method, path, headers=headers, **given)
        self.contract.check(reply)
        await self.hidden.note(reply.request)
        await self.hidden.check(reply)
        return reply

    async def get(self, path: str, **given: Any) -> httpx.Response:
        return await self.call("GET", path, **given)

    async def post(self, path: str, body: Any = None, **given: Any) -> httpx.Response:
        return await self.call("POST", path, body, **given)

    async def patch(self, path: str, body: Any = None, **given: Any) -> httpx.Response:
        return await self.call("PATCH", path, body, **given)

    async def delete(self, path: str, **given: Any) -> httpx.Response:
        return await self.call("DELETE", path, **given)

    async def workflow(self, graph: Json = GREETING, name: str = "Greeting") -> str:
        """A new one; its id."""
        reply = await self.post("/v1/workflows", {"name": name, "graph": graph})
        assert reply.status_code == 201, reply.text
        found: str = reply.json()["id"]
        return found

    async def execute(
        self,
        workflow_id: str,
        run_id: str | None = None,
        /,
        *,
        query: str = "",
        key: str | None = "run",
        idempotency_key: str | None = None,
        **run_input: Any,
    ) -> httpx.Response:
        """A turn; `run_input` by its fields."""
        body: Json = {"run_input": run_input}
        if run_id is not None:
            body["run_id"] = run_id
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return await self.post(f"/v1/workflows/{workflow_id}/execute{query}", body, key=key, headers=headers)

    async def started(self, graph: Json = GREETING, **run_input: Any) -> tuple[str, str]:
        """A workflow and a run of it after its first turn; their ids."""
        workflow_id = await self.workflow(graph)
        reply = await self.execute(workflow_id, **run_input)
        assert reply.status_code in (200, 202), reply.text
        return workflow_id, reply.json()["run_id"]


def client_of(app: Litestar) -> httpx.AsyncClient:
    """A client inside the process. What the app fails to answer is raised."""
    transport = httpx.ASGITransport(cast(Any, app), raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url="http://antiphon.test")


def said(reply: httpx.Response) -> tuple[int, str]:
    """Status and error code of a refusal."""
    return reply.status_code, reply.json()["error"]


def handle(reply: httpx.Response) -> tuple[str | None, str | None]:
    """The run and the turn that a reply is about, by its headers."""
    return reply.headers.get("x-run-id"), reply.headers.get("x-turn-number")


def types(reply: httpx.Response) -> list[str]:
    return [event["type"] for event in reply.json()["events"]]
