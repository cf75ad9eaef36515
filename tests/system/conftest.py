"""Clusters of real server processes, ended when the test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.system.meanwhile import Stories, Story
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
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    """What the tests marked `meanwhile` do."""
    found = Stories(tmp_path_factory.mktemp("stories"))
    yield found
    found.end()


def _story(item: pytest.Item) -> Story | None:
    return getattr(getattr(item, "function", None), "story", None)


@pytest.fixture(scope="session", autouse=True)
def stories_begin_first(request: pytest.FixtureRequest) -> None:
    """And their tests come last."""
    for story in filter(None, map(_story, request.session.items)):
        request.getfixturevalue("stories").begin(story)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _story(item) is not None)
