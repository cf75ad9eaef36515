"""The effect web_search: what is asked of the search, and what the server says that has none."""

from __future__ import annotations

import pytest

from app.ports import EffectContext, EffectError
from app.ports.web import WebPage
from app.services.performing.web_search import WebSearchPerformer

CONTEXT = EffectContext(
    workspace="w",
    run_id="r",
    effect_id="find#1.1",
    idempotency_key="r:find#1.1",
    attempt=1,
    operation="web_search",
    request={"query": "tea", "limit": 3},
)


class Pages:
    """A WebSearch that finds always the same."""

    def __init__(self, *pages: WebPage) -> None:
        self.pages = list(pages)
        self.asked: list[tuple[str, int]] = []

    async def search(self, query: str, limit: int) -> list[WebPage]:
        self.asked.append((query, limit))
        return self.pages


async def test_pages_become_results() -> None:
    pages = Pages(WebPage(title="T", url="https://x.example", snippet="S"))
    found = await WebSearchPerformer(pages).perform(CONTEXT)
    assert found == {"results": [{"title": "T", "url": "https://x.example", "snippet": "S"}], "count": 1}
    assert pages.asked == [("tea", 3)]


async def test_what_cannot_be_kept_is_a_failure() -> None:
    with pytest.raises(EffectError) as caught:
        await WebSearchPerformer(Pages(WebPage(title="\ud800", url="https://x.example", snippet=""))).perform(CONTEXT)
    assert caught.value.error_type == "invalid_value"


async def test_a_server_without_a_search_says_so() -> None:
    with pytest.raises(EffectError) as caught:
        await WebSearchPerformer(None).perform(CONTEXT)
    assert (caught.value.error_type, caught.value.retryable) == ("provider_not_configured", False)
    assert "ANTIPHON_WEB_SEARCH_URL" in caught.value.message
