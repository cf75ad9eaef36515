"""A call of every method of every store, for what must hold for all of them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from app.adapters.mongo.database import Database
from app.ports import (
    AccountStore,
    ProviderStore,
    RunFilter,
    RunStore,
    SecretStore,
    SlotStore,
    StoredSecret,
    WorkflowStore,
)
from tests.conformance import samples
from tests.conformance.samples import BYTES, LEASE, NOW, WORKFLOW, WORKSPACE, new_id

Call = Callable[[Database], Awaitable[Any]]


async def _turns_after(database: Database) -> None:
    async for _ in database.runs.turns_after(new_id(), 0):
        pass


def _big() -> Any:
    return samples.turn(1, reply=BYTES * 250)


def _find(**wanted: Any) -> Call:
    return lambda database: database.runs.find(RunFilter(workspace=WORKSPACE, **wanted), 0, 10)


RUNS: dict[str, list[Call]] = {
    "insert": [lambda d: d.runs.insert(samples.run()), lambda d: d.runs.insert(samples.run(tail=(_big(),)))],
    "read": [lambda d: d.runs.read(new_id()), lambda d: d.runs.read(new_id(), bodies=True)],
    "read_by_start_key": [lambda d: d.runs.read_by_start_key("key")],
    "id_by_number": [lambda d: d.runs.id_by_number(WORKSPACE, 1)],
    "commit": [
        lambda d: d.runs.commit(samples.commit(samples.run())),
        lambda d: d.runs.commit(samples.commit(samples.run(), push=_big())),
        lambda d: d.runs.commit(
            samples.commit(samples.run(), filters={"match_lease": True, "lease": LEASE, "fence": 1})
        ),
    ],
    "renew": [lambda d: d.runs.renew(new_id(), 1, 1, LEASE, NOW, NOW)],
    "due": [lambda d: d.runs.due(NOW, None, 50), lambda d: d.runs.due(NOW, (NOW - 1, new_id()), 50)],
    "revisions": [lambda d: d.runs.revisions([new_id(), new_id()])],
    "archive": [lambda d: d.runs.archive(new_id(), 1, 32)],
    "turn": [lambda d: d.runs.turn(new_id(), 1)],
    "turn_by_key": [lambda d: d.runs.turn_by_key(new_id(), "key")],
    "turn_by_commit": [lambda d: d.runs.turn_by_commit(new_id(), ["commit"])],
    "turns_after": [_turns_after],
    "turn_heads": [lambda d: d.runs.turn_heads(new_id())],
    "find": [
        _find(),
        _find(workflow_id=WORKFLOW),
        _find(status="waiting"),
        _find(start=NOW, end=NOW),
        _find(workflow_id=WORKFLOW, status="waiting", start=NOW),
    ],
    "keep_results": [lambda d: d.runs.keep_results(new_id(), "each#2/0", BYTES)],
    "kept_results": [lambda d: d.runs.kept_results(new_id(), ["each#2/0", "each#2/1"])],
    "copy_results": [lambda d: d.runs.copy_results(new_id(), new_id())],
    "purge_turns": [lambda d: d.runs.purge_turns(new_id())],
    "remove": [lambda d: d.runs.remove(new_id(), 1)],
    "review_parts": [lambda d: d.runs.review_parts(NOW * 2)],
    "next_number": [lambda d: d.runs.next_number()],
}


async def _insert_workflow(database: Database) -> None:
    head = samples.head()
    await database.workflows.insert(head, samples.version(head.id))


WORKFLOWS: dict[str, list[Call]] = {
    "insert": [_insert_workflow],
    "head": [lambda d: d.workflows.head(new_id())],
    "ids_named": [lambda d: d.workflows.ids_named(WORKSPACE, "a", 10)],
    "head_by_number": [lambda d: d.workflows.head_by_number(1)],
    "update": [lambda d: d.workflows.update(new_id(), {"name": "x"}, active_version=1)],
    "list": [lambda d: d.workflows.list(WORKSPACE, 0, 10)],
    "take_version_number": [lambda d: d.workflows.take_version_number(new_id())],
    "drop_versions": [lambda d: d.workflows.drop_versions(new_id(), 1)],
    "insert_version": [lambda d: d.workflows.insert_version(samples.version(new_id()))],
    "version": [lambda d: d.workflows.version(new_id(), 0)],
    "versions": [lambda d: d.workflows.versions(new_id(), 0, 10)],
    "rename_version": [lambda d: d.workflows.rename_version(new_id(), 0, "x")],
    "next_number": [lambda d: d.workflows.next_number()],
}
ACCOUNTS: dict[str, list[Call]] = {
    "insert_workspace": [lambda d: d.accounts.insert_workspace(samples.workspace())],
    "workspace": [lambda d: d.accounts.workspace(new_id())],
    "workspace_by_name": [lambda d: d.accounts.workspace_by_name("name")],
    "update_workspace": [lambda d: d.accounts.update_workspace(samples.workspace())],
    "insert_key": [lambda d: d.accounts.insert_key(samples.api_key())],
    "key_by_digest": [lambda d: d.accounts.key_by_digest("digest")],
    "keys": [lambda d: d.accounts.keys(WORKSPACE)],
    "revoke_key": [lambda d: d.accounts.revoke_key(new_id(), NOW)],
}
SLOTS: dict[str, list[Call]] = {
    "take": [lambda d: d.slots.take("scope", 3, new_id(), 1, NOW, NOW)],
    "extend": [lambda d: d.slots.extend(new_id(), 1, NOW)],
    "release": [lambda d: d.slots.release(new_id(), 1)],
}
_secret = StoredSecret(workspace=WORKSPACE, name="token", sealed=BYTES, updated_at=NOW)
SECRETS: dict[str, list[Call]] = {
    "put": [lambda d: d.secrets.put(_secret)],
    "delete": [lambda d: d.secrets.delete(WORKSPACE, "token")],
    "list": [lambda d: d.secrets.list(WORKSPACE)],
    "read": [lambda d: d.secrets.read(WORKSPACE, ["token"])],
}
PROVIDERS: dict[str, list[Call]] = {
    "put": [lambda d: d.providers.put(samples.provider(WORKSPACE)), lambda d: d.providers.put(samples.provider())],
    "delete": [lambda d: d.providers.delete(WORKSPACE, "models")],
    "list": [lambda d: d.providers.list(WORKSPACE)],
    "read": [lambda d: d.providers.read(WORKSPACE, "models")],
}
STORES = [
    (RunStore, RUNS),
    (WorkflowStore, WORKFLOWS),
    (AccountStore, ACCOUNTS),
    (SlotStore, SLOTS),
    (SecretStore, SECRETS),
    (ProviderStore, PROVIDERS),
]
CALLS = [
    (f"{protocol.__name__}.{name}", call) for protocol, calls in STORES for name, made in calls.items() for call in made
]


def methods(protocol: type) -> set[str]:
    """What a store must be able to do."""
    return {name for name, member in vars(protocol).items() if inspect.isfunction(member) and not name.startswith("_")}
