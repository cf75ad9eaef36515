"""Attacks on the sandbox for Python: each comes to nothing, and the next run works."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from app.adapters.sandbox.code import SandboxedCode
from tests.adapters.sandbox.attacks import Attack, attack, check, children

SECONDS = 0.4
NESTED = "x = []\nfor i in range({}):\n    x = [x]\n"
DOUBLED = "x = [1]\nfor i in range(40):\n    x = [x, x]\n"

ATTACKS = [
    # out of the interpreter, into its surroundings
    attack("escape", "output = str(().__class__.__bases__[0].__subclasses__())", "code_error"),
    attack("escape", "def f(): pass\noutput = f.__globals__", "code_error"),
    attack("escape", "output = (lambda: 1).__code__", "code_error"),
    attack("escape", "output = getattr((), '__cl' + 'ass__')", "code_error"),
    attack("escape", "output = '{0.__class__.__init__}'.format(1)", "code_error"),
    attack("escape", "try:\n    1 / 0\nexcept Exception as e:\n    output = e.__traceback__.tb_frame", "code_error"),
    attack("escape", "output = __builtins__", "code_error"),
    attack("escape", "output = [_names, _code, _inputs]", "code_error"),
    attack("escape", "import json\njson.dumps = None", "code_error"),
    attack("escape", "import os\noutput = os.environ", "code_error"),
    attack("escape", "import os\noutput = os.getenv('ANTIPHON_SECRET_KEYS')", "code_error"),
    attack("escape", "import os\nos.system('id')", "code_error"),
    # without end
    attack("loops", "while True:\n    pass", "timeout"),
    attack("loops", "try:\n    while True:\n        pass\nexcept BaseException:\n    output = 1", "timeout"),
    attack("loops", "output = sum(range(10 ** 15))", "timeout"),
    attack("loops", "def main():\n    while True:\n        pass", "timeout"),
    attack("loops", "exec('while True: pass')", "timeout"),
    attack("loops", "import itertools\nsum(itertools.repeat(1))", "timeout"),
    attack("loops", "import time\ntime.sleep(100)", "sandbox_limit"),
    attack(
        "loops", "while True:\n    try:\n        absent\n    except NameError:\n        pass", "timeout sandbox_limit"
    ),
    # memory
    attack("memory", "x = 'a' * 10 ** 10", "sandbox_limit"),
    attack("memory", "x = []\nwhile True:\n    x.append('a' * 1000)", "sandbox_limit"),
    attack("memory", "x = (0,) * 10 ** 9", "sandbox_limit"),
    attack("memory", "x = 2 ** 10 ** 9", "sandbox_limit"),
    attack("memory", "x = 1 << 10 ** 10", "sandbox_limit"),
    attack("memory", "x = ('a' * 10000).replace('a', 'b' * 100000)", "sandbox_limit"),
    attack("memory", "x = 'x'.join(['a' * 100000] * 100000)", "sandbox_limit"),
    attack("memory", "x = f'{1:>10000000000}'", "sandbox_limit code_error"),
    attack("memory", "try:\n    x = 'a' * 10 ** 10\nexcept BaseException:\n    output = 1", "sandbox_limit"),
    attack("memory", "import itertools\nx = list(itertools.product(range(100), repeat=8))", "sandbox_limit"),
    # what comes out
    attack("output", "output = 'a' * (3 * 1024 * 1024)", "too_large"),
    attack("output", "output = [0] * 1000000", "too_large"),
    attack("output", DOUBLED + "output = x", "sandbox_limit timeout"),
    attack("output", "x = []\nx.append(x)\noutput = x", "code_error"),
    attack("output", "while True:\n    print('a' * 1000)", "timeout"),
    attack("output", "for i in range(20):\n    print('a' * 30000000)", "sandbox_limit timeout", None),
    attack("output", "raise ValueError('a' * 20000000)", "code_error"),
    attack("output", "return [1]", "code_error", None),
    attack("output", "output = 10 ** 5000", "code_error"),
    # depth
    attack("recursion", "def f():\n    f()\nf()", "sandbox_limit"),
    attack("recursion", "class A:\n    def __repr__(self):\n        return repr(self)\nrepr(A())", "sandbox_limit"),
    attack("recursion", "s = 'exec(s)'\nexec(s)", "sandbox_limit code_error"),
    attack("recursion", NESTED.format(100_000) + "output = x", "code_error"),
    attack("recursion", NESTED.format(100_000) + "y = x == [x]", "sandbox_limit", None),
    attack("recursion", "(" * 100_000, "code_error"),
    attack("recursion", "x = " + "-" * 100_000 + "1", "code_error"),
    attack("recursion", "x = a" + ".b" * 100_000, "code_error"),
    attack("recursion", "".join(" " * i + "if 1:\n" for i in range(1_000)) + " " * 1_000 + "pass", "code_error"),
    # files
    attack("file", "output = open('/etc/passwd').read()", "code_error"),
    attack("file", "import pathlib\noutput = pathlib.Path('/etc/passwd').read_text()", "code_error"),
    attack("file", "import os\noutput = os.listdir('/')", "code_error"),
    attack("file", "open('/tmp/antiphon-attack', 'w').write('x')", "code_error"),
    attack("file", "output = open('/proc/self/environ', 'rb').read()", "code_error"),
    attack("file", "output = open('../' * 9 + 'etc/passwd').read()", "code_error"),
    # network
    attack("network", "import socket\nsocket.create_connection(('127.0.0.1', 80))", "code_error"),
    attack("network", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')", "code_error"),
    attack("network", "import http.client", "code_error"),
    attack("network", "import asyncio\nasyncio.run(asyncio.open_connection('127.0.0.1', 80))", "code_error"),
    # imports
    attack("import", "import ctypes", "code_error"),
    attack("import", "import subprocess", "code_error"),
    attack("import", "output = __import__('os').environ", "code_error"),
    attack("import", "import importlib\nimportlib.import_module('os')", "code_error"),
    attack("import", "import sys\noutput = list(sys.modules)", "code_error"),
    attack("import", "import app.settings", "code_error"),
    # regular expressions
    attack("regular expression", "import re\noutput = re.match(r'(a+)+$', 'a' * 60 + 'b')", "code_error timeout", None),
    attack("regular expression", r"import re" "\n" r"re.match(r'(a*)*\1b', 'a' * 5000)", "code_error timeout", None),
    attack("regular expression", "import re\nre.compile('(a{1000}){1000}')", "code_error sandbox_limit"),
    attack("regular expression", "import re\nre.compile('(?:' * 50000)", "code_error sandbox_limit"),
    attack("regular expression", "import re\nre.sub('', 'a' * 1000, 'b' * 1000000)", "sandbox_limit timeout"),
]
FAMILIES = ["escape", "loops", "memory", "output", "recursion", "file", "network", "import", "regular expression"]


@pytest.mark.parametrize("found", ATTACKS, ids=lambda found: found.id)
async def test_an_attack_comes_to_nothing(code: SandboxedCode, found: Attack) -> None:
    async def output() -> object:
        result = await code.run(found.text, {}, SECONDS)
        assert len(result.printed.encode()) <= 64 * 1024
        return result.output

    await check(found, output(), seconds=SECONDS + 3)
    assert (await code.run("output = a + 1", {"a": 1}, 5)).output == 2


def test_there_are_two_of_every_family() -> None:
    counts = Counter(found.family for found in ATTACKS)
    assert sorted(counts) == sorted(FAMILIES)
    assert min(counts.values()) >= 2
    assert len(ATTACKS) >= 37
    assert not os.path.exists("/tmp/antiphon-attack")


@pytest.mark.parametrize(
    "found", [found for found in ATTACKS if found.family in ("recursion", "loops")], ids=lambda found: found.id
)
async def test_compiling_runs_nothing_and_ends_nothing(code: SandboxedCode, found: Attack) -> None:
    fault = await code.fault(found.text)
    assert fault is None or "\n" not in fault
    assert await code.fault("output = 1") is None


async def test_a_run_leaves_nothing_to_the_next(code: SandboxedCode) -> None:
    await code.run("import json\nleft = 1\nglobal other\nother = 2\nimport random\nrandom.seed(1)", {"given": 1}, 5)
    for name in ("left", "other", "given", "_code", "_names", "json"):
        assert (
            await code.run(f"try:\n    output = {name}\nexcept NameError:\n    output = 'none'", {}, 5)
        ).output == "none"


async def test_a_worker_has_nothing_of_the_environment(code: SandboxedCode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_SECRET_KEYS", "a secret that stays here")
    await code.run("output = 1", {}, 5)
    (worker,) = children("monty")
    assert worker.environ() == {}
