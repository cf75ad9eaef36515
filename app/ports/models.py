"""Models: one request to an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from app.engine.talk import ModelAnswer, ModelCall


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider is and how it is reached. `allowed`: what may be reached besides public addresses."""

    name: str
    base_url: str
    api_key: str
    model: str
    allowed: Sequence[str] = ()


class Models(Protocol):
    """The way to models. Never retries; the caller bounds the time and cancels, which closes the connection."""

    async def complete(
        self, endpoint: Endpoint, call: ModelCall, idempotency_key: str, on_text: Callable[[str], None] | None = None
    ) -> ModelAnswer:
        """`on_text` gets each piece of text as it comes, when `call.stream`. Raises EffectError: http_connection,
        blocked_address, too_large, rate_limited, provider_error, invalid_value."""
