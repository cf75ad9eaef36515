"""Searches the web, once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final

import msgspec

from app.engine.kind import Await, Claim, Context, Leave, NodeError, NodeKind, Outcome, Reply, Succeeded
from app.engine.values import Value

LIMIT: Final = 5
MOST_RESULTS: Final = 20
MOST_QUERY: Final = 2_048  # characters
SECONDS: Final = 30.0


class WebSearch(NodeKind, frozen=True, kw_only=True):
    """Its output is `{results[] {title, url, snippet}, count}`."""

    kind: ClassVar[str] = "web_search"
    may_retry: ClassVar[bool] = True

    query: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_RESULTS)] = LIMIT

    def claims(self, path: str) -> Iterable[Claim]:
        return (Claim(path, "web_search", None),)

    def enter(self, ctx: Context) -> Outcome:
        return search_of(ctx.text(self.query), self.limit)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if not isinstance(reply, Succeeded):
            return super().receive(ctx, reply)
        return Leave(reply.result)


def search_of(query: Value, limit: int, seconds: float = SECONDS) -> Await:
    """The effect. Raises NodeError."""
    return Await("web_search", {"query": checked_query(query), "limit": limit}, once=True, timeout_seconds=seconds)


def checked_query(query: Value) -> str:
    """Raises NodeError."""
    if not isinstance(query, str) or not query.strip():
        raise NodeError("invalid_value", "the query must be a text that is not empty")
    if len(query) > MOST_QUERY:
        raise NodeError("invalid_value", f"the query may have {MOST_QUERY} characters")
    return query.strip()
