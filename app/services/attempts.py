"""The effects of one run that this process is performing: begun once each, cancelled when no longer wanted."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence

import structlog

from app.engine.messages import EffectFailed, EffectSucceeded
from app.engine.state import Effect
from app.engine.values import Value
from app.ports import EffectContext, EffectError
from app.services.world import World

Result = EffectSucceeded | EffectFailed
Name = tuple[str, int, int]  # effect id, attempt and telling

log = structlog.get_logger("antiphon.effects")


class Attempts:
    """Attempts under way, and the results of those that ended but are not committed yet."""

    def __init__(self, world: World, workspace: str, run_id: str) -> None:
        self._world = world
        self._workspace = workspace
        self._run_id = run_id
        self._tasks: dict[Name, asyncio.Task[Result]] = {}
        self._results: dict[Name, Result] = {}

    def match(self, wanted: Sequence[Effect], *, alive: bool) -> None:
        """Cancels what is no longer in flight, begins what is not yet begun (only under a live lease)."""
        named = {(effect.id, effect.attempt, effect.telling): effect for effect in wanted}
        for name in [name for name in self._tasks if name not in named]:
            self._tasks.pop(name).cancel()
            self._close(name)
        for name in [name for name in self._results if name not in named]:
            del self._results[name]
            self._close(name)
        for name, effect in named.items():
            if alive and name not in self._tasks and name not in self._results:
                self._world.texts.open(self._run_id, effect)
                self._tasks[name] = asyncio.ensure_future(self._attempt(effect))

    def _close(self, name: Name) -> None:
        effect_id, _, telling = name
        self._world.texts.close(self._run_id, effect_id, telling)

    async def ended(self, notice: asyncio.Event, draining: asyncio.Event, seconds: float) -> bool:
        """Waits for an attempt to end, for one of the events, or for time to be up. Are there results to be committed?"""
        if not self._results and not any(task.done() for task in self._tasks.values()):
            events = [asyncio.ensure_future(event.wait()) for event in (notice, draining)]
            try:
                watched = [*self._tasks.values(), *events]
                await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for event in events:
                    event.cancel()
        for name in [name for name, task in self._tasks.items() if task.done()]:
            self._results[name] = self._tasks.pop(name).result()
        return bool(self._results)

    def results(self) -> list[Result]:
        """In the order in which they came."""
        return list(self._results.values())

    def drop(self, committed: Sequence[Result]) -> None:
        """These are in the run now."""
        for name in [name for name, result in self._results.items() if result in committed]:
            del self._results[name]
            self._close(name)

    def cancel(self) -> None:
        """Ends everything under way."""
        for task in self._tasks.values():
            task.cancel()
        for name in (*self._tasks, *self._results):
            self._close(name)

    async def _attempt(self, effect: Effect) -> Result:
        context = EffectContext(
            workspace=self._workspace,
            run_id=self._run_id,
            effect_id=effect.id,
            idempotency_key=f"{self._run_id}:{effect.id}",
            attempt=effect.attempt,
            telling=effect.telling,
            operation=effect.operation,
            request=effect.request,
        )
        began, outcome = self._world.now(), "cancelled"
        try:
            result = await self._performed(effect, context)
            outcome = "ok"
            return EffectSucceeded(now=self._world.now(), effect_id=effect.id, result=result, attempt=effect.attempt)
        except EffectError as failure:
            outcome = failure.error_type
            return self._failed(effect, failure)
        finally:
            self._note(effect, outcome, max(0.0, self._world.now() - began))

    async def _performed(self, effect: Effect, context: EffectContext) -> Value:
        """Raises EffectError, whatever goes wrong."""
        try:
            async with asyncio.timeout(effect.timeout_seconds):
                result: Value = await self._world.performers[effect.operation].perform(context)
                return result
        except EffectError:
            raise
        except TimeoutError:
            message = f"no result within {effect.timeout_seconds:g} seconds"
            raise EffectError("timeout", message, retryable=True) from None
        except Exception as error:
            # not what it says: that may hold what a user sent
            kind, place = type(error).__name__, traceback.format_tb(error.__traceback__)
            log.error("an effect failed unexpectedly", run_id=self._run_id, effect_id=effect.id, kind=kind, place=place)
            raise EffectError("provider_error", "the effect failed unexpectedly") from None

    def _note(self, effect: Effect, outcome: str, seconds: float) -> None:
        """For the operator: what it was and how it ended, never what was sent or came back."""
        self._world.meter.attempt(effect.operation, outcome, seconds, effect.attempt)
        write = log.debug if outcome in ("ok", "cancelled") else log.info
        write(
            "effect",
            run_id=self._run_id,
            effect_id=effect.id,
            operation=effect.operation,
            attempt=effect.attempt,
            outcome=outcome,
            seconds=round(seconds, 4),
        )

    def _failed(self, effect: Effect, failure: EffectError) -> EffectFailed:
        return EffectFailed(
            now=self._world.now(),
            effect_id=effect.id,
            attempt=effect.attempt,
            error_type=failure.error_type,
            error_message=failure.message,
            retryable=failure.retryable,
            retry_after_seconds=failure.retry_after_seconds,
            details=failure.details,
        )
