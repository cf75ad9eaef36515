"""No secret passes with what a model says: not in pieces, not in its calls, not in a failure."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from app.engine.talk import ModelAnswer, ToolCall, Usage
from app.ports import EffectError
from app.services.performing.masking import Mask
from app.services.performing.passing import MaskedText
from tests.services.model_effects import (
    API_KEY,
    Heard,
    call,
    perform,
    reach_of,
)
from tests.stub_provider import Say, StubProvider, stub_provider


@pytest.fixture
async def provider() -> Any:
    async with stub_provider() as found:
        yield found


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
