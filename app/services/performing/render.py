"""Performs `render`: rich templates, all those of one node together."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from app.engine.values import UnstorableValueError, Value, measure
from app.ports import EffectContext, EffectError, TemplateRenderer

TEXT_BYTES: Final = 256 * 1024


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The request of a `render` effect. `scope`: what the texts may name; `max_bytes`: of each rendered text."""

    texts: list[str]
    scope: dict[str, Any] = {}
    max_bytes: int = TEXT_BYTES


class RenderPerformer:
    """Implements ports.Performer."""

    def __init__(self, renderer: TemplateRenderer) -> None:
        self._renderer = renderer

    async def perform(self, context: EffectContext) -> Value:
        """The rendered texts in their order; one that is a single `{{ }}` is its value."""
        call = msgspec.convert(context.request, Call)
        values = await self._renderer.render(call.texts, call.scope, call.max_bytes)
        try:
            measure(values)
        except UnstorableValueError as error:
            raise EffectError("invalid_value", f"the rendered value cannot be kept: {error}") from error
        return values
