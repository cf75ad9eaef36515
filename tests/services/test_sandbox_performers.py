"""What the performers of code and of rich templates ask for and give back, over the real sandboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.adapters.sandbox.both import Sandboxes
from app.ports import EffectContext, EffectError, Performer
from app.services.performing.code import CodePerformer
from app.services.performing.render import RenderPerformer

DEEP = "x = []\nfor i in range(250):\n    x = [x]\noutput = x"


@pytest.fixture
async def sandboxes() -> AsyncIterator[Sandboxes]:
    made = Sandboxes(output_bytes=2_000)
    yield made
    await made.close()


def _context(operation: str, request: dict[str, Any]) -> EffectContext:
    return EffectContext(
        workspace="w", run_id="r", effect_id="e", idempotency_key="r:e", attempt=1, operation=operation, request=request
    )


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        ({"code": "output = 1\nprint('a')"}, {"output": 1, "printed": "a\n"}),
        ({"code": "def main(a): return a", "inputs": {"a": [2**70]}}, {"output": [2**70], "printed": ""}),
        ({"code": "", "timeout_seconds": 1}, {"output": None, "printed": ""}),
    ],
)
async def test_code_gives_its_output_and_what_it_printed(sandboxes: Sandboxes, request_: Any, result: Any) -> None:
    assert await CodePerformer(sandboxes.code).perform(_context("code", request_)) == result


async def test_texts_give_their_values(sandboxes: Sandboxes) -> None:
    request = {"texts": ["{{ a + 1 }}", "x {{ a }}"], "scope": {"a": 2**70}, "max_bytes": 100}
    found = await RenderPerformer(sandboxes.templates).perform(_context("render", request))
    assert found == [2**70 + 1, f"x {2**70}"]


@pytest.mark.parametrize(
    ("operation", "request_", "error_type"),
    [
        ("code", {"code": DEEP}, "code_error"),
        ("code", {"code": "output = 'a' * 2000"}, "too_large"),
        ("code", {"code": "while True: pass", "timeout_seconds": 0.2}, "timeout"),
        ("render", {"texts": ["{{ 'a' * 11 }}"], "max_bytes": 10}, "too_large"),
        ("render", {"texts": ["{{ a }} {{ b }}"], "scope": {"a": 1}}, "invalid_reference"),
        ("render", {"texts": ["{{ " + "[" * 120 + "]" * 120 + " }}"] * 2}, "invalid_value"),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    sandboxes: Sandboxes, operation: str, request_: Any, error_type: str
) -> None:
    performers: dict[str, Performer] = {
        "code": CodePerformer(sandboxes.code),
        "render": RenderPerformer(sandboxes.templates),
    }
    with pytest.raises(EffectError) as caught:
        await performers[operation].perform(_context(operation, request_))
    assert (caught.value.error_type, caught.value.retryable) == (error_type, False)
