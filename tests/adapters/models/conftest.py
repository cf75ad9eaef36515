"""Fixtures of the tests of models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.stub_provider import StubProvider, stub_provider


@pytest.fixture
async def provider() -> AsyncIterator[StubProvider]:
    async with stub_provider() as found:
        yield found
