"""What attacks come to: an error of one of some types, or a harmless value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
import psutil

from app.ports import EffectError


class Attack(msgspec.Struct, frozen=True):
    """`errors`: types that are right. `harmless`: values that are right as well, for nothing was got by them."""

    family: str
    text: str
    errors: frozenset[str]
    harmless: tuple[Any, ...] = ()

    @property
    def id(self) -> str:
        shown = self.text if len(self.text) < 60 else self.text[:40] + f"…{len(self.text)}"
        return f"{self.family}: {shown!r}"


def attack(family: str, text: str, errors: str, *harmless: Any) -> Attack:
    return Attack(family, text, frozenset(errors.split()), harmless)


async def check(found: Attack, run: Awaitable[Any], seconds: float) -> None:
    """Fails unless the attack came to nothing, in time."""
    try:
        async with asyncio.timeout(seconds):
            value = await run
    except EffectError as error:
        assert error.error_type in found.errors, (error.error_type, error.message)
        assert len(error.message) < 3_000
        assert "/" not in error.message or "/" in found.text, "a path of the host"
    else:
        assert value in found.harmless, value


def children(word: str) -> list[psutil.Process]:
    """Our own child processes whose command has the word in it."""
    found = []
    for process in psutil.Process().children():
        try:
            if any(word in part for part in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


async def busy(word: str) -> psutil.Process:
    """A child that has been computing for a while."""
    async with asyncio.timeout(10):
        while True:
            for process in children(word):
                before = sum(process.cpu_times()[:2])
                await asyncio.sleep(0.2)
                if sum(process.cpu_times()[:2]) - before > 0.05:
                    return process
            await asyncio.sleep(0.02)
