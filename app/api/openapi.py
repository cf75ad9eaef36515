"""The OpenAPI document, made from the app's own routes: what has no `described(…)` is not in it."""

from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from app.api import parameters
from app.api.describe import KEY, Operation, Shape
from app.api.interactive.schemas import Error

Json = dict[str, Any]
_refs: Final = "#/components/schemas/{name}"


def operations(app: Litestar) -> list[tuple[str, str, HTTPRouteHandler, Operation]]:
    """Path, method, handler and description of everything that is described, in the order of registration."""
    return [
        (route.path_format, method, handler, handler.opt[KEY])
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if KEY in handler.opt
        for method in sorted(handler.http_methods)
    ]


def document(app: Litestar, version: str) -> Json:
    """The whole document. `version` is the program's."""
    found = operations(app)
    shapes: list[type[Shape]] = [Error]
    for *_, operation in found:
        shapes += [*operation.request, *([operation.reply] if operation.reply else [])]
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(shapes)), ref_template=_refs)
    paths: Json = {}
    for path, method, handler, operation in found:
        paths.setdefault(path, {})[method.lower()] = _operation(path, handler, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Antiphon",
            "version": version,
            "summary": "Workflows that pause, persist and resume over HTTP turns.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": parameters.refusals(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        },
    }


def _operation(path: str, handler: HTTPRouteHandler, operation: Operation) -> Json:
    function = handler.fn
    found: Json = {
        "operationId": f"{function.__module__.rpartition('.')[2]}_{function.__name__}",
        "summary": operation.summary,
        "tags": [path.strip("/").removeprefix("v1/").partition("/")[0]],
        "parameters": _parameters(path, operation),
        "responses": _responses(path, operation),
        "security": [] if operation.scope is None else [{"key": []}],
    }
    if operation.scope is not None:
        found["description"] = f"Needs a key with the scope `{operation.scope}`."
    if operation.request:
        found["requestBody"] = {"required": True, "content": {operation.takes: _body(operation.request)}}
    return found


def _parameters(path: str, operation: Operation) -> list[Json]:
    named = [shown for name, shown in parameters.PATH.items() if f"{{{name}}}" in path]
    asked = parameters.QUERIES[operation.query] if operation.query else []
    headers = [*(["Idempotency-Key"] if operation.keyed else []), *operation.headers]
    return [*named, *asked, *(parameters.HEADERS[name] for name in headers)]


def _body(shapes: tuple[type[Shape], ...]) -> Json:
    refs = [{"$ref": _refs.format(name=shape.__name__)} for shape in shapes]
    examples = {name: {"value": value} for shape in shapes for name, value in shape.examples.items()}
    return {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}, "examples": examples}


def _responses(path: str, operation: Operation) -> Json:
    replies = {str(status): _reply(path, operation, status) for status in (operation.status, *operation.also)}
    refused = {
        str(status): {"$ref": f"#/components/responses/{parameters.refusal_name(status)}"}
        for status in _refused(path, operation)
    }
    return refused | replies


def _reply(path: str, operation: Operation, status: int) -> Json:
    headers: Json = {}
    if operation.keyed or "{run_id}" in path:
        headers |= parameters.RUN_HEADERS
    if operation.keyed:
        headers |= parameters.REPLAYED
    if operation.tagged:
        headers |= parameters.TAG
    reply: Json = {"description": _words.get(status) or parameters.meaning(status), "headers": headers}
    if operation.reply is not None:
        reply["content"] = {operation.media: _body((operation.reply,))}
    elif status != 204:
        example = parameters.TEXTS[operation.media]
        schema = parameters.STREAM if operation.stream else {"type": "string"}
        reply["content"] = {operation.media: {"schema": schema, "examples": {"text": {"value": example}}}}
    return reply


def _refused(path: str, operation: Operation) -> list[int]:
    found = set(operation.errors)
    if operation.scope is not None:
        found |= {401, 403, 503}
    if "{" in path:
        found |= {404, 422}
    if operation.request:
        found |= {400, 413, 415, 422}
    if operation.query:
        found |= {400, 422}
    if operation.keyed:
        found |= {409, 422}
    return sorted(found)


_words: Final = {
    200: "Done.",
    201: "Made.",
    202: "Accepted; it goes on. The same key, or a GET of the turn, gets the result.",
    204: "Gone.",
    503: "Not now.",
}
