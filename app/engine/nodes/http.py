"""Sends an HTTP request, once: the same key on every attempt lets the other side recognise a repetition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import msgspec

from app.engine.kind import Await, Context, Fail, Fault, Leave, NodeKind, Outcome, Reply, Succeeded
from app.engine.values import Value, as_stored

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the request says who sends it."""

    type: Literal["none", "bearer", "basic", "header"] = "none"
    token: str | None = None
    username: str | None = None
    password: str | None = None
    name: str | None = None
    value: str | None = None

    def missing(self) -> list[str]:
        needed = {"none": (), "bearer": ("token",), "basic": ("username", "password"), "header": ("name", "value")}
        return [name for name in needed[self.type] if getattr(self, name) is None]


class Http(NodeKind, frozen=True, kw_only=True):
    """Its output is `{status_code, headers, body, url}`. Secrets may stand in url, params, headers, body and auth."""

    kind: ClassVar[str] = "http"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"method", "body_type", "response_format"})
    may_retry: ClassVar[bool] = True
    reads_secrets: ClassVar[bool] = True

    url: str
    method: Method = "GET"
    params: dict[str, Value] = msgspec.field(default_factory=dict)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: Value = None
    body_type: Literal["json", "form", "text"] = "json"
    auth: Auth = Auth()
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=300)] = 30
    response_format: Literal["auto", "json", "text", "base64"] = "auto"
    follow_redirects: bool = True
    fail_on_status: bool = True

    def faults(self, path: str) -> Iterable[Fault]:
        for name in self.auth.missing():
            yield Fault(f"{path}.auth.{name}", f"is required with type {self.auth.type}")

    def enter(self, ctx: Context) -> Outcome:
        return Await("http", self.request(ctx)[0], once=True, timeout_seconds=self.timeout_seconds)

    def request(self, ctx: Context) -> tuple[dict[str, Value], bool]:
        """What the performer gets, and whether it needs the links of a pause. Raises NodeError."""
        fields = {
            "url": self.url,
            "params": self.params,
            "headers": dict(self.headers),
            "body": self.body,
            "auth": {name: value for name, value in msgspec.structs.asdict(self.auth).items() if value is not None},
        }
        sealed = ctx.sealed(fields)
        request: dict[str, Value] = {
            "fields": as_stored(sealed),
            "method": self.method,
            "body_type": self.body_type,
            "response_format": self.response_format,
            "follow_redirects": self.follow_redirects,
            "fail_on_status": self.fail_on_status,
        }
        return request, sealed.has_links()

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if not isinstance(reply, Succeeded) or not isinstance(reply.result, dict):
            return super().receive(ctx, reply)
        output = {name: value for name, value in reply.result.items() if name != "sent"}
        ctx.requested(reply.result.get("sent"), status_code=output.get("status_code"), body=output.get("body"))
        return Leave(output)

    def failed(self, ctx: Context, failure: Fail) -> Outcome:
        details = dict(failure.details)
        sent = details.pop("sent", None) or {"method": self.method}
        status = details.get("status_code")
        ctx.requested(sent, status_code=status, body=details.get("body"), error=failure.error_message)
        return msgspec.structs.replace(failure, details=details)
