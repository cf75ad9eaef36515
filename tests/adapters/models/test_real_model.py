"""A real model behind a real server, through the adapter: nobody of ours wrote either."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.adapters.json_schema import SchemaChecker
from app.engine.talk import Message, ModelAnswer, ModelCall
from app.ports import Endpoint
from tests.adapters.models.calling import KEY, LOCAL, models
from tests.real_model import real_model

__all__ = ["real_model"]


async def ask(url: str, text: str, pieces: list[str] | None = None, **given: object) -> ModelAnswer:
    endpoint = Endpoint(name="real", base_url=url, api_key="none", model="smollm2", allowed=LOCAL)
    fields = {"messages": (Message(role="user", text=text),), "max_tokens": 24, "params": {"seed": 1}, **given}
    async with asyncio.timeout(60):
        return await models().complete(endpoint, ModelCall(**fields), KEY, None if pieces is None else pieces.append)


async def test_it_says_something_and_counts_it(real_model: str) -> None:
    answer = await ask(real_model, "Say hello.")
    assert answer.text
    assert answer.finish_reason in ("stop", "length")
    assert 0 < answer.usage.output_tokens <= 24
    assert answer.usage.input_tokens > 0
    assert not answer.usage.estimated
    assert answer.opaque is None


@pytest.mark.parametrize("text", ["Count to ten.", "Write a list of three fruits."])
async def test_its_pieces_add_up(real_model: str, text: str) -> None:
    pieces: list[str] = []
    answer = await ask(real_model, text, pieces, stream=True)
    assert len(pieces) > 3
    assert "".join(pieces) == answer.text
    assert not answer.usage.estimated
    assert answer.usage.output_tokens > 3


async def test_the_same_seed_says_the_same_streamed_or_not(real_model: str) -> None:
    given = {"temperature": 0.0}
    whole = await ask(real_model, "What is water?", **given)
    streamed = await ask(real_model, "What is water?", stream=True, **given)
    assert (whole.text, whole.finish_reason) == (streamed.text, streamed.finish_reason)


@pytest.mark.parametrize("stream", [False, True])
async def test_its_text_fits_the_schema(real_model: str, stream: bool) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "kind": {"enum": ["cat", "dog"]}},
        "required": ["name", "kind"],
        "additionalProperties": False,
    }
    answer = await ask(real_model, "Describe a pet.", schema=schema, stream=stream, max_tokens=100, temperature=0.0)
    assert SchemaChecker().check(schema, json.loads(answer.text)) == []


async def test_a_system_message_and_a_history_are_understood(real_model: str) -> None:
    messages = (
        Message(role="system", text="You are brief."),
        Message(role="user", text="Hi"),
        Message(role="assistant", text="Hello!"),
        Message(role="user", text="Bye"),
    )
    assert (await ask(real_model, "", messages=messages)).usage.input_tokens > 20
