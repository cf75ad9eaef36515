"""The model effect: the provider that is meant, the text while it comes, and how the answer is judged and counted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.models.client import OpenAIModels
from app.engine.talk import ModelAnswer, Usage
from app.ports import EffectError, Reach
from tests.conformance.samples import NOW, SetClock
from tests.services.model_effects import (
    KEY,
    WORKSPACE,
    Counted,
    Heard,
    Reaches,
    call,
    context,
    perform,
    performing,
    reach_of,
)
from tests.stub_provider import Say, StubProvider, stub_provider


@pytest.fixture
async def provider() -> Any:
    async with stub_provider() as found:
        yield found


async def test_the_echo_answers_where_no_provider_is_reached() -> None:
    heard, reaches = Heard(), Reaches(None)
    answer = await perform(
        call("hi you", stream=True, provider="echo", model="m"), heard=heard, reaches=reaches, attempt=2
    )
    assert (answer.text, answer.provider, answer.usage.estimated) == ("echo: hi you", "echo", True)
    assert reaches.asked == [(WORKSPACE, "echo", "m")]
    assert heard.said == [
        ("run", "ask#1.1", 2, "echo:"),
        ("run", "ask#1.1", 2, " hi"),
        ("run", "ask#1.1", 2, " you"),
    ]


async def test_a_provider_is_asked_once_with_the_effects_key(provider: StubProvider) -> None:
    heard = Heard()
    answer = await perform(call("hi", stream=True), reach_of(provider), heard)
    assert answer == ModelAnswer(
        text="said: hi",
        streamed=True,
        finish_reason="stop",
        usage=Usage(input_tokens=7, output_tokens=5, total_tokens=12),
        provider="ours",
        model="stub-1",
    )
    assert (heard.text, provider.by_key) == ("said: hi", {KEY: 1})


async def test_nothing_is_heard_unless_it_is_streamed(provider: StubProvider) -> None:
    heard = Heard()
    await perform(call("hi"), reach_of(provider), heard)
    await perform(call("hi"), None, heard)
    assert heard.said == []


async def test_a_database_that_is_away_is_waited_for(provider: StubProvider) -> None:
    reaches = Reaches(reach_of(provider), away=3)
    assert (await perform(call("hi"), reaches=reaches)).text == "said: hi"
    assert (len(reaches.asked), len(provider.seen)) == (4, 1)


async def test_what_reaching_refuses_is_the_effects_failure() -> None:
    class Refusing:
        async def __call__(self, workspace: str, provider: str | None, model: str | None) -> Reach | None:
            raise EffectError("provider_not_configured", "there is no provider x")

    clock = SetClock(NOW)
    performer = performing(OpenAIModels(GuardedHttp(AddressGuard()), clock), Refusing(), Heard(), clock)
    with pytest.raises(EffectError) as caught:
        await performer.perform(context(call(provider="x")))
    assert caught.value.error_type == "provider_not_configured"


async def test_every_attempt_tells_its_text_from_the_beginning(provider: StubProvider) -> None:
    provider.plan = [Say(text="one two three", fault="end_early")]
    heard = Heard()
    with pytest.raises(EffectError):
        await perform(call(stream=True), reach_of(provider), heard)
    await perform(call("again", stream=True), reach_of(provider), heard, attempt=2)
    told = {attempt: "".join(text for _, _, at, text in heard.said if at == attempt) for attempt in (1, 2)}
    assert ("one two three".startswith(told[1]), told[2]) == (True, "said: again")


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("text", "data", "misfits"),
    [
        ('{"n": 1}', {"n": 1}, 0),
        (' ```json\n{"n": 1}\n``` ', {"n": 1}, 0),
        ('{"n": "1"}', {"n": "1"}, 1),
        ("[]", [], 1),
        ("it is 1", None, 1),
        ("[" * 100_000, None, 1),
    ],
)
async def test_an_answer_is_judged_by_its_schema(provider: StubProvider, text: str, data: Any, misfits: int) -> None:
    provider.plan = [Say(text=text)]
    answer = await perform(call(schema=SCHEMA), reach_of(provider))
    assert (answer.text, answer.data, len(answer.misfits)) == (text, data, misfits)


async def test_calls_are_counted_by_the_operators_names_only(provider: StubProvider) -> None:
    counted = Counted()
    mine = reach_of(provider)
    provider.plan = [Say(text="a"), Say(text="b"), Say(status=500)]
    await perform(call(), mine, meter=counted)
    await perform(call(), msgspec.structs.replace(mine, shared=True), meter=counted)
    with pytest.raises(EffectError):
        await perform(call(), mine, meter=counted)
    await perform(call(), None, meter=counted)
    assert [(name, outcome, usage is not None) for name, outcome, usage in counted.models] == [
        ("workspace", "ok", True),
        ("ours", "ok", True),
        ("workspace", "provider_error", False),
        ("echo", "ok", True),
    ]


async def test_a_hostile_fence_is_read_in_time(provider: StubProvider) -> None:
    provider.plan = [Say(text="```" + "\n" * 100_000 + "x")]
    assert (await perform(call(schema=SCHEMA), reach_of(provider))).misfits == ("the answer is no JSON",)


async def test_calls_whose_arguments_are_too_deep_to_be_kept_are_no_answer(provider: StubProvider) -> None:
    arguments = '{"a":' * 198 + "1" + "}" * 198
    provider.plan = [Say(calls=[{"name": "t", "arguments": arguments}])]
    with pytest.raises(EffectError) as caught:
        await perform(call(), reach_of(provider))
    assert "nested 200 levels deep" in caught.value.message
