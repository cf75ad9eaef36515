"""Attacks on the sandbox for templates: each comes to nothing, and the next text is rendered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psutil
import pytest

from app.adapters.sandbox.template_process import ADDRESS_BYTES
from app.adapters.sandbox.templates import SandboxedTemplates
from tests.adapters.sandbox.attacks import Attack, attack, check, children

SCOPE: dict[str, Any] = {"a": 1, "l": [1], "d": {"k": 1}, "s": "a" * 100_000}
LOST = "sandbox_limit"
GROWN = "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
NESTED = "{% set ns = namespace(x=[]) %}{% for i in range(50000) %}{% set ns.x = [ns.x] %}{% endfor %}"
ITSELF = "{% set ns = namespace() %}{% set ns.a = ns %}"

ATTACKS = [
    # out of the engine, into Python
    attack("escape", "{{ ''.__class__.__mro__ }}", "invalid_reference invalid_value"),
    attack("escape", "{{ d.__class__ }}", "invalid_reference"),
    attack("escape", "{{ d['__class__'] }}", "invalid_reference"),
    attack("escape", "{{ l | attr('__class__') }}", "invalid_reference"),
    attack("escape", "{{ l.append.__self__ }}", "invalid_reference"),
    attack("escape", "{{ l.append }}", "invalid_value"),
    attack("escape", "{{ [l] | map(attribute='__class__') | list }}", "invalid_reference", [None]),
    attack("escape", "{{ '{0.__class__.__init__.__globals__}'.format(d) }}", "invalid_value"),
    attack("escape", "{{ l.sort(key=range) }}{{ d.fromkeys.__func__ }}", "invalid_value invalid_reference"),
    attack("escape", "{{ range.__globals__ }}{{ namespace.__init__ }}", "invalid_reference"),
    attack("escape", "{{ debug() }}", "invalid_value"),
    attack("escape", "{{ cycler.__init__.__globals__.os }}", "invalid_reference"),
    # without end
    attack("loops", "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", LOST),
    attack("loops", "{% for i in range(9999) %}{% set x = s.split('') %}{% endfor %}", "timeout"),
    attack("loops", "{% for i in range(9999) %}{{ range(99999) | list | sort | length }}{% endfor %}", "timeout"),
    attack(
        "loops", "{% for i in range(9999) %}{% set x = range(99999) | map('string') | list %}{% endfor %}", "timeout"
    ),
    # memory
    attack("memory", "{{ 'a' * 10000000000 }}", f"invalid_value too_large {LOST}"),
    attack("memory", "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 40 + "{{ x | length }}", LOST),
    attack("memory", GROWN + "{{ ns.x | string | length }}", f"{LOST} timeout"),
    attack("memory", "{{ s | replace('a', s) | length }}", LOST),
    attack("memory", "{{ s | indent(1000000000) | length }}", LOST),
    attack("memory", "{{ '%1000000000d' | format(1) | length }}", LOST),
    attack("memory", "{{ [1] | batch(1000000000, 1) | list | length }}", LOST),
    attack("memory", "{{ [1] | slice(100000000) | list | length }}", f"{LOST} timeout"),
    # huge ranges
    attack("range", "{{ range(10000000000) | list | length }}", "invalid_value"),
    attack("range", "{{ [0] * 10000000000 }}", "invalid_value"),
    attack("range", "{{ 9 ** 9 ** 9 }}", "invalid_value"),
    attack("range", "{{ range(99999) | join(s) | length }}", f"{LOST} timeout too_large"),
    # what comes out
    attack("output", "{% for i in range(10000) %}{{ s }}{% endfor %}", "too_large"),
    attack("output", "{% for i in range(10000) %}" + "b" * 100_000 + "{% endfor %}", f"too_large {LOST}"),
    attack("output", "{{ [s] * 1000 }}", "too_large"),
    attack("output", GROWN + "{{ ns.x }}", f"{LOST} timeout too_large"),
    attack("output", "{{ [1e308 * 10] }}", "invalid_value"),
    # recursion and depth: several of these end the process
    attack("recursion", ITSELF + "{{ ns }}", f"{LOST} invalid_value"),
    attack("recursion", ITSELF + "{{ ns | tojson }}", f"{LOST} invalid_value"),
    attack("recursion", "{{ l.append(l) }}{{ l }}", f"{LOST} invalid_value"),
    attack("recursion", "{{ l.append(l) }}{{ l | string | length }}", f"{LOST} invalid_value"),
    attack("recursion", "{{ d.update({'k': d}) }}{{ d | tojson }}", f"{LOST} invalid_value"),
    attack("recursion", "{% macro m(x) %}{{ m([x]) }}{% endmacro %}{{ m(1) }}", "invalid_value"),
    attack("recursion", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "invalid_value"),
    attack("depth", "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}", f"{LOST} invalid_value"),
    attack("depth", "{{ " + "[" * 50_000 + "]" * 50_000 + " }}", f"{LOST} invalid_value"),
    attack("depth", "{{ a" + ".b" * 50_000 + " }}", f"{LOST} invalid_value"),
    attack("depth", "{{ " + "-" * 50_000 + "1 }}", f"{LOST} invalid_value"),
    attack("depth", "{{ 1" + " + 1" * 50_000 + " }}", f"{LOST} invalid_value"),
    attack("depth", "{{ 1" + " | string" * 50_000 + " }}", f"{LOST} invalid_value"),
    attack("depth", "{% if 1 %}" * 20_000, f"{LOST} invalid_value"),
    attack("depth", NESTED + "{{ ns.x }}", f"{LOST} invalid_value"),
    attack("depth", NESTED + "{{ ns.x == [ns.x] }}", f"{LOST} invalid_value"),
    # files and other templates
    attack("file", "{% include '/etc/passwd' %}", "invalid_value"),
    attack("file", "{% include ['a', '../../../../etc/passwd'] %}", "invalid_value"),
    attack("file", "{% extends 'text' %}", "invalid_value"),
    attack("file", "{{ open('/etc/passwd') }}", "invalid_value"),
    attack("import", "{% import 'os' as os %}{{ os }}", "invalid_value"),
    attack("import", "{% from 'os' import system %}", "invalid_value"),
    attack("import", "{{ __import__('os').environ }}", "invalid_value"),
    # patterns: there are no regular expressions
    attack("regular expression", "{{ s is matching('(a+)+$') }}", "invalid_value"),
    attack("regular expression", "{{ s | regex_replace('(a+)+$', '') }}", "invalid_value"),
]
FAMILIES = [
    *["depth", "escape", "file", "import", "loops", "memory", "output", "range", "recursion", "regular expression"]
]


@pytest.mark.parametrize("found", ATTACKS, ids=lambda found: found.id)
async def test_an_attack_comes_to_nothing(templates: SandboxedTemplates, found: Attack) -> None:
    async def rendered() -> object:
        (value,) = await templates.render([found.text], SCOPE, 256 * 1024)
        return value

    await check(found, rendered(), seconds=5)
    assert await templates.render(["{{ a + 1 }}", "Hi {{ l }}"], SCOPE, 1000) == [2, "Hi [1]"]


def test_there_are_two_of_every_family() -> None:
    counts = Counter(found.family for found in ATTACKS)
    assert sorted(counts) == FAMILIES
    assert min(counts.values()) >= 2


@pytest.mark.parametrize(
    "found", [found for found in ATTACKS if found.family in ("depth", "loops")], ids=lambda found: found.id
)
async def test_parsing_renders_nothing_and_ends_nothing(templates: SandboxedTemplates, found: Attack) -> None:
    fault = await templates.fault(found.text)
    assert fault is None or "\n" not in fault
    assert await templates.fault("{{ a }}") is None


async def test_a_process_has_nothing_of_the_environment_and_may_do_nothing(
    templates: SandboxedTemplates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_SECRET_KEYS", "a secret that stays here")
    await templates.render(["{{ 1 + 1 }}"], {}, 10)
    (process,) = children("template_process")
    assert set(process.environ()) <= {"LD_LIBRARY_PATH", "LC_CTYPE"}
    assert process.num_fds() == 3
    limits = {
        name: process.rlimit(getattr(psutil, "RLIMIT_" + name)) for name in ("AS", "FSIZE", "CORE", "NOFILE", "NPROC")
    }
    assert limits == {
        "AS": (ADDRESS_BYTES, ADDRESS_BYTES),
        "FSIZE": (0, 0),
        "CORE": (0, 0),
        "NOFILE": (3, 3),
        "NPROC": (0, 0),
    }
    soft, _ = process.rlimit(psutil.RLIMIT_CPU)
    assert 0 < soft < 60


async def test_a_text_leaves_nothing_to_the_next(templates: SandboxedTemplates) -> None:
    left = "{% set x = 1 %}{% macro m() %}{% endmacro %}{{ l.append(2) }}{{ d.update({'k': 5}) }}"
    absent = "{{ [x is defined, m is defined, l, d] }}"
    expected = ["", [False, False, [1], {"k": 1}]]
    scope = {"l": [1], "d": {"k": 1}}
    assert await templates.render([left, absent], scope, 1000) == ["", expected[1]]
    assert await templates.render([absent], scope, 1000) == [expected[1]]
    assert scope == {"l": [1], "d": {"k": 1}}
