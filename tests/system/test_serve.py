"""`serve`: what a first start makes, what it prints, what it takes over, and what it refuses in one line."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import stat
from pathlib import Path

import psutil
import pytest

from tests.system import graphs
from tests.system.caller import refused, taken
from tests.system.servers import ADMIN_KEY, Cluster, Server, ServerError

SAMPLES = ["Greeting", "Reminder", "Sign-off"]
NO_KEY = {"ANTIPHON_ADMIN_KEY": ""}


def printed_commands(server: Server) -> list[str]:
    """The two lines to be pasted, of the present life."""
    return re.findall(r"^(?:curl |RUN=).*$", server.log(this_life=True), re.M)


async def pasted(line: str) -> str:
    """What bash prints for the line as it is."""
    process = await asyncio.create_subprocess_exec(
        "bash", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate(line.encode() + b"\n")
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def complaint(server: Server) -> tuple[int, list[str]]:
    """The exit code and the lines of a server that does not come up."""
    server.launch()
    code = await server.ended(20)
    return code, server.log(this_life=True).splitlines()


async def names(server: Server) -> list[str]:
    return sorted(item["name"] for item in taken(await server.client.get("/v1/workflows"))["items"])


async def test_a_first_start_makes_a_key_that_only_its_owner_can_read_and_three_samples(tmp_path: Path) -> None:
    async with Cluster(tmp_path, probing=False, environment=NO_KEY) as cluster:
        server = cluster.servers[0]
        key_file = server.data_dir / "admin.key"
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        key = key_file.read_text().strip()
        assert re.fullmatch(r"ak_[\w-]{40,}", key)
        assert await names(server) == SAMPLES
        anonymous = await server.client.get("/v1/workflows", headers={"Authorization": ""})
        assert refused(anonymous) == (401, "unauthorized")
        await server.kill()
        await server.start()
        assert (key_file.read_text().strip(), await names(server)) == (key, SAMPLES)
        assert key not in server.log()


async def test_the_printed_commands_run_verbatim_also_after_kill_9_of_the_printed_pid(tmp_path: Path) -> None:
    async with Cluster(tmp_path, probing=False, environment=NO_KEY) as cluster:
        server = cluster.servers[0]
        start, answer = printed_commands(server)
        first = await pasted(start)
        assert '"waiting_for_user_input"' in first and "Who are you?" in first
        assert "Hello, Ada!" in await pasted(answer)
        await pasted(start)
        printed_pid = re.search(r"kill -9 (\d+)", server.log(this_life=True))
        assert printed_pid is not None and int(printed_pid[1]) == server.pid
        await server.kill()
        await server.start()
        assert "Hello, Ada!" in await pasted(answer), "the line that the killed server printed"
        again, answer = printed_commands(server)
        await pasted(again)
        assert "Hello, Ada!" in await pasted(answer)


async def test_several_first_starts_at_once_make_one_workspace(tmp_path: Path) -> None:
    async with Cluster(tmp_path, processes=0, own_database=False, probing=False) as cluster:
        servers = [cluster.add_server() for _ in range(3)]
        await asyncio.gather(*(server.start() for server in servers))
        for server in servers:
            assert await names(server) == SAMPLES
        for server in servers[1:]:
            workspace = taken(await server.client.get("/v1/workspace"))
            assert workspace == taken(await servers[0].client.get("/v1/workspace"))


async def test_a_preset_key_is_the_admin_key_and_a_given_database_is_used(tmp_path: Path) -> None:
    async with Cluster(tmp_path, own_database=False, probing=False) as cluster:
        server = cluster.servers[0]
        assert (server.data_dir / "admin.key").read_text().strip() == ADMIN_KEY
        assert await names(server) == SAMPLES
        assert not (server.data_dir / "mongo.json").exists()
        assert psutil.Process(server.pid).children() == [], "it started no database"
        await server.stop()
        assert psutil.pid_exists(cluster.mongo_pid), "nor does it stop what is not its own"
        await cluster.servers[0].start()
        assert await names(server) == SAMPLES


async def test_a_second_server_on_the_same_data_folder_says_so_in_one_line(tmp_path: Path) -> None:
    async with Cluster(tmp_path, probing=False) as cluster:
        server = cluster.servers[0]
        second = cluster.add_server(ANTIPHON_DATA_DIR=str(server.data_dir))
        code, lines = await complaint(second)
        assert code != 0
        assert lines == [f"Error: another server (pid {server.pid}) is using the data folder {server.data_dir}"]
        assert await names(server) == SAMPLES


async def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    async with Cluster(tmp_path, processes=0, own_database=True, probing=False) as cluster:
        with socket.socket() as taken_port:
            taken_port.bind(("127.0.0.1", 0))
            taken_port.listen()
            port = taken_port.getsockname()[1]
            code, lines = await complaint(cluster.add_server(PORT=str(port)))
        assert code != 0
        assert lines == [f"Error: cannot listen on 127.0.0.1:{port}: Address already in use"]
        assert not (cluster.database_dir / "mongo.json").exists(), "it left no database behind"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "many"),
        ("PORT", "70000"),
        ("LOG_LEVEL", "LOUD"),
        ("RUN_RETENTION_DAYS", "0"),
        ("MAX_BODY_BYTES", "none"),
        ("LIMIT_TURN_SECONDS", "-1"),
    ],
)
async def test_a_bad_variable_is_named_in_one_line(tmp_path: Path, variable: str, value: str) -> None:
    async with Cluster(tmp_path, processes=0, own_database=True, probing=False) as cluster:
        code, lines = await complaint(cluster.add_server(**{variable: value}))
        assert code != 0
        assert len(lines) == 1
        assert variable.lower() in lines[0].lower()


async def test_a_database_that_cannot_be_reached_is_told_in_one_line_without_its_password(tmp_path: Path) -> None:
    uri = "mongodb://admin:sesame@127.0.0.1:9/?directConnection=true"
    async with Cluster(tmp_path, processes=0, own_database=True, probing=False) as cluster:
        code, lines = await complaint(cluster.add_server(MONGODB_URI=uri))
        assert code != 0
        assert len(lines) == 1, lines
        assert "sesame" not in lines[0]


async def test_a_start_adopts_the_database_that_a_killed_server_has_left(tmp_path: Path) -> None:
    async with Cluster(tmp_path, probing=False) as cluster:
        server = cluster.servers[0]
        workflow = await server.workflow(graphs.asking("Still there?"))
        run = (await server.started(workflow))["run_id"]
        for _ in range(2):
            pid = cluster.mongo_pid
            await server.kill()
            assert psutil.pid_exists(pid)
            await server.start()
            assert cluster.mongo_pid == pid
        killed = cluster.kill_database()
        await cluster.database_is_back(killed)  # it watches the adopted one, too
        reply = await server.execute(workflow, run, message="yes", key="k")
        while reply.status_code == 503:
            reply = await server.execute(workflow, run, message="yes", key="k")
        assert taken(reply)["status"] == "completed"


async def test_a_start_after_a_kill_in_the_middle_of_a_first_start_comes_up_whole(tmp_path: Path) -> None:
    async with Cluster(tmp_path, processes=0, own_database=True, probing=False) as cluster:
        server = cluster.add_server()
        for tenths in (2, 5, 8, 11):
            server.launch()
            await asyncio.sleep(tenths / 10)
            await server.kill()
        with contextlib.suppress(ServerError):
            await server.ready(0.1)
        await server.start()
        assert await names(server) == SAMPLES
