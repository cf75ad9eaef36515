"""The model effect: the provider that is meant, the text while it comes, and no secret in anything that comes back."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.adapters.json_schema import SchemaChecker
from app.adapters.models.client import OpenAIModels
from app.engine.talk import Message, ModelAnswer, ModelCall, ToolCall, Usage
from app.engine.values import as_stored
from app.ports import EffectContext, EffectError, Endpoint, Reach, StoreUnavailableError
from app.services.performing.masking import Mask
from app.services.performing.model import ModelPerformer
from app.services.performing.passing import MaskedText
from tests.conformance.samples import NOW, SetClock, new_id
from tests.stub_provider import Say, StubProvider, stub_provider

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


async def test_no_secret_comes_back_with_an_answer(provider: StubProvider) -> None:
    arguments = json.dumps({"key": API_KEY, API_KEY: [1, f"x{API_KEY}"], "count": 7})
    calls = [{"id": f"c-{API_KEY}", "name": "t", "arguments": arguments}]
    provider.plan = [
        Say(text=f"it is {API_KEY} and 7", calls=calls, model=f"m-{API_KEY}", extra={"reasoning_content": API_KEY})
    ]
    answer = await perform(call(), reach_of(provider, "t7ken", "7"))
    assert answer == ModelAnswer(
        text="it is [secret] and [secret]",
        finish_reason="tool_calls",
        usage=Usage(input_tokens=7, output_tokens=5, total_tokens=12),
        provider="ours",
        model="m-[secret]",
        tool_calls=(
            ToolCall(
                id="c-[secret]",
                name="t",
                arguments={"key": "[secret]", "[secret]": [1, "x[secret]"], "count": "[secret]"},
            ),
        ),
        opaque={"reasoning": [{"field": "reasoning_content", "text": "[secret]"}]},
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 40])
async def test_no_secret_passes_in_pieces(provider: StubProvider, size: int) -> None:
    whole = f"the key {API_KEY} is sk-p%ss, or {API_KEY[:-1]} and t7ken%20x, t7ke, sk-"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    provider.plan = [Say(text="", pieces=pieces)]
    heard = Heard()
    answer = await perform(call(stream=True), reach_of(provider, "t7ken x"), heard)
    assert heard.text == answer.text == f"the key [secret] is sk-p%ss, or {API_KEY[:-1]} and [secret], t7ke, sk-"
    assert len(heard.said) > 2  # not held back to the end


async def test_no_secret_comes_back_with_a_failure(provider: StubProvider) -> None:
    long = "x" * 4090 + API_KEY + " and more"
    provider.plan = [
        Say(status=401, body=f"{API_KEY} is wrong"),
        Say(status=429, body=long, headers={"Retry-After": "3"}),
    ]
    reach = reach_of(provider)
    found = []
    for _ in range(2):
        with pytest.raises(EffectError) as caught:
            await perform(call(), reach)
        found.append(caught.value)
    first, second = found
    assert (first.error_type, first.retryable, first.message) == ("provider_error", False, "the provider answered 401")
    assert first.details == {"status_code": 401, "body": "[secret] is wrong"}
    assert (second.error_type, second.retryable, second.retry_after_seconds) == ("rate_limited", True, 3.0)
    assert second.details == {"status_code": 429, "body": "x" * 4090 + "[secre"}
    assert all(error.__cause__ is None and error.__suppress_context__ for error in found)


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


# ---- what is held back

_letters = st.text('ab%25\\&#;"u00+ x', max_size=12)
_secrets = st.lists(st.text('ab%"& +\\', min_size=1, max_size=5), min_size=1, max_size=3)


@given(_secrets, st.lists(_letters, max_size=12), st.data())
def test_pieces_are_masked_as_the_whole_is(secrets: list[str], pieces: list[str], data: st.DataObject) -> None:
    """Also when secrets stand in it in any spelling, cut anywhere."""
    for _ in range(2):
        secret = data.draw(st.sampled_from(secrets))
        spelled = "".join(data.draw(st.sampled_from(_spelled(character))) for character in secret)
        pieces.insert(data.draw(st.integers(0, len(pieces))), spelled)
    whole = "".join(pieces)
    cuts = sorted({0, len(whole), *data.draw(st.lists(st.integers(0, len(whole)), max_size=6))})
    passing = MaskedText(secrets)
    passed = [passing.feed(whole[start:end]) for start, end in pairwise(cuts)]
    assert "".join([*passed, passing.end()]) == Mask(secrets).text(whole)


def _spelled(character: str) -> list[str]:
    code = f"{ord(character):02x}"
    return [character, f"%{code}", f"%{code.upper()}", f"\\u00{code}", f"&#{ord(character)};", f"&#x{code};"]


def test_text_that_begins_no_secret_passes_at_once() -> None:
    passing = MaskedText(["sk-123456"])
    pieces = ["all", " good", " do s", "k", "-9", "!", " sk", "-1234"]
    passed = [passing.feed(piece) for piece in pieces]
    assert passed == ["all", " good", " do ", "", "sk-9", "!", " ", ""]
    assert passing.end() == "sk-1234"
    assert MaskedText([]).feed("sk-") == "sk-"


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
