"""Rendering a value that may refer to secrets and links: everything but them is rendered, and where they belong is noted."""

from __future__ import annotations

from app.engine.path import Path, is_links, is_secret, resolve
from app.engine.scope import Scope
from app.engine.seal import LinksRef, Seal, Sealed, SecretRef, Step, Text
from app.engine.template import Rendering, Template, parsed
from app.engine.values import Value, to_text


def seal(value: Value, scope: Scope, rendering: Rendering) -> Sealed:
    """Raises NodeError."""
    seals: list[Seal] = []
    shown = _Sealing(scope, rendering, seals).value(value, ())
    return Sealed(shown, tuple(seals))


class _Sealing:
    def __init__(self, scope: Scope, rendering: Rendering, seals: list[Seal]) -> None:
        self._scope = scope
        self._rendering = rendering
        self._seals = seals

    def value(self, value: Value, path: tuple[Step, ...]) -> Value:
        if isinstance(value, str):
            template = parsed(value)
            if any(is_secret(found) or is_links(found) for found in template.paths):
                return self._text(template, path)
            return self._rendering.value(value)
        if isinstance(value, list):
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self.value(item, (*path, key)) for key, item in value.items()}
        return value

    def _text(self, template: Template, path: tuple[Step, ...]) -> str:
        """The text with its references to secrets and links, as written."""
        template.refuse_rich()
        parts = tuple(self._part(part) for part in template.parts)
        self._seals.append(Seal(path, parts))
        texts = [_written(part) for part in parts]
        self._rendering.spend(texts)
        return "".join(texts)

    def _part(self, part: str | Path) -> Text | SecretRef | LinksRef:
        if isinstance(part, str):
            return Text(part)
        if is_secret(part):
            return SecretRef(str(part.steps[0]))
        if is_links(part):
            return LinksRef(part.steps[1:], part.optional, str(part))
        return Text(to_text(resolve(part, self._scope)))


def _written(part: Text | SecretRef | LinksRef) -> str:
    if isinstance(part, Text):
        return part.text
    return part.source if isinstance(part, LinksRef) else f"{{{{secret.{part.name}}}}}"
