"""The embedded database as a real process: killed, restarted, adopted, stopped."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import WriteConcern

from app.adapters.embedded import EmbeddedMongo, EmbeddedMongoError, ServerLock

# A server as far as the database is concerned: it takes the lock, starts the database, says where, and stays.
SERVER = """
import asyncio, pathlib, sys, time
from app.adapters.embedded import EmbeddedMongo, ServerLock

folder = pathlib.Path(sys.argv[1])
lock = ServerLock(folder)
lock.take()
print(asyncio.run(EmbeddedMongo(folder).start()), flush=True)
time.sleep(60)
"""
JOURNALED = WriteConcern(w="majority", j=True)


@pytest.fixture
async def mongo(tmp_path: Path) -> AsyncIterator[EmbeddedMongo]:
    database = EmbeddedMongo(tmp_path)
    yield database
    # Whichever object started it: adopting it first makes this one able to stop it.
    if (tmp_path / "mongo.json").exists():
        await database.start()
        await database.stop()


def start_elsewhere(folder: Path) -> tuple[subprocess.Popen[str], str]:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


def recorded_pid(folder: Path) -> int:
    return int(json.loads((folder / "mongo.json").read_bytes())["pid"])


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def write(uri: str, value: int) -> None:
    client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(uri, serverSelectionTimeoutMS=10_000)
    try:
        await client["t"].get_collection("c", write_concern=JOURNALED).insert_one({"_id": value})
    finally:
        client.close()


async def read(uri: str) -> list[int]:
    client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(uri, serverSelectionTimeoutMS=10_000)
    try:
        return [document["_id"] async for document in client["t"]["c"].find().sort("_id")]
    finally:
        client.close()


async def until_replaced(folder: Path, pid: int) -> None:
    async with asyncio.timeout(20):
        while recorded_pid(folder) == pid:  # noqa: ASYNC110  (it waits for another process)
            await asyncio.sleep(0.02)


async def test_a_killed_database_is_restarted_on_its_port_with_its_data(mongo: EmbeddedMongo, tmp_path: Path) -> None:
    uri = await mongo.start()
    watch = asyncio.create_task(mongo.watch())
    for value in range(3):
        await write(uri, value)
        pid = recorded_pid(tmp_path)
        os.kill(pid, signal.SIGKILL)
        await until_replaced(tmp_path, pid)
        assert await read(uri) == list(range(value + 1))
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch


async def test_a_database_left_alive_is_adopted_and_watched(mongo: EmbeddedMongo, tmp_path: Path) -> None:
    server, uri = await asyncio.to_thread(start_elsewhere, tmp_path)
    with server:
        server.kill()
    pid = recorded_pid(tmp_path)
    await write(uri, 1)
    assert await mongo.start() == uri
    assert mongo.running_uri() == uri
    assert recorded_pid(tmp_path) == pid
    watch = asyncio.create_task(mongo.watch())
    os.kill(pid, signal.SIGKILL)
    await until_replaced(tmp_path, pid)
    assert await read(uri) == [1]
    watch.cancel()


async def test_a_database_is_found_when_the_kill_came_before_its_record(mongo: EmbeddedMongo, tmp_path: Path) -> None:
    server, uri = await asyncio.to_thread(start_elsewhere, tmp_path)
    with server:
        server.kill()
    pid = recorded_pid(tmp_path)
    (tmp_path / "mongo.json").unlink()
    assert await mongo.start() == uri
    assert recorded_pid(tmp_path) == pid


async def test_a_record_of_somebody_elses_process_is_not_believed(mongo: EmbeddedMongo, tmp_path: Path) -> None:
    record = {"pid": os.getpid(), "port": 20_001, "started": "1"}
    (tmp_path / "mongo.json").write_text(json.dumps(record))
    await mongo.start()
    assert recorded_pid(tmp_path) != os.getpid()


async def test_stop_ends_the_process_and_keeps_the_data(mongo: EmbeddedMongo, tmp_path: Path) -> None:
    await write(await mongo.start(), 7)
    pid = recorded_pid(tmp_path)
    began = time.monotonic()
    await mongo.stop()
    assert time.monotonic() - began < 3
    assert not is_running(pid)
    assert not (tmp_path / "mongo.json").exists()
    assert mongo.running_uri() is None
    assert await read(await mongo.start()) == [7]


async def test_a_frozen_database_is_killed_within_three_seconds(mongo: EmbeddedMongo, tmp_path: Path) -> None:
    await mongo.start()
    pid = recorded_pid(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    await mongo.stop()
    assert time.monotonic() - began < 3.2
    assert not is_running(pid)


async def test_the_database_sees_no_secret_of_ours(
    mongo: EmbeddedMongo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_ADMIN_KEY", "sesame")
    await mongo.start()
    assert "sesame" not in psutil.Process(recorded_pid(tmp_path)).environ().values()


async def test_one_server_to_a_folder_until_it_dies_and_its_database_does_not_keep_the_lock(tmp_path: Path) -> None:
    server, uri = await asyncio.to_thread(start_elsewhere, tmp_path)
    with server:
        with pytest.raises(EmbeddedMongoError, match=f"pid {server.pid}"):
            ServerLock(tmp_path).take()
        server.kill()
        server.wait()
    mongo = EmbeddedMongo(tmp_path)
    with ServerLock(tmp_path):
        assert await mongo.start() == uri
        await mongo.stop()
