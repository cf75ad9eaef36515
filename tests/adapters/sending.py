"""Sending a request through the guarded client in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.ports import EffectError, HttpRequest, HttpResponse

LOCAL = ("127.0.0.1",)


async def send(
    url: str, method: str = "GET", *, allowed: Sequence[str] = LOCAL, guard: AddressGuard | None = None, **given: Any
) -> HttpResponse:
    headers = tuple(given.pop("headers", {}).items())
    request = HttpRequest(method=method, url=url, headers=headers, **given)
    async with asyncio.timeout(5):
        return await GuardedHttp(guard or AddressGuard()).send(request, allowed)


async def refused(url: str, method: str = "GET", **given: Any) -> tuple[str, str, bool]:
    with pytest.raises(EffectError) as caught:
        await send(url, method, **given)
    return caught.value.error_type, caught.value.message, caught.value.retryable
