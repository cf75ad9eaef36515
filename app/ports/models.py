"""Models: one request to an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

from app.engine.talk import ModelAnswer, ModelCall, ToolCall, Usage
from app.engine.values import to_text
from app.ports.names import Id

CHARACTERS_PER_TOKEN: Final = 4


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider is and how it is reached. `allowed`: what may be reached besides public addresses."""

    name: str
    base_url: str
    api_key: str
    model: str
    allowed: Sequence[str] = ()

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"Endpoint(name={self.name!r}, model={self.model!r})"


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How a workspace reaches a provider. `secrets`: texts that may come back nowhere, the endpoint's key among them unless
    it is a short word; `shared`: the provider is the operator's."""

    endpoint: Endpoint
    secrets: Sequence[str] = ()
    shared: bool = False

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"Reach({self.endpoint!r})"


class Reaching(Protocol):
    """Finds the provider that a request means."""

    async def __call__(self, workspace: Id, provider: str | None, model: str | None, /) -> Reach | None:
        """None: the echo. Raises EffectError provider_not_configured, StoreUnavailableError."""


class Models(Protocol):
    """The way to models. Never retries; the caller bounds the time and cancels, which closes the connection."""

    async def complete(
        self, endpoint: Endpoint, call: ModelCall, idempotency_key: str, on_text: Callable[[str], None] | None = None
    ) -> ModelAnswer:
        """`on_text` gets each piece of text as it comes, when `call.stream`. Raises EffectError: http_connection,
        blocked_address, too_large, rate_limited, provider_error, invalid_value. A refusal's `details` have status_code and
        body, the body's first 64 KiB as they came: mask it, then cut it."""


class TextSink(Protocol):
    """Takes the text of models while it comes. Does not block or raise; what is lost here is lost only to watchers, the
    answer holds the whole text."""

    def piece(self, run_id: Id, effect_id: str, telling: int, text: str) -> None: ...


def estimated(call: ModelCall, text: str, tool_calls: Iterable[ToolCall] = ()) -> Usage:
    """Tokens where nobody counted them."""
    said = [message.text for message in call.messages]
    said += [to_text(made.arguments) for message in call.messages for made in message.tool_calls]
    answered = [text, *(to_text(made.arguments) for made in tool_calls)]
    asked_tokens, answer_tokens = _tokens(said), _tokens(answered)
    return Usage(
        input_tokens=asked_tokens,
        output_tokens=answer_tokens,
        total_tokens=asked_tokens + answer_tokens,
        estimated=True,
    )


def _tokens(texts: Iterable[str]) -> int:
    return -(-sum(map(len, texts)) // CHARACTERS_PER_TOKEN)
