"""Calling a model through the adapter in tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.models.client import OpenAIModels
from app.engine.talk import Message, ModelAnswer, ModelCall
from app.ports import EffectError, Endpoint
from tests.conformance.samples import NOW, SetClock
from tests.stub_provider import Say, StubProvider

KEY = "run:ask#1.1"
API_KEY = "sk-t0p-s3cret"
LOCAL = ("127.0.0.1",)


def models(guard: AddressGuard | None = None) -> OpenAIModels:
    return OpenAIModels(GuardedHttp(guard or AddressGuard()), SetClock(NOW))


def endpoint(provider: StubProvider, /, **given: Any) -> Endpoint:
    fields = {"name": "ours", "base_url": provider.base_url, "api_key": API_KEY, "model": "m-1", "allowed": LOCAL}
    return Endpoint(**(fields | given))


def call(text: str = "hello", /, **given: Any) -> ModelCall:
    return ModelCall(**({"messages": (Message(role="user", text=text),)} | given))


def saying(**say: Any) -> str:
    """The user's text that makes the stub say so."""
    return "stub " + json.dumps(say)


async def complete(
    provider: StubProvider,
    asked: ModelCall | None = None,
    /,
    *,
    pieces: list[str] | None = None,
    guard: AddressGuard | None = None,
    seconds: float = 20,
    **given: Any,
) -> ModelAnswer:
    async with asyncio.timeout(seconds):
        found = endpoint(provider, **given)
        heard: list[str] = [] if pieces is None else pieces
        return await models(guard).complete(found, asked or call(), KEY, heard.append)


async def failure(provider: StubProvider, asked: ModelCall | None = None, /, **given: Any) -> EffectError:
    with pytest.raises(EffectError) as caught:
        await complete(provider, asked, **given)
    shown = f"{caught.value} {caught.value.details} {caught.value.__cause__} {caught.value.message}"
    assert API_KEY not in shown
    return caught.value


def plan(provider: StubProvider, *says: Say) -> Sequence[Say]:
    provider.plan = list(says)
    return says
