"""The command line: what it lists, and the administration of keys and workspaces with and without a running server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.settings import Settings
from tests.system.caller import taken
from tests.system.servers import ROOT, Cluster, ServerError


def test_help_lists_all_commands_and_variables() -> None:
    command = [sys.executable, "-m", "app", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command_words in ("serve", "keys create", "keys list", "keys revoke", "workspaces create"):
        assert command_words in shown
    for option in ("--workspace", "--scopes"):
        assert option in shown
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias if isinstance(field.validation_alias, str) else name.upper()
        assert variable in shown


async def test_keys_are_made_listed_and_revoked_while_the_server_runs(one: Cluster) -> None:
    server = one.servers[0]
    made = await one.command("keys", "create", "--workspace", "default", "--scopes", "read", "--name", "mine")
    secret = made.splitlines()[0]
    given = {"Authorization": f"Bearer {secret}"}
    assert (await server.client.get("/v1/workflows", headers=given)).status_code == 200
    listed = await one.command("keys", "list", "--workspace", "default")
    assert "mine" in listed and "active" in listed and secret not in listed
    assert (await server.client.get("/v1/workflows")).status_code == 200, "the server was not disturbed"


async def test_keys_and_workspaces_are_made_without_a_server_and_nothing_is_left_running(one: Cluster) -> None:
    server = one.servers[0]
    await server.stop()
    assert one.running_databases() == []
    await one.command("workspaces", "create", "night shift")
    made = await one.command("keys", "create", "--workspace", "night shift", "--scopes", "edit,run")
    assert one.running_databases() == []
    await server.start()
    given = {"Authorization": f"Bearer {made.splitlines()[0]}"}
    assert taken(await server.client.get("/v1/workflows", headers=given))["items"] == []


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "words",
    [
        ("keys", "create", "--workspace", "nowhere", "--scopes", "read"),
        ("keys", "create", "--workspace", "default", "--scopes", "everything"),
        ("keys", "list", "--workspace", "nowhere"),
        ("keys", "revoke", "f" * 24),
        ("keys", "revoke", "x"),
        ("workspaces", "create", "default"),
    ],
)
async def test_what_cannot_be_done_is_told_without_a_traceback(pair: Cluster, words: tuple[str, ...]) -> None:
    with pytest.raises(ServerError) as refusal:
        await pair.command(*words)
    assert "Error: " in str(refusal.value)
    assert "Traceback" not in str(refusal.value)
