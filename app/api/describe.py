"""What a handler says of itself for the OpenAPI document: it lies in the handler's `opt`, `openapi` reads it."""

from typing import Any, ClassVar, Final, Literal

import msgspec

from app.ports import Scope

KEY: Final = "operation"
Query = Literal["version", "page", "runs", "events"]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A body that is taken or answered. `examples`: whole bodies by name. For the document: handlers parse by `fields`."""

    examples: ClassVar[dict[str, Any]] = {}


Shapes = type[Shape] | tuple[type[Shape], ...]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`scope` None: open to all. `request`: the body is one of these. `errors`: statuses besides those that follow from
    the rest. `tagged`: answers with an ETag. `takes`, `media`: the types of its body and of its reply."""

    summary: str
    scope: Scope | None
    request: tuple[type[Shape], ...]
    reply: type[Shape] | None
    status: int
    also: tuple[int, ...]
    query: Query | None
    keyed: bool
    stream: bool
    errors: tuple[int, ...]
    headers: tuple[str, ...]
    tagged: bool
    takes: str
    media: str


def described(
    summary: str,
    scope: Scope | None,
    request_schema: Shapes | None,
    reply_schema: type[Shape] | None,
    *,
    status: int = 200,
    also: tuple[int, ...] = (),
    query: Query | None = None,
    keyed: bool = False,
    stream: bool = False,
    errors: tuple[int, ...] = (),
    headers: tuple[str, ...] = (),
    tagged: bool = False,
    takes: str = "application/json",
    media: str = "application/json",
) -> dict[str, Any]:
    """The `opt` of a handler. `also`: further statuses with the same body, refusals too; `headers`: names of request
    headers."""
    taken = request_schema or ()
    operation = Operation(
        summary=summary,
        scope=scope,
        request=taken if isinstance(taken, tuple) else (taken,),
        reply=reply_schema,
        status=status,
        also=also,
        query=query,
        keyed=keyed,
        stream=stream,
        errors=errors,
        headers=headers,
        tagged=tagged,
        takes=takes,
        media="text/event-stream" if stream else media,
    )
    return {KEY: operation}
