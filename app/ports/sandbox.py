"""Code that is not ours: Python of users, and rich templates, each in processes of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec


class CodeResult(msgspec.Struct, frozen=True):
    """What came of a piece of code, and what it printed (cut at 64 KiB)."""

    output: Any
    printed: str


class CodeRunner(Protocol):
    """Runs untrusted Python, limited in time, memory, output and recursion; it reaches nothing outside."""

    async def run(self, code: str, inputs: Mapping[str, Any], timeout_seconds: float) -> CodeResult:
        """Raises EffectError: code_error, timeout, sandbox_limit (retryable when the worker crashed)."""

    async def fault(self, code: str) -> str | None:
        """What keeps the code from being compiled; None: nothing."""


class TemplateRenderer(Protocol):
    """Renders rich templates."""

    async def render(self, texts: Sequence[str], scope: Mapping[str, Any], max_bytes: int) -> list[Any]:
        """Each text rendered with the names of `scope`; one that is a single `{{ }}` keeps its value's type. `max_bytes`
        bounds each. Raises EffectError: invalid_reference, invalid_value, too_large, sandbox_limit (retryable when the
        worker crashed)."""

    async def fault(self, text: str) -> str | None:
        """What keeps the text from being parsed; None: nothing."""
