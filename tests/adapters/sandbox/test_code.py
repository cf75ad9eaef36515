"""Users' Python as it is meant: what comes out, which errors, which limits, and what a lost worker means."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest
from pydantic_monty import ResourceLimits

from app.adapters.sandbox.code import SandboxedCode, limits_for
from app.ports import CodeResult, EffectError
from tests.adapters.sandbox.attacks import busy, children

FOREVER = "while True:\n    pass"


@pytest.mark.parametrize(
    ("text", "inputs", "output"),
    [
        ("output = a + b", {"a": 1, "b": 2}, 3),
        ("x = 1", {}, None),
        ("", {}, None),
        ("output = None", {}, None),
        ("def main(a, b=2):\n    return [a, b]", {"a": 1}, [1, 2]),
        ("def main(a):\n    return helper(a)\ndef helper(x):\n    return x * 2", {"a": 4}, 8),
        ("output = 1\ndef main():\n    return 2", {}, 2),
        ("def main():\n    pass", {}, None),
        ("main = 3\noutput = 4", {}, 4),
        ("def main(**names):\n    return names", {"a b": 1, "class": 2, "type": 3}, {"a b": 1, "class": 2, "type": 3}),
        ("count = 5\ndef main(a):\n    global count\n    count += 1\n    return count", {"a": 0}, 6),
        ("output = [True, None, 1.5, -0.0, 'ö\\x00😀', {'a': {}}]", {}, [True, None, 1.5, -0.0, "ö\x00😀", {"a": {}}]),
        ("output = (1, (2, 3))", {}, [1, [2, 3]]),
        ("output = {1: 2, None: 3}", {}, {"1": 2, "null": 3}),
        ("output = a * a", {"a": 2**100}, 2**200),
        ("output = a", {"a": {"b": [None, 1.5, "ö", True]}}, {"b": [None, 1.5, "ö", True]}),
        ("a.append(2)\ndef main(a):\n    return a", {"a": [1]}, [1, 2]),
        ("output = eval('a + 1')", {"a": 1}, 2),
        ("import re, json, math, datetime\noutput = re.findall('[0-9]+', 'a1b22')", {}, ["1", "22"]),
    ],
)
async def test_the_output_is_what_main_returns_or_the_variable(
    code: SandboxedCode, text: str, inputs: dict[str, Any], output: Any
) -> None:
    result = await code.run(text, inputs, 5)
    assert (result, type(result.output)) == (CodeResult(output, ""), type(output))


async def test_the_inputs_stay_as_they_were(code: SandboxedCode) -> None:
    inputs = {"a": [1]}
    await code.run("a.append(2)\na[0] = 5", inputs, 5)
    assert inputs == {"a": [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero (line 1)"),
        ("def f():\n    return 1 / 0\n\nf()", "ZeroDivisionError: division by zero (line 2 in f, line 4)"),
        ("def main():\n    return {}['x']", "KeyError: x (line 2 in main)"),
        ("def main(a):\n    pass", "TypeError: main() missing 1 required positional argument: 'a' (line 1)"),
        ("x = 1\ny = = 2", "SyntaxError: Expected an expression (line 2)"),
        ("x = 1\nraise ValueError('no')", "ValueError: no (line 2)"),
        ("absent", "NameError: name 'absent' is not defined (line 1)"),
        ("assert 1 == 2", "AssertionError (line 1)"),
        ("\ndef f():\n    yield 1", "NotImplementedError: this Python does not know yield expressions (line 3)"),
        ("output = {1, 2}", "the output is not JSON: Object of type set is not JSON serializable"),
        ("output = [b'x']", "the output is not JSON: Object of type bytes is not JSON serializable"),
        (
            "output = {'a': len}",
            "the output is not JSON: Object of type builtin_function_or_method is not JSON serializable",
        ),
        ("output = float('nan')", "the output is not JSON: Out of range float values are not JSON compliant: nan"),
        ("output = [-float('inf')]", "the output is not JSON: Out of range float values are not JSON compliant: -inf"),
        ("class A:\n    pass\noutput = A()", "the output is not JSON: Object of type A is not JSON serializable"),
    ],
)
async def test_an_error_says_what_and_where(code: SandboxedCode, text: str, message: str) -> None:
    error = await _error(code, text)
    assert (error.error_type, error.message, error.retryable) == ("code_error", message, False)


@pytest.mark.parametrize(
    ("text", "error_type", "message"),
    [
        (FOREVER, "timeout", "the code took longer than 0.3 seconds"),
        ("x = 'a' * 10 ** 9", "sandbox_limit", "the code needs more memory than 64 MiB"),
        ("output = ['a' * 1000] * 60000", "sandbox_limit", "the code needs more memory than 64 MiB"),
        ("def f():\n    f()\nf()", "sandbox_limit", "the code calls itself too deeply"),
        ("import time\ntime.sleep(1)", "sandbox_limit", "code may not sleep"),
        ("output = 'a' * 1048577", "too_large", "the output is larger than 1048576 bytes"),
        ("output = 'ö' * 600000", "too_large", "the output is larger than 1048576 bytes"),
    ],
)
async def test_a_limit_says_which(code: SandboxedCode, text: str, error_type: str, message: str) -> None:
    error = await _error(code, text, seconds=0.3)
    assert (error.error_type, error.message, error.retryable) == (error_type, message, False)


async def test_fifty_mebibytes_are_fine(code: SandboxedCode) -> None:
    assert (await code.run("x = 'a' * 50000000\noutput = len(x)", {}, 5)).output == 50_000_000


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("print('a', 1)\nprint('ö')", "a 1\nö\n"),
        ("print('a' * 100000)", "a" * 65_536),
        ("print('a' + 'ö' * 100000)", "a" + "ö" * 32_767),
        ("for i in range(100000):\n    print('ab')", "ab\n" * 21_845 + "a"),
    ],
)
async def test_what_is_printed_is_cut(code: SandboxedCode, text: str, printed: str) -> None:
    assert await code.run(text + "\noutput = 1", {}, 5) == CodeResult(1, printed)


@pytest.mark.parametrize("value", ["\ud800", object()], ids=["half a character", "an object"])
async def test_inputs_that_cannot_be_passed_are_refused(code: SandboxedCode, value: Any) -> None:
    error = await _error(code, "output = 1", {"a": value})
    assert error.error_type in ("invalid_value", "code_error")
    assert not error.retryable


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("output = 1 / 0", None),
        (FOREVER, None),
        ("", None),
        ("x = 1\ny = = 2", "SyntaxError: Expected an expression (line 2)"),
        ("def f(:", "SyntaxError: Expected a parameter or the end of the parameter list (line 1)"),
        ("\n\nyield 1", "NotImplementedError: this Python does not know yield expressions (line 3)"),
        ("(" * 100_000, "SyntaxError: Source is too deeply nested (line 1)"),
    ],
)
async def test_a_fault_is_what_keeps_it_from_compiling(code: SandboxedCode, text: str, fault: str | None) -> None:
    assert await code.fault(text) == fault


async def test_a_killed_worker_is_another_try(code: SandboxedCode) -> None:
    run = asyncio.ensure_future(code.run(FOREVER, {}, 20))
    (await busy("monty")).kill()
    with pytest.raises(EffectError) as caught:
        await run
    assert (caught.value.error_type, caught.value.retryable) == ("sandbox_limit", True)
    assert (await code.run("output = 1", {}, 5)).output == 1


async def test_twenty_at_once_do_not_mix(code: SandboxedCode) -> None:
    text = "x = a\nfor i in range(20000):\n    x += 1\nprint(a)\noutput = x"
    results = await asyncio.gather(*(code.run(text, {"a": number}, 10) for number in range(20)))
    assert results == [CodeResult(number + 20_000, f"{number}\n") for number in range(20)]
    assert len(children("monty")) <= 4


async def test_a_cancelled_run_gives_its_worker_back(code: SandboxedCode) -> None:
    runs = [asyncio.ensure_future(code.run(FOREVER, {}, 0.5)) for _ in range(12)]
    await asyncio.sleep(0.1)
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
    began = time.monotonic()
    assert (await code.run("output = 1", {}, 5)).output == 1
    assert time.monotonic() - began < 2, "those that had not begun are not run"


async def test_closing_waits_a_second_only(code: SandboxedCode) -> None:
    run = asyncio.ensure_future(code.run(FOREVER, {}, 3))
    await busy("monty")
    began = time.monotonic()
    await code.close()
    assert time.monotonic() - began < 2
    error = await _error(code, "output = 1")
    assert (error.error_type, error.retryable) == ("sandbox_limit", True)
    with pytest.raises(EffectError):
        await run
    assert await code.fault("x") is not None


def test_limits_are_all_given() -> None:
    limits = limits_for(2.0)
    assert set(limits) == set(ResourceLimits.__annotations__)
    assert limits["max_feed_duration_secs"] == limits["max_turn_duration_secs"] == 2.0
    assert all(value is not None and math.isfinite(value) for value in limits.values())


async def _error(
    code: SandboxedCode, text: str, inputs: dict[str, Any] | None = None, seconds: float = 5
) -> EffectError:
    with pytest.raises(EffectError) as caught:
        await code.run(text, inputs or {}, seconds)
    return caught.value
