"""Where what a model was given can be looked up: the addresses in what searches have found, as a node's texts refer to them.

A reference counts by its node, whatever part of the output it reads. In the code of rich templates every name that is a
node's counts, `nodes` alone for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from app.engine.path import Path
from app.engine.template import Template, parsed
from app.engine.values import Value

LISTS: Final = {"search": "results", "web_search": "results", "entries": "entries"}  # in outputs, by the type of node
MOST: Final = 100
MOST_CHARACTERS: Final = 2048  # of one; longer ones are left out
ALL: Final = "nodes"

_quoted = r""""[^"]*"|'[^']*'"""
_mention = re.compile(
    rf"""(?<![\w.])nodes\s*(?:\.\s*(?P<dotted>[^\W\d]\w*)|\[\s*(?P<quoted>{_quoted})\s*\])"""
    rf"""|{_quoted}|\|\s*\w+|(?<![\w.])(?P<bare>[^\W\d]\w*)"""  # texts and filters are no references
)


def addresses(kind: str, output: Value) -> list[str]:
    """Those in the output of a node of this type, in their order."""
    listed = output.get(LISTS[kind]) if kind in LISTS and isinstance(output, dict) else None
    found = [one.get("url") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [url for url in found if isinstance(url, str) and 0 < len(url) <= MOST_CHARACTERS]


def joined(known: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Each once, in their order, so many as are kept."""
    return tuple(dict.fromkeys([*known, *more]))[:MOST]


def cited(texts: Value, found: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Of the addresses that were found, by node, those whose nodes the texts refer to. Raises NodeError."""
    urls: tuple[str, ...] = ()
    for name in _names(texts) if found else ():
        more = found.values() if name == ALL else [found.get(name, [])]
        urls = joined(urls, [url for some in more for url in some])
    return urls


def _names(value: Value) -> Iterator[str]:
    """The names that every text in the value refers to, in their order."""
    if isinstance(value, str):
        yield from _names_in(parsed(value))
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _names(item)


def _names_in(template: Template) -> Iterator[str]:
    codes = list(template.codes)
    for part in template.parts:
        if isinstance(part, Path):
            yield from _name_of(part)
            continue
        rest = part
        while codes and codes[0] in rest:  # a rich template's code stands in its literal texts
            code = codes.pop(0)
            rest = rest.partition(code)[2]
            yield from _mentioned(code)


def _name_of(path: Path) -> Iterator[str]:
    if path.braces == "[[":
        return
    inner = path.first == ALL and path.steps and isinstance(path.steps[0], str)
    yield str(path.steps[0]) if inner else path.first


def _mentioned(code: str) -> Iterator[str]:
    for found in _mention.finditer(code):
        if found["quoted"] is not None:
            yield found["quoted"][1:-1]
        elif name := found["dotted"] or found["bare"]:
            yield name
