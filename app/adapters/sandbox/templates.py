"""Rich templates, in processes of their own: a short template can bring the engine down, and only its process with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from app.adapters.sandbox import template_child
from app.adapters.sandbox.template_child import Child, Lost
from app.engine.values import UnstorableValueError, pack, unpack
from app.ports import EffectError

PROCESSES: Final = 2
SECONDS: Final = 5.0  # for one request, all its texts together
ANSWER_BYTES: Final = 4 * 1024  # what an answer may take besides its values
ERROR_TYPES: Final = frozenset({"invalid_reference", "invalid_value", "too_large", "sandbox_limit"})


class SandboxedTemplates:
    """Implements ports.TemplateRenderer. Processes are started when they are first needed, and again when one is lost;
    `close` ends them. `seconds`: for one request. `start` makes a process, and raises Lost."""

    def __init__(self, seconds: float = SECONDS, start: Callable[[], Awaitable[Child]] = template_child.start) -> None:
        self._seconds = seconds
        self._start = start
        self._free = asyncio.Semaphore(PROCESSES)
        self._idle: list[Child] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def render(self, texts: Sequence[str], scope: Mapping[str, Any], max_bytes: int) -> list[Any]:
        try:
            names = pack(scope)
        except UnstorableValueError as error:
            raise EffectError("invalid_value", str(error)) from error
        return await self._ask("render", texts, names, max_bytes)

    async def fault(self, text: str) -> str | None:
        try:
            await self._parse(text)
        except EffectError as error:
            return error.message
        return None

    async def _parse(self, text: str) -> None:
        """Twice, if need be: a process may end for reasons that are not the text's."""
        try:
            await self._ask("parse", [text], b"", 0)
        except EffectError as error:
            if not error.retryable:
                raise
            await self._ask("parse", [text], b"", 0)

    async def close(self) -> None:
        """Ends the processes, those at work as well."""
        self._is_closed = True
        while self._idle:
            self._end(self._idle.pop())
        await asyncio.gather(*self._endings, return_exceptions=True)

    async def _ask(self, work: str, texts: Sequence[str], scope: bytes, max_bytes: int) -> list[Any]:
        try:
            request = msgspec.msgpack.encode([work, list(texts), scope, max_bytes])
        except UnicodeEncodeError as error:
            raise EffectError("invalid_value", "text with a lone surrogate cannot be rendered") from error
        most = len(texts) * (max_bytes + ANSWER_BYTES) + ANSWER_BYTES
        count = len(texts) if work == "render" else 0
        async with self._free:
            reply = await self._exchange(request, most, count)
        if isinstance(reply, EffectError):
            raise reply
        return reply

    async def _exchange(self, request: bytes, most: int, count: int) -> list[Any] | EffectError:
        """Raises EffectError as well. A process that did not answer well is ended, whatever the reason, cancellation
        included."""
        if self._is_closed:
            raise EffectError("sandbox_limit", "the server is being stopped", retryable=True)
        child: Child | None = None
        try:
            child = self._idle.pop() if self._idle else await self._start()
            async with asyncio.timeout(self._seconds):
                reply = _reply(unpack(await child.ask(request, most)), count)
        except TimeoutError:
            raise EffectError("timeout", f"rendering took longer than {self._seconds:g} seconds") from None
        except (Lost, msgspec.DecodeError, UnstorableValueError, RecursionError) as error:
            message = "the process that rendered the text ended unexpectedly"
            raise EffectError("sandbox_limit", message, retryable=True) from error
        else:
            if not self._is_closed:
                self._idle.append(child)
                child = None
            return reply
        finally:
            if child is not None:
                self._end(child)

    def _end(self, child: Child) -> None:
        task = asyncio.ensure_future(child.end())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


def _reply(answer: Any, count: int) -> list[Any] | EffectError:
    """The `count` values of an answer, or its error. Raises Lost: what wrote it ran what we do not trust, so nothing of it is
    taken for granted."""
    match answer:
        case ["done", list() as values] if len(values) == count:
            return values
        case ["failed", str() as error_type, str() as message] if error_type in ERROR_TYPES:
            return EffectError(error_type, message)
        case _:
            raise Lost("it is no answer")
