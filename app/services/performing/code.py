"""Performs `code`: runs Python of a user and gives back its output and what it printed."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from app.engine.values import UnstorableValueError, Value, measure
from app.ports import CodeRunner, EffectContext, EffectError

DEFAULT_SECONDS: Final = 5.0


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The request of a `code` effect. `timeout_seconds`: at most 30; a run that takes longer is stopped."""

    code: str
    inputs: dict[str, Any] = {}
    timeout_seconds: float = DEFAULT_SECONDS


class CodePerformer:
    """Implements ports.Performer."""

    def __init__(self, runner: CodeRunner) -> None:
        self._runner = runner

    async def perform(self, context: EffectContext) -> Value:
        """`{output, printed}`."""
        call = msgspec.convert(context.request, Call)
        found = await self._runner.run(call.code, call.inputs, call.timeout_seconds)
        result = {"output": found.output, "printed": found.printed}
        try:
            measure(result)
        except UnstorableValueError as error:
            raise EffectError("code_error", f"the output cannot be kept: {error}") from error
        return result
