"""Rich templates as those who render them get them: the texts, and of the scope only the names that they mention.

The renderer knows `{{ }}`, `{% %}` and `{# #}`. References of ours that it cannot read, `[[name]]` and `{{path?}}`, are
written in its words; what a loop or `set` inside the text makes is its own matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from app.engine.path import Path
from app.engine.scope import Scope
from app.engine.template import Template, parsed
from app.engine.values import Value

_name = re.compile(r"(?<![\w.])[^\W\d]\w*")
_quoted = r"""\[\s*(?:"(?P<double>[^"\\]*)"|'(?P<single>[^'\\]*)')\s*\]"""
_first_steps = {
    word: re.compile(rf"(?<![\w.]){word}\b(?:\.(?P<name>[^\W\d]\w*)|{_quoted})?") for word in ("nodes", "vars")
}


def mentions(template: Template, name: str) -> bool:
    """Whether the code of a rich template has the name in it, maybe as one of its own."""
    return name in _names([template])


def request_of(texts: Iterable[str], scope: Scope, max_bytes: int) -> dict[str, Value]:
    """The request of a `render` effect: `{texts, scope, max_bytes}`."""
    templates = [parsed(text) for text in texts]
    found: dict[str, Value] = {}
    for name in sorted(_names(templates)):
        try:
            found[name] = _narrowed(name, templates, scope) if name in _first_steps else scope.read(name)
        except LookupError:
            continue  # the text's own, or unknown: the renderer says so
    return {"texts": [_source(template) for template in templates], "scope": found, "max_bytes": max_bytes}


def source_of(text: str) -> str:
    """The text in the renderer's words."""
    return _source(parsed(text))


def _source(template: Template) -> str:
    return "".join(part if isinstance(part, str) else _reference(part) for part in template.parts)


def _reference(path: Path) -> str:
    if path.braces == "[[":
        steps = (path.first, *path.steps)
        wanted = "vars" + "".join(f"[{json.dumps(step, ensure_ascii=False)}]" for step in steps)
    else:
        wanted = path.source.removesuffix("?")
    return f"{{{{ {wanted}|default(none) }}}}" if path.optional else f"{{{{ {wanted} }}}}"


def _code_of(template: Template) -> str:
    return " ".join([*template.codes, *(_reference(path) for path in template.paths)])


def _names(templates: Iterable[Template]) -> set[str]:
    return {name for template in templates for name in _name.findall(_code_of(template))}


def _narrowed(word: str, templates: list[Template], scope: Scope) -> Value:
    """Of `nodes` and `vars` those that are named; all, when one is looked up by a name that is not written there."""
    wanted: set[str] = set()
    for template in templates:
        for found in _first_steps[word].finditer(_code_of(template)):
            names = [name for name in found.groupdict().values() if name is not None]
            if not names:
                return scope.read(word)
            wanted.update(names)
    known = scope.read(word)
    return {name: known[name] for name in sorted(wanted) if name in known} if isinstance(known, dict) else known
