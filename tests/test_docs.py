"""The documentation is true: its commands, programs and graphs are run, its links followed, its lists compared."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest

from app.__main__ import main
from app.adapters.json_schema import SchemaChecker
from app.api.errors import STATUS_WORDS, STATUSES
from app.engine.messages import Said
from app.engine.nodes import CATALOGUE
from app.engine.validate import check
from app.settings import describe_environment
from tests.engine_runs import outputs, run_through
from tests.pages import PAGES, ROOT, Block, blocks, dead_links, matches, missing_files, read, told
from tests.served import Served, lossy

ALL: Final = [block for page in PAGES for block in blocks(page)]
LANGUAGES: Final = {"bash", "python", "json", "text"}
SKIPPED: Final = {"README.md": 1, "docs/operations.md": 5}  # exactly so many; elsewhere none


def _blocks(language: str) -> list[Block]:
    return [block for block in ALL if block.language == language and not block.skip]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("docs"))
    try:
        server.start()
        yield server
    finally:
        server.end()


# ---- what can be read


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_a_heading_or_a_test(page: str) -> None:
    assert dead_links(page) + missing_files(page) == []


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert [block.place for block in ALL if block.language not in LANGUAGES] == []


def test_only_the_few_blocks_that_must_be_are_skipped_and_they_are_bash_that_parses() -> None:
    skipped = [block for block in ALL if block.skip]
    counted = {page: sum(block.page == page for block in skipped) for page in PAGES}
    assert {page: count for page, count in counted.items() if count} == SKIPPED
    for block in skipped:
        assert block.language == "bash", f"{block.place}: only commands can be skipped"
        subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
        named = re.findall(r"\bscripts/\w+", block.text)
        assert [name for name in named if not os.access(ROOT / name, os.X_OK)] == [], block.place


# ---- commands and programs


@pytest.mark.parametrize("page", list(dict.fromkeys(block.page for block in _blocks("bash"))))
def test_the_commands_of_a_page_work_and_print_what_it_says(served: Served, page: str) -> None:
    """One shell for the page, so that a block may use the variables of those before it."""
    run = [block for block in _blocks("bash") if block.page == page]
    script = "".join(f"printf '\\036{at}\\036'\n{_here(block.text, served)}" for at, block in enumerate(run))
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script,
        text=True,
        cwd=ROOT,
        env=served.environment,
        capture_output=True,
        timeout=60,
    )
    printed = done.stdout.split("\036")[2::2]
    assert done.returncode == 0, f"{run[len(printed) - 1].place}: {printed[-1]}\n{done.stderr}"
    for block, text in zip(run, printed, strict=True):
        _compare(block, text)


def _here(text: str, served: Served) -> str:
    """For the server of the test instead of that of `scripts/serve`."""
    text = text.replace("http://127.0.0.1:8000", served.url).replace("var/admin.key", str(served.key_file))
    return text.replace(".venv/bin/python", sys.executable)


def _compare(block: Block, printed: str) -> None:
    if block.output is not None:
        assert matches(printed, block.output), f"{block.place} prints\n{printed}\nnot\n{block.output}"


PROGRAMS: Final = [block for block in _blocks("python") if block.file is None]


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.place)
async def test_a_program_works_and_prints_what_its_page_says(served: Served, block: Block) -> None:
    _compare(block, await _run(block, served.url, served.key))


async def _run(block: Block, url: str, key: str) -> str:
    """What it prints; its warnings are errors."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", block.text),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "URL": url, "KEY": key},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        printed, complaints = await program.communicate()
    assert program.returncode == 0, f"{block.place}: {complaints.decode()}"
    return printed.decode()


async def test_the_client_of_the_turns_page_takes_each_turn_once_though_replies_get_lost(served: Served) -> None:
    (client,) = [block for block in PROGRAMS if block.page == "docs/turns.md"]
    async with lossy(served.url) as way:
        _compare(client, await _run(client, way.url, served.key))
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {served.key}"}) as asking:
        newest = (await asking.get(f"{served.url}/v1/workflow-runs?size=1")).json()["items"][0]
    assert len(way.lost) == newest["turn_number"] == 2, "every turn's first reply was lost, and no turn was doubled"


def test_the_two_printed_commands_run_verbatim_and_the_second_after_a_kill_9(served: Served) -> None:
    first, second = served.commands()
    assert _reply(first)["status"] == "waiting_for_user_input"
    served.end(signal.SIGKILL)
    served.start()
    assert _reply(second)["outputs"] == {"greeting": "Hello, Ada!"}


def _reply(command: str) -> Any:
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, cwd="/", timeout=30)
    return msgspec.json.decode(done.stdout)


