"""The API reference: the OpenAPI document, and a page made of it that works offline and runs no script."""

import html
import json
from typing import Any, ClassVar, Final

from litestar import Litestar, Response, get

from app.api.describe import Shape, described
from app.api.openapi import document
from app.api.services import ApiRequest
from app.engine.values import to_json

Json = dict[str, Any]
VERSION: Final = "0.1.0"
JSON_PATH: Final = "/schema/openapi.json"
_policy: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"}
_style: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border-top: 1px solid #8884; padding: .4rem 0; }
summary { cursor: pointer; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: #8881; padding: .6rem; overflow: auto; max-height: 24rem; }
.method { display: inline-block; width: 4.5rem; font-weight: 600; }
"""


class Document(Shape, frozen=True, kw_only=True):
    """OpenAPI 3.1."""

    examples: ClassVar[Json] = {
        "document": {"openapi": "3.1.0", "info": {"title": "Antiphon", "version": VERSION}, "paths": {}}
    }

    openapi: str
    info: Json
    paths: Json


@get(JSON_PATH, opt=described("The OpenAPI document", None, None, Document))
async def openapi_json(request: ApiRequest) -> Response[bytes]:
    return Response(to_json(document_of(request.app)), media_type="application/json")


@get("/schema", opt=described("The API reference, as a page", None, None, None, media="text/html"))
async def page(request: ApiRequest) -> Response[str]:
    return Response(render(document_of(request.app)), media_type="text/html", headers=_policy)


def document_of(app: Litestar) -> Json:
    """Made once, when first asked for."""
    if "openapi" not in app.state:
        app.state["openapi"] = document(app, VERSION)
    found: Json = app.state["openapi"]
    return found


def render(shown: Json) -> str:
    """The page."""
    title = html.escape(shown["info"]["title"])
    parts = [f"<p>{html.escape(shown['info']['summary'])} The document: <a href='{JSON_PATH}'>{JSON_PATH}</a></p>"]
    tag = None
    for path, methods in sorted(shown["paths"].items()):
        for method, operation in methods.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                parts.append(f"<h2>{html.escape(tag)}</h2>")
            parts.append(_operation(shown, path, method, operation))
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
        f"<style>{_style}</style><h1>{title}</h1>{''.join(parts)}</html>"
    )


def _operation(shown: Json, path: str, method: str, operation: Json) -> str:
    head = f"<span class='method'>{method.upper()}</span> <code>{html.escape(path)}</code> "
    parts = [f"<summary>{head}{html.escape(operation['summary'])}</summary>"]
    if "description" in operation:
        parts.append(f"<p>{html.escape(operation['description'])}</p>")
    for parameter in operation["parameters"]:
        named = f"<code>{html.escape(parameter['name'])}</code> ({parameter['in']}), e.g. {parameter['example']}"
        parts.append(f"<p>{named}: {html.escape(parameter['description'])}</p>")
    if "requestBody" in operation:
        parts.append("<h4>Body</h4>" + _content(operation["requestBody"]))
    for status, response in operation["responses"].items():
        reference = response.get("$ref", "").rpartition("/")[2]
        response = shown["components"]["responses"][reference] if reference else response
        parts.append(f"<h4>{status}: {html.escape(response['description'])}</h4>{_content(response)}")
    return f"<details>{''.join(parts)}</details>"


def _content(holder: Json) -> str:
    """The examples of a body."""
    return "".join(
        f"<p>{html.escape(name)}</p><pre>{html.escape(_pretty(example['value']))}</pre>"
        for body in holder.get("content", {}).values()
        for name, example in body["examples"].items()
    )


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


HANDLERS: list[Any] = [openapi_json, page]
