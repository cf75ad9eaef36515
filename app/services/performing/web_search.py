"""Performs `web_search`: one question to the operator's search of the web."""

from __future__ import annotations

from typing import Final

import msgspec

from app.engine.values import UnstorableValueError, Value, measure
from app.ports import EffectContext, EffectError
from app.ports.web import WebSearch

NOT_CONFIGURED: Final = "this server cannot search the web: ANTIPHON_WEB_SEARCH_URL is not set"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The request of a `web_search` effect."""

    query: str
    limit: int


class WebSearchPerformer:
    """Implements ports.Performer. `web` None: the operator has set none."""

    def __init__(self, web: WebSearch | None) -> None:
        self._web = web

    async def perform(self, context: EffectContext) -> Value:
        """`{results: [{title, url, snippet}], count}`."""
        if self._web is None:
            raise EffectError("provider_not_configured", NOT_CONFIGURED)
        call = msgspec.convert(context.request, Call)
        pages = await self._web.search(call.query, call.limit)
        result: Value = {"results": [msgspec.to_builtins(page) for page in pages], "count": len(pages)}
        try:
            measure(result)
        except UnstorableValueError as error:
            raise EffectError("invalid_value", f"the reply holds what cannot be kept: {error}") from error
        return result
