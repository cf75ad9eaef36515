"""One node's config: every field is converted on its own, so that one bad field does not hide another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from app.engine import template
from app.engine.graph import NodeConfig
from app.engine.kind import Fault, NodeKind
from app.engine.misfits import fields_of, misfits, place_of
from app.engine.path import is_secret
from app.engine.values import Value

_common_fields: Final = fields_of(NodeConfig)


class CheckedConfig(msgspec.Struct, frozen=True):
    """`kind` is None when a field of it is bad; `common` holds the good common fields."""

    kind: NodeKind | None
    common: dict[str, Any]
    faults: tuple[Fault, ...]


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
    common |= {name: own[name] for name in ("timeout_seconds",) if own.get(name) is not None}
    if built is not None and common.get("timeout_seconds") is None and "timeout_seconds" in fields:
        common["timeout_seconds"] = getattr(built, fields["timeout_seconds"].name)
    faults += _check_common(config, kind, built, common, path)
    faults += _check_templates(config, kind, path)
    return CheckedConfig(built, common, tuple(faults))


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


def _check_templates(config: dict[str, Any], kind: type[NodeKind], path: str) -> Iterator[Fault]:
    plain = set(kind.plain_texts) | (set(_common_fields) - {"default_output"})
    plain |= {name for name, field in fields_of(kind).items() if field.name in kind.plain_texts}
    for place, text in _texts({key: value for key, value in config.items() if key not in plain}, path):
        try:
            parsed = template.parse(text)
        except template.TemplateSyntaxError as error:
            yield Fault(place, error.message)
            continue
        if parsed.is_rich:
            yield Fault(place, "rich templates are not available yet")
        reads_secret = any(found.first == "secret" and found.braces == "{{" for found in parsed.paths)
        if reads_secret and place.startswith(f"{path}.default_output"):
            yield Fault(place, "a default cannot read secrets")
        elif reads_secret and not kind.reads_secrets:
            yield Fault(place, f"{kind.kind} cannot read secrets")
        for found in parsed.paths:
            if found.first == "secret" and found.braces == "{{" and not is_secret(found):
                yield Fault(place, f"{found} names no secret: write {{{{secret.name}}}}")


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
