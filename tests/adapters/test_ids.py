"""Ids: unique wherever they are made, in an ObjectId's form, in the order of time."""

import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from app.adapters.ids import SystemIds

ELSEWHERE = """
from app.adapters.ids import SystemIds
ids = SystemIds()
print(*(ids.object_id() for _ in range(2_000)), sep="\\n")
"""
FORKED = """
import os
from app.adapters.ids import SystemIds
ids = SystemIds()
ids.object_id()
for _ in range(3):
    if os.fork() == 0:
        break
os.write(1, "".join(f"{ids.object_id()} " for _ in range(100)).encode())  # in one piece
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
"""


def made_by(program: str) -> list[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_an_id_has_24_hex_digits_and_begins_with_the_second() -> None:
    ids = SystemIds()
    for make in (ids.object_id, ids.commit_id):
        before = int(time.time())
        made = make()
        assert re.fullmatch("[0-9a-f]{24}", made)
        assert before <= int(made[:8], 16) <= time.time()


def test_ids_are_unique_within_a_process() -> None:
    ids = SystemIds()
    assert len({make() for _ in range(50_000) for make in (ids.object_id, ids.commit_id)}) == 100_000


def test_ids_are_unique_and_whole_over_threads_that_begin_at_once() -> None:
    threads = 8
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(50):
            ids, start = SystemIds(), threading.Barrier(threads)

            def make(ids: SystemIds = ids, start: threading.Barrier = start) -> list[str]:
                start.wait()
                return [ids.object_id() for _ in range(50)]

            made = [one for task in [pool.submit(make) for _ in range(threads)] for one in task.result()]
            assert len(set(made)) == threads * 50
            assert {len(one) for one in made} == {24}


def test_ids_are_unique_over_processes() -> None:
    with ThreadPoolExecutor(3) as pool:
        made = [one for found in pool.map(made_by, [ELSEWHERE] * 3) for one in found]
    assert (len(made), len(set(made))) == (6_000, 6_000)


def test_ids_are_unique_over_forks_of_a_process_that_has_made_some() -> None:
    made = made_by(FORKED)
    assert (len(made), len(set(made))) == (400, 400)


def test_ids_of_different_seconds_sort_by_time() -> None:
    earlier = SystemIds().object_id()
    while time.time() < int(earlier[:8], 16) + 1:
        time.sleep(0.01)
    assert earlier < SystemIds().object_id()