def test_node_kinds_that_are_written_by_their_page_alone_work(tmp_path: Path) -> None:
    page = read("docs/node-kinds.md")
    files = {block.file: block.text for block in blocks("docs/node-kinds.md") if block.file is not None}
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for line in re.findall(r"`(from app\.engine\.nodes\.\w+ import \w+)`", page):
        name = line.rpartition(" ")[2]
        _insert(tmp_path / "app/engine/nodes/__init__.py", "\n    Start,\n", f"\n    {name},\n    Start,\n", line)
    (performer,) = re.findall(r"`(from app\.services\.performing\.\w+ import \w+)`", page)
    (entry,) = re.findall(r'`("\w+": \w+\(\),)`', page)
    _insert(tmp_path / "app/bootstrap/wiring.py", '        "http": ', f'        {entry}\n        "http": ', performer)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    tests = [path for path in files if path.startswith("tests/")]
    assert len(tests) == 2
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _insert(file: Path, place: str, instead: str, imported: str) -> None:
    """One line where the page says so, and its import."""
    before = file.read_text()
    assert before.count(place) == 1, f"{file.name} looks otherwise than the page says"
    file.write_text(before.replace(place, instead).replace("\nfrom app.", f"\n{imported}\nfrom app.", 1))


# ---- graphs, templates and expressions


GRAPHS: Final = [block for block in _blocks("json") if "nodes" in msgspec.json.decode(block.text)]


@pytest.mark.parametrize("block", GRAPHS, ids=lambda block: block.place)
def test_a_graph_has_no_faults_and_does_what_is_said_behind_it(block: Block) -> None:
    checked = check(msgspec.json.decode(block.text), CATALOGUE)
    assert (checked.faults, checked.warnings) == ((), ())
    assert checked.graph is not None
    schemas = [claim.value for claim in checked.claims if claim.about == "schema"]
    assert all(SchemaChecker().schema_fault(schema) is None for schema in schemas)
    said = told(block)
    assert said, "an example says what comes out of it"
    state, events = run_through(checked.graph, said.get("Inputs", {}), said.get("Answers", []))
    spoken = [event.text for event in events if isinstance(event, Said)]
    assert (state.ended, state.outputs, spoken) == ("completed", said["Outputs"], said.get("Says", spoken)), state.error


def _rows(result: str) -> list[tuple[str, str, str]]:
    """Of the tables of the graphs page: what is written, what is given, what comes out."""
    rows = re.findall(rf"^\| `(.+?)` \| `(.+?)` \| {result} \|$", read("docs/graphs.md"), re.M)
    return [tuple(cell.replace(r"\|", "|") for cell in row) for row in rows]


@pytest.mark.parametrize(("text", "given", "becomes"), _rows("`(.+?)`"))
def test_a_template_becomes_what_its_row_says(text: str, given: str, becomes: str) -> None:
    end = {"id": "end", "type": "end", "config": {"outputs": {"it": text}}}
    found = outputs([end], [("start", "out", "end")], msgspec.json.decode(given))
    assert found == {"it": msgspec.json.decode(becomes)}


@pytest.mark.parametrize(("text", "given", "truth"), _rows("(true|false)"))
def test_an_expression_is_what_its_row_says(text: str, given: str, truth: str) -> None:
    choice = {"id": "is", "type": "condition", "config": {"cases": [{"handle": "true", "expression": text}]}}
    ends = [{"id": f"e{word}", "type": "end", "config": {"outputs": {"is": word}}} for word in ("true", "false")]
    edges = [("start", "out", "is"), ("is", "true", "etrue"), ("is", "else", "efalse")]
    assert outputs([choice, *ends], edges, msgspec.json.decode(given)) == {"is": truth}


# ---- lists that must be whole


def test_the_readme_and_the_node_page_have_every_kind_of_node() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", read("README.md").split("## Node kinds")[1].split("## ")[0], re.M)
    assert sorted(listed) == sorted(CATALOGUE)
    assert sorted(re.findall(r"^## `(\w+)`$", read("docs/nodes.md"), re.M)) == sorted(CATALOGUE)


def test_the_operations_page_has_every_setting_with_its_default_and_every_command() -> None:
    page = read("docs/operations.md")
    settings = [re.fullmatch(r"(\w+)  .* \[(.*)\]", line) for line in describe_environment().splitlines()]
    rows = re.findall(r"^\| `([A-Z_]+)` \| `?([^|`]+)`? \|", page, re.M)
    assert rows == [setting.groups() for setting in settings if setting]
    for name, command in main.commands.items():
        below = getattr(command, "commands", {"": None})
        assert [one for one in below if f"-m app {name} {one}".strip() not in page] == [], name


def test_the_turns_page_has_every_error_with_its_status() -> None:
    page = read("docs/turns.md")
    listed = {
        (code, int(status))
        for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]+) \|", page, re.M)
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert listed == {*STATUSES.items(), *((word, status) for status, (word, _) in STATUS_WORDS.items())}


def test_the_turns_page_has_every_address(served: Served) -> None:
    paths = httpx.get(f"{served.url}/schema/openapi.json").json()["paths"]
    listed = set(re.findall(r"`([A-Z]+ /[^`]*)`", read("docs/turns.md").split("## Addresses")[1]))
    assert listed == {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
