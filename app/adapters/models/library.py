"""One request through the libraries. Imported at the first request only, because this loads them.

They get no key, no address and no socket: those stay with the wire below. What they would take from the environment goes
nowhere, and their guesses by a model's name are turned off: what a workflow says is sent as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final, cast

import httpx2
from openai import APIError, AsyncOpenAI
from pydantic_ai import direct
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelResponse, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.profiles import DEFAULT_PROFILE, merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from app.adapters.models import translation
from app.adapters.models.body import Body
from app.adapters.models.refusal import unreadable
from app.adapters.models.wire import Wire, told_error
from app.engine.talk import ModelAnswer, ModelCall, Tool
from app.engine.values import storable_text
from app.ports import EffectError, Endpoint

NOWHERE: Final = "http://provider.invalid"
NO_TAGS: Final = ("\0thinks\0", "\0/thinks\0")  # no text is split: what a provider calls the answer is the answer
OPENAI: Final = "api.openai.com"

warnings.filterwarnings("ignore", module=r"pydantic_ai\.")  # of replies with odd parts: what matters is judged here


class _Transport(httpx2.AsyncBaseTransport):
    """Hands the body down and the reply up; no header of the library's passes."""

    def __init__(self, wire: Wire, streams: bool) -> None:
        self._wire = wire
        self._streams = streams

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        pieces = await self._wire.post(await request.aread(), streams=self._streams)
        return httpx2.Response(
            200,
            headers={"Content-Type": "text/event-stream" if self._streams else "application/json"},
            stream=Body(pieces),
            extensions={"http_version": b"HTTP/2"},  # so that nothing is waited for after the stream's last word
        )


async def complete(wire: Wire, endpoint: Endpoint, call: ModelCall, on_text: Callable[[str], None]) -> ModelAnswer:
    """Raises EffectError, and whatever the libraries raise at a reply that they cannot read."""
    async with httpx2.AsyncClient(transport=_Transport(wire, call.stream), trust_env=False, timeout=None) as http:
        client = AsyncOpenAI(api_key="-", base_url=NOWHERE, http_client=http, max_retries=0, timeout=None)
        model = OpenAIChatModel(
            call.model or endpoint.model,
            provider=OpenAIProvider(openai_client=client),
            profile=lambda _guessed: _profile(wire.host),
        )
        try:
            return await (_streamed if call.stream else _whole)(model, endpoint, call, on_text)
        except ModelAPIError as error:
            raise _meant(error) from error


async def _whole(
    model: OpenAIChatModel, endpoint: Endpoint, call: ModelCall, _on_text: Callable[[str], None]
) -> ModelAnswer:
    response = await direct.model_request(
        model,
        translation.to_library(call.messages),
        model_settings=_settings(call),
        model_request_parameters=_parameters(call.tools),
        instrument=False,
    )
    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    return translation.answer(response, storable_text("".join(texts)), endpoint, call)


async def _streamed(
    model: OpenAIChatModel, endpoint: Endpoint, call: ModelCall, on_text: Callable[[str], None]
) -> ModelAnswer:
    texts: list[str] = []
    async with direct.model_request_stream(
        model,
        translation.to_library(call.messages),
        model_settings=_settings(call),
        model_request_parameters=_parameters(call.tools),
        instrument=False,
    ) as stream:
        async for event in stream:
            piece = storable_text(_text_of(event))
            if piece:
                texts.append(piece)
                on_text(piece)
        response: ModelResponse = stream.get()
    return translation.answer(response, "".join(texts), endpoint, call)


def _meant(error: ModelAPIError) -> EffectError:
    """Of what the libraries found in a stream."""
    cause = error.__cause__
    if isinstance(cause, APIError) and cause.body is not None:
        return told_error(cause.body)
    return unreadable("an event is no JSON")


def _text_of(event: object) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _profile(host: str) -> OpenAIModelProfile:
    """OpenAI's own newer models know `max_completion_tokens` only, most other servers `max_tokens` only."""
    ours = OpenAIModelProfile(
        thinking_tags=NO_TAGS, json_schema_transformer=None, openai_chat_supports_max_completion_tokens=host == OPENAI
    )
    return cast(OpenAIModelProfile, merge_profile(DEFAULT_PROFILE, ours))


def _parameters(tools: tuple[Tool, ...]) -> ModelRequestParameters:
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=tool.parameters if isinstance(tool.parameters, dict) else {"type": "object"},
                strict=False,
            )
            for tool in tools
        ]
    )


def _settings(call: ModelCall) -> OpenAIChatModelSettings:
    body: dict[str, Any] = {}
    if call.schema is not None:
        schema = {"name": "answer", "schema": call.schema, "strict": False}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    settings = OpenAIChatModelSettings(extra_body=body | call.params, parallel_tool_calls=call.parallel_tool_calls)
    if call.temperature is not None:
        settings["temperature"] = call.temperature
    if call.max_tokens is not None:
        settings["max_tokens"] = call.max_tokens
    return settings
