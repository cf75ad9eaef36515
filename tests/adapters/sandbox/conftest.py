"""The sandboxes, each closed after its test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.adapters.sandbox.code import SandboxedCode
from app.adapters.sandbox.templates import SandboxedTemplates


@pytest.fixture
async def code() -> AsyncIterator[SandboxedCode]:
    made = SandboxedCode()
    yield made
    await made.close()


@pytest.fixture
async def templates() -> AsyncIterator[SandboxedTemplates]:
    made = SandboxedTemplates(seconds=1.5)
    yield made
    await made.close()
