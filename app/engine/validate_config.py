"""One node's config: every field is converted on its own, so that one bad field does not hide another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from app.engine import rich, template
from app.engine.graph import NodeConfig
from app.engine.kind import Claim, Fault, NodeKind
from app.engine.misfits import fields_of, misfits, place_of
from app.engine.path import is_links, is_secret
from app.engine.values import Value

_common_fields: Final = fields_of(NodeConfig)


class CheckedConfig(msgspec.Struct, frozen=True):
    """`kind` is None when a field of it is bad; `common` holds the good common fields; `claims`: what others must check."""

    kind: NodeKind | None
    common: dict[str, Any]
    faults: tuple[Fault, ...]
    claims: tuple[Claim, ...] = ()


def check_config(config: dict[str, Any], kind: type[NodeKind], path: str) -> CheckedConfig:
    """Every fault in `config`, and what could be made of it."""
    fields = fields_of(kind)
    faults: list[Fault] = []
    own, own_faults = _convert(config, fields, path)
    common_only = {name: field for name, field in _common_fields.items() if name not in fields}
    common, common_faults = _convert(config, common_only, path)
    faults += [*own_faults, *common_faults]
    known = sorted({*fields, *_common_fields})
    for name in config:
        if name not in fields and name not in _common_fields:
            faults.append(Fault(place_of(path, name), f"unknown setting; {kind.kind} has {', '.join(known)}"))
    built = None if own_faults else _build(kind, own, path, faults)
    if built is not None:
        faults += built.faults(path)
    faults += _check_common(config, kind, built, common, path)
    claims: list[Claim] = []
    for found in _check_templates(config, kind, path):
        if isinstance(found, Claim):
            claims.append(found)
        else:
            faults.append(found)
    claims += built.claims(path) if built is not None else ()
    return CheckedConfig(built, common, tuple(faults), tuple(claims))


def _convert(
    config: dict[str, Any], fields: Mapping[str, msgspec.structs.FieldInfo], path: str
) -> tuple[dict[str, Any], list[Fault]]:
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, field in fields.items():
        place = place_of(path, key)
        if key not in config:
            if field.required:
                faults.append(Fault(place, "is required"))
            continue
        found = misfits(config[key], field.type, place)
        faults += found
        if not found:
            values[field.name] = msgspec.convert(config[key], field.type)
    return values, faults


def _build(kind: type[NodeKind], values: dict[str, Any], path: str, faults: list[Fault]) -> NodeKind | None:
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:  # from __post_init__
        faults.append(Fault(path, str(error)))
        return None


def _check_common(
    config: dict[str, Any], kind: type[NodeKind], built: NodeKind | None, common: dict[str, Any], path: str
) -> Iterator[Fault]:
    if common.get("retry") is not None and not kind.may_retry:
        yield Fault(f"{path}.retry", f"{kind.kind} cannot be retried")
    if built is None or "out" in built.handles():
        return
    if common.get("disabled"):
        yield Fault(f"{path}.disabled", f"{kind.kind} has no outlet `out` to pass through by")
    if common.get("on_error") == "default":
        yield Fault(f"{path}.on_error", f"{kind.kind} has no outlet `out` to go on by with a default")


def _check_templates(config: dict[str, Any], kind: type[NodeKind], path: str) -> Iterator[Fault | Claim]:
    plain = set(kind.plain_texts) | (set(_common_fields) - {"default_output"})
    plain |= {name for name, field in fields_of(kind).items() if field.name in kind.plain_texts}
    for name, value in config.items():
        for place, text in _texts(value, place_of(path, name)) if name not in plain else ():
            parsed = _parsed(text, place)
            if isinstance(parsed, Fault):
                yield parsed
                continue
            is_notice = name in kind.notices
            may_read = (kind.reads_secrets and name != "default_output") or is_notice
            yield from _secret_faults(parsed, place, "a default" if name == "default_output" else kind.kind, may_read)
            yield from _link_faults(parsed, place, is_notice)
            if parsed.is_rich and name == "default_output":
                yield Fault(place, "a default cannot be a rich template: it is for when something has failed")
            elif parsed.is_rich or name in kind.rich_texts:
                yield Claim(place, "template", text)


def text_faults(value: Value, path: str, reader: str, *, reads_secrets: bool) -> Iterator[Fault]:
    """Of texts that a kind renders itself while it runs, so that they must be plain."""
    for place, text in _texts(value, path):
        parsed = _parsed(text, place)
        if isinstance(parsed, Fault):
            yield parsed
        elif parsed.is_rich:
            yield Fault(place, f"the texts of {reader} cannot be rich templates")
        else:
            yield from _secret_faults(parsed, place, reader, reads_secrets)
            yield from _link_faults(parsed, place, is_notice=False)


def _parsed(text: str, place: str) -> template.Template | Fault:
    try:
        return template.parse(text)
    except template.TemplateSyntaxError as error:
        return Fault(place, error.message)


def _secret_faults(parsed: template.Template, place: str, reader: str, may_read: bool) -> Iterator[Fault]:
    """A rich text is rendered where secrets never come."""
    if parsed.is_rich and rich.mentions(parsed, "secret"):
        yield Fault(place, "a text that reads secrets cannot be a rich template; they are given to plain ones only")
        return
    secrets = [found for found in parsed.paths if found.first == "secret" and found.braces == "{{"]
    if secrets and not may_read:
        yield Fault(place, f"{reader} cannot read secrets")
    for found in secrets:
        if not is_secret(found):
            yield Fault(place, f"{found} names no secret: write {{{{secret.name}}}}")


def _link_faults(parsed: template.Template, place: str, is_notice: bool) -> Iterator[Fault]:
    """A rich text is rendered before the pause opens."""
    if parsed.is_rich and is_notice and rich.mentions(parsed, "pause"):
        yield Fault(place, "a text that reads the pause cannot be a rich template; it is given to plain ones only")
        return
    for found in parsed.paths:
        if is_links(found) and not is_notice:
            yield Fault(place, f"{found} can be read only where an approval notifies its approvers")


def _texts(value: Value, path: str) -> Iterator[tuple[str, str]]:
    """Every text in the value, with its place. Depth is bounded before."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, place_of(path, key))
