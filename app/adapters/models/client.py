"""Implements ports.Models with pydantic-ai and the OpenAI client, over our own way out."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Protocol, cast

from app.adapters.http_client import GuardedHttp
from app.adapters.models.refusal import unreadable
from app.adapters.models.wire import Wire
from app.engine.talk import ModelAnswer, ModelCall
from app.ports import Clock, EffectError, Endpoint

OURS: Final = frozenset({"model", "messages", "tools", "stream"})
QUIET: Final = ("openai", "httpx2", "httpcore2", "pydantic_ai")


class _Library(Protocol):
    """What the module with the libraries in it offers."""

    async def complete(
        self, wire: Wire, endpoint: Endpoint, call: ModelCall, on_text: Callable[[str], None]
    ) -> ModelAnswer: ...


class OpenAIModels:
    """Implements ports.Models."""

    def __init__(self, http: GuardedHttp, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._library: _Library | None = None

    async def complete(
        self, endpoint: Endpoint, call: ModelCall, idempotency_key: str, on_text: Callable[[str], None] | None = None
    ) -> ModelAnswer:
        _check(endpoint, call)
        library = self._library or await self._load()
        async with AsyncExitStack() as open_until:
            wire = Wire(self._http, self._clock, endpoint, idempotency_key, open_until)
            try:
                return await library.complete(wire, endpoint, call, on_text or _nobody)
            except Exception as error:
                raise wire.failure or _meant(error, wire) from None  # the library's errors quote requests and replies

    async def _load(self) -> _Library:
        """Takes a second or two: in a thread, so that others go on."""
        library = cast(_Library, await asyncio.to_thread(importlib.import_module, "app.adapters.models.library"))
        for name in QUIET:  # they log requests, and those hold what users say
            logging.getLogger(name).setLevel(logging.WARNING)
        self._library = library
        return library


def _nobody(_text: str) -> None:
    """Nobody reads along."""


def _meant(error: Exception, wire: Wire) -> EffectError:
    """Of what did not go wrong on the way."""
    if isinstance(error, EffectError):
        return error
    if not wire.asked:
        return EffectError("invalid_value", "the request cannot be written as JSON")
    return unreadable("it has a wrong form")


def _check(endpoint: Endpoint, call: ModelCall) -> None:
    if not (call.model or endpoint.model):
        raise EffectError("invalid_value", f"no model is named, and the provider {endpoint.name} has no default")
    taken = sorted(OURS & call.params.keys())
    if taken:
        raise EffectError("invalid_value", f"params cannot set {', '.join(taken)}")
