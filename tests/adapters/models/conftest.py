"""Fixtures of the tests of models and of tools."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.stub_mcp import StubMcp, stub_mcp
from tests.stub_provider import StubProvider, stub_provider


@pytest.fixture
async def provider() -> AsyncIterator[StubProvider]:
    async with stub_provider() as found:
        yield found


@pytest.fixture
async def mcp() -> AsyncIterator[StubMcp]:
    async with stub_mcp() as found:
        yield found
