"""Clusters of real server processes, ended when the test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.system.poison import Cases
from tests.system.servers import RUNNING, Cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows the ends of the servers' logs."""
    report = yield
    if report.failed and report.when == "call":
        for cluster in RUNNING:
            for server in cluster.servers:
                report.sections.append((f"the end of the log of {server.log_path}", server.log()[-3_000:]))
    return report


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Cluster]:
    """One server with its embedded database."""
    async with Cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Two servers against one database."""
    async with Cluster(tmp_path, processes=2) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two servers against one database, shared by the tests that kill nothing (marked `sharing`)."""
    async with Cluster(tmp_path_factory.mktemp("pair"), processes=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    """The poisoned runs, whose minute passes while other tests run."""
    found = Cases(tmp_path_factory.mktemp("poison"))
    yield found
    found.end()


def _wants_cases(item: pytest.Item) -> bool:
    return "cases" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session", autouse=True)
def in_the_background(request: pytest.FixtureRequest) -> None:
    """Begins the long stories first; their tests come last."""
    if any(_wants_cases(item) for item in request.session.items):
        request.getfixturevalue("cases")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_wants_cases)
