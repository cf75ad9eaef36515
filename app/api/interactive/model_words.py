"""What models did in the words of the interactive dialect (facts 3.3 and 3.4): calls, tokens and latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from app.engine import messages as said
from app.engine.talk import Spent, Usage

Json = dict[str, Any]
NO_LATENCY: Final = {
    "average_milliseconds": None,
    "min_milliseconds": None,
    "max_milliseconds": None,
    "median_milliseconds": None,
}


def model_words(event: said.ModelCalled | said.ModelReplied | said.ModelFailed) -> tuple[str, Json]:
    """Type and fields. What a model says to the user is `say_llm`, whatever else it answers `worker_llm`."""
    match event:
        case said.ModelCalled(streamed=streamed):
            return "model_call_started", {"streamed": streamed}
        case said.ModelFailed(call_seq=seq, error_type=error_type, error_message=message):
            return "model_call_failed", {"call_seq": seq, "error_type": error_type, "error_message": message}
        case said.ModelReplied():
            return "say_llm" if event.say else "worker_llm", {
                "message": event.text,
                "call_seq": event.call_seq,
                "tool_call_count": event.tool_calls,
                "schema_errors": list(event.misfits),
                "llm_usage_info": _usage_info(event),
            }


def tool_words(event: said.ToolCallStarted | said.ToolCallFinished) -> tuple[str, Json]:
    """Type and fields of a tool's call; ours, the public events have none."""
    words = {"tool_call_id": event.tool_call_id, "tool_name": event.tool_name, "truncated": event.truncated}
    if isinstance(event, said.ToolCallStarted):
        return "tool_call_started", {**words, "arguments": event.arguments}
    return "tool_call_finished", {**words, "status": event.status, "result": event.result, "error": event.error}


def _usage_info(event: said.ModelReplied) -> Json:
    return {
        "response_model": event.model,
        "named_llm_config_id": None,
        "named_llm_config_name": None,
        "provider": event.provider,
        "llm_response_id": None,
        "used_user_api_key": event.provider != "echo",
        "finish_reason": [event.finish_reason],
        "response_latency_milliseconds": event.seconds * 1000,
        "prompt_tokens": event.usage.input_tokens,
        "completion_tokens": event.usage.output_tokens,
        "total_tokens": event.usage.total_tokens,
        "was_streamed": event.streamed,
        "was_estimated": event.usage.estimated,
        "structured_output_retry_metadata": None,
    }


def usage_words(usage: Usage) -> Json:
    """The tokens of a run, in our own words."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "estimated": usage.estimated,
    }


def spent_words(spent: Mapping[str, Spent]) -> Json:
    """Tokens and latencies of a whole run. The median is not kept."""
    total = Usage()
    for one in spent.values():
        total = total.plus(one.usage)
    calls = sum(one.calls for one in spent.values())
    return {
        "llm_token_usage": {
            **_tokens(total),
            "call_count": calls,
            "call_count_with_user_keys": sum(one.calls for name, one in spent.items() if not name.startswith("echo/")),
            "call_count_with_fallback_keys": 0,
            "breakdown_by_models": [_breakdown(name, one) for name, one in spent.items()],
        },
        "llm_latency_stats": {
            "average_milliseconds": sum(one.seconds for one in spent.values()) * 1000 / calls,
            "min_milliseconds": min(one.least_seconds for one in spent.values()) * 1000,
            "max_milliseconds": max(one.most_seconds for one in spent.values()) * 1000,
            "median_milliseconds": None,
        }
        if calls
        else NO_LATENCY,
    }


def _breakdown(name: str, spent: Spent) -> Json:
    provider, _, model = name.partition("/")
    return {"provider": provider, "model": model, "call_count": spent.calls, **_tokens(spent.usage)}


def _tokens(usage: Usage) -> Json:
    return {
        "total_input_tokens": usage.input_tokens,
        "total_output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def latency_words(seconds: Sequence[float]) -> Json:
    """Of the calls of a turn."""
    if not seconds:
        return NO_LATENCY
    return {
        "average_milliseconds": sum(seconds) * 1000 / len(seconds),
        "min_milliseconds": min(seconds) * 1000,
        "max_milliseconds": max(seconds) * 1000,
        "median_milliseconds": median(seconds) * 1000,
    }
