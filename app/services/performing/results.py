"""Performs `keep_results`, `kept_results` and `rest`: what keeps the state of an iteration small and its steps short."""

from __future__ import annotations

from typing import Any

import msgspec

from app.engine.values import Value, ext_hook, pack
from app.ports import EffectContext, EffectError, RunStore, StoreUnavailableError

_results = msgspec.msgpack.Decoder(list[Any], ext_hook=ext_hook)


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """The request of `keep_results`: the group's number within its node's execution, from 0."""

    group: int
    results: list[Any]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The request of `kept_results`: how many groups there are."""

    groups: int


class KeepPerformer:
    """Implements ports.Performer: stores a group. Again is the same."""

    def __init__(self, runs: RunStore) -> None:
        self._runs = runs

    async def perform(self, context: EffectContext) -> Value:
        asked = msgspec.convert(context.request, Keep)
        try:
            await self._runs.keep_results(context.run_id, _name(context, asked.group), pack(asked.results))
        except StoreUnavailableError as error:
            raise _unavailable(error) from error
        return None


class KeptPerformer:
    """Implements ports.Performer: the results of all groups as one list."""

    def __init__(self, runs: RunStore) -> None:
        self._runs = runs

    async def perform(self, context: EffectContext) -> Value:
        asked = msgspec.convert(context.request, Kept)
        names = [_name(context, group) for group in range(asked.groups)]
        try:
            found = await self._runs.kept_results(context.run_id, names)
        except StoreUnavailableError as error:
            raise _unavailable(error) from error
        groups = [_results.decode(body) for body in found if body is not None]
        if len(groups) < len(names):
            raise EffectError("item_failed", "results of this iteration are no longer kept")
        return [result for group in groups for result in group]


class RestPerformer:
    """Implements ports.Performer: does nothing."""

    async def perform(self, context: EffectContext) -> Value:
        return None


def _name(context: EffectContext, group: int) -> str:
    """Of a group of the node's execution that the effect is of: `path#visit/group`."""
    return f"{context.effect_id.rpartition('.')[0]}/{group}"


def _unavailable(error: StoreUnavailableError) -> EffectError:
    return EffectError("provider_error", f"the results could not be stored or read: {error}", retryable=True)
