"""No request makes a server fail, or answer otherwise than its OpenAPI document says."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Final

from tests.system.fuzzing import CHECK_NAMES, fuzz, stocked
from tests.system.servers import Cluster

SEED: Final = "ANTIPHON_FUZZ_SEED"
SHORT, LONG = 16, 300  # requests an operation


async def test_every_operation_answers_as_documented_whatever_is_asked_of_what_is_there(
    one: Cluster, long_form: bool
) -> None:
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    print(f"\n{SEED}={seed}")
    server = one.servers[0]
    stock = await stocked(server)
    found = await asyncio.to_thread(fuzz, server, stock, LONG if long_form else SHORT, seed)
    assert not found, "\n\n".join(found)
    assert server.is_alive


async def test_the_examples_of_the_document_and_all_boundaries_of_its_schemas_are_answered_as_documented(
    one: Cluster, long_form: bool
) -> None:
    server = one.servers[0]
    phases = ["--phases", "examples,coverage,fuzzing,stateful", "--max-time", "240"] if long_form else []
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "st"),
        *("run", f"{server.url}/schema/openapi.json", "--header", f"Authorization: Bearer {server.key}"),
        *("--checks", CHECK_NAMES, "--continue-on-failure", "--request-timeout", "20"),
        *(phases or ["--phases", "examples,coverage"]),
        cwd=one.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    assert server.is_alive
