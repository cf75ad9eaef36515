"""Fixtures of the adapters' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.stub_http import Stub, stub


@pytest.fixture
async def server() -> AsyncIterator[Stub]:
    async with stub() as found:
        yield found


@pytest.fixture
async def elsewhere() -> AsyncIterator[Stub]:
    """Another origin."""
    async with stub() as found:
        yield found
