"""Rich templates as they are meant: values and texts, errors, limits, and what a lost process means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.adapters.sandbox.template_child import Child, Lost
from app.adapters.sandbox.templates import SandboxedTemplates
from app.engine.values import pack
from app.ports import EffectError
from tests.adapters.sandbox.attacks import busy, children

SCOPE: dict[str, Any] = {
    "a": 1,
    "b": True,
    "n": None,
    "f": 1.5,
    "s": "<b>{{ a }}</b>",
    "l": [1, "ö", None, {"k": True}],
    "d": {"k": [1], "items": 2, "o": 3},
    "big": 2**100,
    "huge": 10**60,
    "deep": [10**60, {"x": -(10**60)}],
    "nodes": {"my-node": {"text": "hi"}},
}
ENDLESS = "{% for i in range(9999) %}{% set x = ('a' * 99999).split('') %}{% endfor %}"
LOST = ("sandbox_limit", "the process that rendered the text ended unexpectedly", True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ a + 1 }}", 2),
        ("{{ b and not n }}", True),
        ("{{ n }}", None),
        ("{{ f * 3 }}", 4.5),
        ("{{ l }}", SCOPE["l"]),
        ("{{ d }}", SCOPE["d"]),
        ("{{ s }}", SCOPE["s"]),
        ("{{ s | upper }}", "<B>{{ A }}</B>"),
        ("{{ [a, {'x': [b]}] }}", [1, {"x": [True]}]),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("{{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
        ("{{ '}}' }}", "}}"),
        ("{{- a -}}", 1),
        ("{{ -a }}", -1),
        ("{{ l | length }}", 4),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ nodes['my-node'].text }}", "hi"),
        ("{{ missing | default('x') }}", "x"),
        ("{{ missing is defined }}", False),
        ("{{ a if b else 2 }}", 1),
        ("{{ big + 1 }}", 2**100 + 1),
        ("{{ huge }}", 10**60),
        ("{{ deep }}", SCOPE["deep"]),
        ("{{ [huge] }}", [10**60]),
        ("{{ s | safe }}", SCOPE["s"]),
    ],
)
async def test_a_single_expression_keeps_its_type(templates: SandboxedTemplates, text: str, value: Any) -> None:
    (found,) = await templates.render([text], SCOPE, 1000)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("plain\n", "plain\n"),
        (" {{ a + 1 }}", " 2"),
        ("{{ a }}{{ a }}", "11"),
        ("{{ a }}{# no #}", "1"),
        ("{% if b %}{{ a }}{% endif %}", "1"),
        ("x {{ b }} {{ n }} {{ f }}", "x true  1.5"),
        ("x {{ l }} {{ d }}", 'x [1,"ö",null,{"k":true}] {"k":[1],"items":2,"o":3}'),
        ("x {{ s }}", "x <b>{{ a }}</b>"),
        ("x {{ big + 1 }} {{ huge }} {{ deep[0] }}", f"x {2**100 + 1} {10**60} {10**60}"),
        ("x {{ deep }}", f'x [{10**60},{{"x":-{10**60}}}]'),
        ("x {{ l | join('; ') }}", 'x 1; ö; ; {"k":true}'),
        ("x {{ b | string }} {{ n | string }}", "x true "),
        ("{% for x in l %}{{ loop.index }}={{ x }};{% endfor %}", '1=1;2=ö;3=;4={"k":true};'),
        ("{% for k, v in nodes.items() %}{{ k }}:{{ v.text }}{% endfor %}", "my-node:hi"),
        ("{% set x = '{{ a }}' %}{{ x }}!", "{{ a }}!"),
        ("{% raw %}{{ a }}{% endraw %}", "{{ a }}"),
        ("x {{ '<' ~ s }}", "x <<b>{{ a }}</b>"),
        ("[[ a ]] {{ a }}", "[[ a ]] 1"),
    ],
)
async def test_in_a_text_values_read_as_json(templates: SandboxedTemplates, text: str, rendered: str) -> None:
    assert await templates.render([text], SCOPE, 1000) == [rendered]


async def test_texts_are_rendered_in_their_order(templates: SandboxedTemplates) -> None:
    assert await templates.render(["{{ a }}", "x{{ a }}", "", "{{ b }}"], SCOPE, 1000) == [1, "x1", "", True]
    assert await templates.render([], SCOPE, 1000) == []


@pytest.mark.parametrize(
    ("text", "error_type", "message"),
    [
        ("{{ missing }}", "invalid_reference", "`missing` is undefined (line 1)"),
        ("a\n{{ d.other.x + 1 }}", "invalid_reference", "`d.other` is undefined (line 2)"),
        ("{{ nodes['x'] }}", "invalid_reference", "`nodes['x']` is undefined (line 1)"),
        ("{% if missing %}{% endif %}", "invalid_reference", "`missing` is undefined (line 1)"),
        ("{{ a", "invalid_value", "unexpected end of input, expected end of variable block (line 1)"),
        ("{% for x %}", "invalid_value", "unexpected end of block, expected in (line 1)"),
        ("{{ a / 0 }}", "invalid_value", "unable to calculate 1 / 0 (line 1)"),
        ("{{ a | unheard }}", "invalid_value", "filter unheard is unknown (line 1)"),
        (
            "{{ huge + 1 }}",
            "invalid_value",
            "tried to use + operator on unsupported types plain object and number (line 1)",
        ),
        ("{{ 1e308 * 10 }}", "invalid_value", "a result is no finite number"),
        ("{{ l.append }}", "invalid_value", "a result is no value but a function or the like"),
        ("{{ l.pop(9) }}", "invalid_value", "IndexError: pop index out of range"),
        ("{% include 'x' %}", "invalid_value", "tried to include non-existing template 'x' (line 1)"),
        ("{{ 'a' * 1001 }}", "too_large", "the text is larger than 1000 bytes"),
        ("x{{ 'ö' * 500 }}", "too_large", "the text is larger than 1000 bytes"),
        ("x" * 1001, "too_large", "the text is larger than 1000 bytes"),
        ("{{ ['a' * 999] }}", "too_large", "the text is larger than 1000 bytes"),
        (ENDLESS, "timeout", "rendering took longer than 1.5 seconds"),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "sandbox_limit",
            "the template takes too many steps (line 1)",
        ),
    ],
)
async def test_an_error_says_what_and_where(
    templates: SandboxedTemplates, text: str, error_type: str, message: str
) -> None:
    error = await _error(templates, text)
    assert (error.error_type, error.message, error.retryable) == (error_type, message, False)


@pytest.mark.parametrize("text", ["{{ 'a' * 1000 }}", "x" * 1000, "x{{ 'a' * 999 }}", "{{ 'ö' * 500 }}"])
async def test_so_many_bytes_are_fine(templates: SandboxedTemplates, text: str) -> None:
    (value,) = await templates.render([text], {}, 1000)
    assert len(value.encode()) == 1000


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{{ missing }} {{ a | unheard }}", None),
        (ENDLESS, None),
        ("", None),
        ("a\n{{ a", "unexpected end of input, expected end of variable block (line 2)"),
        ("{% if a %}", "unexpected end of input, expected end of block (line 1)"),
        ("{{ a" + ".b" * 50_000 + " }}", LOST[1]),
        ("\ud800", "text with a lone surrogate cannot be rendered"),
    ],
)
async def test_a_fault_is_what_keeps_it_from_being_parsed(
    templates: SandboxedTemplates, text: str, fault: str | None
) -> None:
    assert await templates.fault(text) == fault


@pytest.mark.parametrize(("text", "scope"), [("\ud800", {}), ("x{{ a }}", {"a": "\ud800"})])
async def test_half_characters_are_refused(templates: SandboxedTemplates, text: str, scope: dict[str, Any]) -> None:
    assert (await _error(templates, text, scope)).error_type == "invalid_value"


async def test_a_short_text_that_ends_the_process_is_another_try(templates: SandboxedTemplates) -> None:
    error = await _error(templates, "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}")
    assert (error.error_type, error.message, error.retryable) == LOST


async def test_a_killed_process_is_another_try(templates: SandboxedTemplates) -> None:
    run = asyncio.ensure_future(templates.render([ENDLESS], {}, 1000))
    (await busy("template_process")).kill()
    with pytest.raises(EffectError) as caught:
        await run
    assert (caught.value.error_type, caught.value.message, caught.value.retryable) == LOST
    assert await templates.render(["{{ 1 + 1 }}"], {}, 1000) == [2]


async def test_a_process_killed_at_rest_is_another_try(templates: SandboxedTemplates) -> None:
    await templates.render([""], {}, 10)
    (process,) = children("template_process")
    process.kill()
    assert (await _error(templates, "x")).retryable
    assert await templates.render(["x"], {}, 1000) == ["x"]


async def test_twenty_at_once_do_not_mix(templates: SandboxedTemplates) -> None:
    text = "{% for i in range(5000) %}{% endfor %}{{ a }}"
    found = await asyncio.gather(*(templates.render([text, "{{ a }}"], {"a": number}, 10) for number in range(20)))
    assert found == [[str(number), number] for number in range(20)]
    assert len(children("template_process")) == 2


async def test_a_cancelled_text_ends_its_process(templates: SandboxedTemplates) -> None:
    runs = [asyncio.ensure_future(templates.render([ENDLESS], {}, 1000)) for _ in range(6)]
    await busy("template_process")
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
    began = time.monotonic()
    assert await templates.render(["{{ 1 + 1 }}"], {}, 1000) == [2]
    assert time.monotonic() - began < 1
    assert len(children("template_process")) == 1


async def test_closing_ends_the_processes(templates: SandboxedTemplates) -> None:
    run = asyncio.ensure_future(templates.render([ENDLESS], {}, 1000))
    await templates.render(["x"], {}, 10)
    await busy("template_process")
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await templates.close()
    assert children("template_process") == []
    error = await _error(templates, "x")
    assert (error.error_type, error.retryable) == ("sandbox_limit", True)


class Liar:
    """In the place of a process: answers whatever it was given."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.ended = False

    async def ask(self, request: bytes, most: int) -> bytes:
        return self._answer

    async def end(self) -> None:
        self.ended = True


