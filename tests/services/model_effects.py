"""The model effect on a bench: what is reached, what is heard, what is counted."""

from __future__ import annotations

from typing import Any

import msgspec

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.json_schema import SchemaChecker
from app.adapters.models.client import OpenAIModels
from app.engine.talk import Message, ModelAnswer, ModelCall, Usage
from app.engine.values import as_stored
from app.ports import EffectContext, Endpoint, Reach, StoreUnavailableError
from app.services.performing.model import ModelPerformer
from tests.conformance.samples import NOW, SetClock, new_id
from tests.stub_provider import StubProvider

WORKSPACE = new_id()
KEY = "run:ask#1.1"
API_KEY = 'sk-p%ss"w0rd/'


class Heard:
    """A TextSink that remembers."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def piece(self, run_id: str, effect_id: str, attempt: int, text: str) -> None:
        self.said.append((run_id, effect_id, attempt, text))

    @property
    def text(self) -> str:
        return "".join(piece[3] for piece in self.said)


class Reaches:
    """What is reached; first it may be away for a while."""

    def __init__(self, reach: Reach | None, away: int = 0) -> None:
        self.reach = reach
        self.away = away
        self.asked: list[tuple[str, str | None, str | None]] = []

    async def __call__(self, workspace: str, provider: str | None, model: str | None) -> Reach | None:
        self.asked.append((workspace, provider, model))
        if len(self.asked) <= self.away:
            raise StoreUnavailableError("away")
        return self.reach


def context(call: ModelCall, attempt: int = 1) -> EffectContext:
    return EffectContext(
        workspace=WORKSPACE,
        run_id="run",
        effect_id="ask#1.1",
        idempotency_key=KEY,
        attempt=attempt,
        telling=attempt,
        operation="model",
        request=msgspec.to_builtins(call),
    )


def call(text: str = "hello", **given: Any) -> ModelCall:
    return ModelCall(messages=(Message(role="user", text=text),), **given)


class Counted:
    """A Meter that remembers."""

    def __init__(self) -> None:
        self.models: list[tuple[str, str, Usage | None]] = []

    def attempt(self, operation: str, outcome: str, seconds: float, number: int) -> None:
        raise AssertionError("whoever owns the run counts attempts")

    def model(self, provider: str, outcome: str, seconds: float, usage: Usage | None = None) -> None:
        self.models.append((provider, outcome, usage))


def performing(models: Any, reach: Any, heard: Heard, clock: SetClock, meter: Counted | None = None) -> ModelPerformer:
    return ModelPerformer(models, reach, heard, SchemaChecker(), clock, meter or Counted())


def echoing() -> ModelPerformer:
    """One that reaches no provider."""
    clock = SetClock(NOW)
    return performing(OpenAIModels(GuardedHttp(AddressGuard()), clock), Reaches(None), Heard(), clock)


async def perform(
    call: ModelCall,
    reach: Reach | None = None,
    heard: Heard | None = None,
    reaches: Reaches | None = None,
    attempt: int = 1,
    meter: Counted | None = None,
) -> ModelAnswer:
    clock = SetClock(NOW)
    models = OpenAIModels(GuardedHttp(AddressGuard()), clock)
    performer = performing(models, reaches or Reaches(reach), heard or Heard(), clock, meter)
    result = await performer.perform(context(call, attempt))
    answer = msgspec.convert(result, ModelAnswer)
    assert as_stored(answer) == result
    return answer


def reach_of(provider: StubProvider, *secrets: str) -> Reach:
    endpoint = Endpoint(
        name="ours", base_url=provider.base_url, api_key=API_KEY, model="m-1", allowed=(provider.place,)
    )
    return Reach(endpoint=endpoint, secrets=(API_KEY, *secrets))
