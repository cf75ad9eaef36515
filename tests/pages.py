"""The pages of the documentation as the tests read them: fenced blocks, links, and what is said to come out of a block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = tuple(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
)

_fence = re.compile(r"^```(\w*)\s*$")
_skip = re.compile(r"^<!-- test: skip, (?P<why>.+) -->$")
_file = re.compile(r"^# (?P<path>[\w./]+\.py)\n")
_link = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_heading = re.compile(r"^#+ (.+)$", re.M)
_told = re.compile(r"(Inputs|Answers|Says|Outputs) `(.+?)`(?=[.;,]|$)")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced block. `line` is that of its fence, `skip` the reason not to run it, `output` what it is said to print,
    `behind` the paragraph that comes after it."""

    page: str
    line: int
    language: str
    text: str
    skip: str | None = None
    output: str | None = None
    behind: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that it is, when its first line says so; None: a program."""
        found = _file.match(self.text)
        return found["path"] if found else None


def read(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str) -> list[Block]:
    """In their order. A `text` block right behind a `bash` or `python` block is its output and no block of its own."""
    found: list[Block] = []
    for block in _raw(page, read(page).splitlines()):
        before = found[-1] if found else None
        follows = before is not None and before.line + before.text.count("\n") + 2 == block.line
        if block.language == "text" and before is not None and before.language in ("bash", "python") and follows:
            found[-1] = msgspec.structs.replace(before, output=block.text)
        else:
            found.append(block)
    return found


def _raw(page: str, lines: list[str]) -> Iterator[Block]:
    index = 0
    while index < len(lines):
        opening = _fence.match(lines[index])
        if opening is None:
            index += 1
            continue
        end = next((at for at in range(index + 1, len(lines)) if lines[at] == "```"), None)
        assert end is not None, f"{page}:{index + 1}: a block without an end"
        skip = _skip.match(lines[index - 1]) if index else None
        paragraph = takewhile(str.strip, dropwhile(lambda line: not line.strip(), lines[end + 1 :]))
        yield Block(
            page=page,
            line=index + 1,
            language=opening[1],
            text="".join(f"{line}\n" for line in lines[index + 1 : end]),
            skip=skip["why"] if skip else None,
            behind=" ".join(paragraph),
        )
        index = end + 1


def told(block: Block) -> dict[str, object]:
    """What the prose behind a graph says of a run of it: `Inputs`, `Answers`, `Says`, `Outputs`, each JSON in backticks."""
    return {name: msgspec.json.decode(text) for name, text in _told.findall(block.behind)}


def matches(printed: str, wanted: str) -> bool:
    """Is it what is wanted? `…` stands for any text."""
    parts = [re.escape(part) for part in wanted.strip().split("…")]
    return re.fullmatch(".*?".join(parts), printed.strip(), re.S) is not None


# ---- links


def links(page: str) -> list[tuple[str, str]]:
    """(text, target) of every link outside of code."""
    prose = re.sub(r"^```.*?^```$", "", read(page), flags=re.S | re.M)
    return [
        (found["text"], found["target"]) for found in _link.finditer(re.sub(r"`[^`\n]*`", _code_without_links, prose))
    ]


def _code_without_links(code: re.Match[str]) -> str:
    return code.group().replace("](", "]\\(")


def anchors(page: str) -> set[str]:
    """The names that its headings can be linked by."""
    prose = re.sub(r"^```.*?^```$", "", read(page), flags=re.S | re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _heading.findall(prose)}


def dead_links(page: str) -> list[str]:
    """Every target that leads nowhere, and every named test that is not where its link says."""
    dead = []
    for text, target in links(page):
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        if "://" in target or not path.exists():
            dead.append(f"{page}: {target} is no file of the repository")
        elif anchor and anchor not in anchors(str(path.resolve().relative_to(ROOT))):
            dead.append(f"{page}: there is no heading {target}")
        elif text.strip("`").startswith("test_") and not _defines(path, text.strip("`")):
            dead.append(f"{page}: {text} is not in {target}")
    return dead


def _defines(path: Path, test: str) -> bool:
    files = path.rglob("test_*.py") if path.is_dir() else [path]
    return any(re.search(rf"^\s*(?:async )?def {test}\(", file.read_text(), re.M) for file in files)


def missing_files(page: str) -> list[str]:
    """Every file or folder of the repository that is named in code within the prose, and is not there."""
    prose = re.sub(r"^```.*?^```$", "", read(page), flags=re.S | re.M)
    named = re.findall(r"`((?:app|tests|scripts|docs|requirements)/[\w./-]+)`", prose)
    return [f"{page}: there is no {path}" for path in named if not (ROOT / path).exists()]