def _liars(answer: bytes, made: list[Liar]) -> Callable[[], Awaitable[Child]]:
    async def start() -> Any:
        made.append(Liar(answer))
        return made[-1]

    return start


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xc1garbage",
        pack("done"),
        pack(["done"]),
        pack(["done", "text"]),
        pack(["done", [1, 2]]),
        pack(["failed", "no_such_type", "x"]),
        pack(["failed", "too_large"]),
        pack({"done": [1]}),
        b"\x91" * 100_000,
    ],
)
async def test_garbage_is_a_lost_process(answer: bytes) -> None:
    made: list[Liar] = []
    templates = SandboxedTemplates(start=_liars(answer, made))
    error = await _error(templates, "x")
    await asyncio.sleep(0)
    assert (error.error_type, error.message, error.retryable) == LOST
    assert [liar.ended for liar in made] == [True]


async def test_a_process_that_cannot_be_started_is_another_try() -> None:
    async def start() -> Child:
        raise Lost("no more processes")

    templates = SandboxedTemplates(start=start)
    error = await _error(templates, "x")
    assert (error.error_type, error.message, error.retryable) == LOST


async def _error(templates: SandboxedTemplates, text: str, scope: dict[str, Any] | None = None) -> EffectError:
    with pytest.raises(EffectError) as caught:
        await templates.render([text], SCOPE if scope is None else scope, 1000)
    return caught.value
