"""Performs `http`: puts secrets in, sends one request through the guarded client, and reads the reply as configured."""

from __future__ import annotations

import base64
import re
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from app.engine.seal import Sealed
from app.engine.values import UnstorableValueError, Value, measure, to_json, to_text
from app.ports import (
    Clock,
    EffectContext,
    EffectError,
    HttpClient,
    HttpRequest,
    HttpResponse,
    retry_after,
)
from app.services.links import Link, Links
from app.services.performing.failing import ERROR_BODY
from app.services.performing.filling import filled, prepared
from app.services.performing.masking import Mask
from app.services.performing.replies import cut, read, text_of
from app.services.secrets import Secrets
from app.services.workspaces import Workspaces

REPLY_BYTES: Final = 1024 * 1024
ERROR_READ: Final = 64 * 1024  # of a refusal's body: enough to find secrets that lie across the cut
RETRYABLE: Final = frozenset({408, 425, 429, *range(500, 600)})
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Pause(msgspec.Struct, frozen=True):
    """Whose links may be sent, and to whom they belong."""

    id: str
    approvers: tuple[str, ...]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The request of an `http` effect. `fields`: url, params, headers, body and auth, with places for secrets and for the
    links of `pause`."""

    fields: Sealed
    method: str
    body_type: str = "json"
    response_format: str = "auto"
    follow_redirects: bool = True
    fail_on_status: bool = True
    pause: Pause | None = None


class HttpPerformer:
    """Implements ports.Performer."""

    def __init__(
        self, client: HttpClient, secrets: Secrets, workspaces: Workspaces, clock: Clock, links: Links | None = None
    ) -> None:
        self._client = client
        self._links = links
        self._secrets = secrets
        self._workspaces = workspaces
        self._clock = clock

    async def perform(self, context: EffectContext) -> Value:
        call = msgspec.convert(context.request, Call)
        secrets, allowed = await prepared(self._secrets, self._workspaces, self._clock, context.workspace, call.fields)
        links = self._links_of(context.run_id, call.pause)
        fields = filled(call.fields, secrets, links)
        hidden = [*secrets.values(), *(link.token for link in links)]
        mask = Mask([*hidden, *_derived(fields.get("auth") or {}, hidden)])
        request = _request(call, fields, context.idempotency_key)
        try:
            response = await self._client.send(request, allowed)
        except EffectError as error:
            sent = {"method": request.method, "url": mask.text(_without_user(request.url))}
            raise EffectError(
                error.error_type, mask.text(error.message), retryable=error.retryable, details={"sent": sent}
            ) from None  # what it came of may hold secrets
        return self._result(call, request, response, mask)

    def _links_of(self, run_id: str, pause: Pause | None) -> list[Link]:
        return [] if pause is None or self._links is None else self._links.of(run_id, pause.id, pause.approvers)

    def _result(self, call: Call, request: HttpRequest, response: HttpResponse, mask: Mask) -> Value:
        media = response.headers.get("content-type", "")
        sent = {"method": request.method, "url": mask.text(response.url)}
        if call.fail_on_status and response.status_code >= 400:
            raise EffectError(
                "http_status",
                f"the server answered {response.status_code}",
                retryable=response.status_code in RETRYABLE,
                retry_after_seconds=retry_after.seconds(response.headers.get("retry-after"), self._clock.now()),
                details={
                    "status_code": response.status_code,
                    "body": cut(mask.text(text_of(response.body, media)), ERROR_BODY),
                    "sent": sent,
                },
            )
        result = {
            "status_code": response.status_code,
            "headers": mask.value(response.headers),
            "body": read(call.response_format, media, response.body, mask),
            "url": mask.text(response.url),
            "sent": sent,
        }
        try:
            measure(result)
        except UnstorableValueError as error:
            raise EffectError("invalid_value", "the reply holds what cannot be kept: " + str(error)) from error
        return result


def _derived(auth: dict[str, Any], hidden: list[str]) -> list[str]:
    """What is made of secrets: the token of basic authentication."""
    return [_basic(auth)] if hidden and auth.get("type") == "basic" else []


def _basic(auth: dict[str, Any]) -> str:
    pair = f"{to_text(auth.get('username'))}:{to_text(auth.get('password'))}"
    return base64.b64encode(pair.encode(errors="surrogatepass")).decode()


def _request(call: Call, fields: dict[str, Any], idempotency_key: str) -> HttpRequest:
    headers = {name: to_text(value) for name, value in (fields.get("headers") or {}).items()}
    credentials = set(call.fields.secret_headers())
    for name, value in _authorization(fields.get("auth") or {}).items():
        headers[name] = value
        credentials.add(name.lower())
    named = {name.lower() for name in headers}
    content, media = _content(call.body_type, fields.get("body"))
    if media and "content-type" not in named:
        headers["Content-Type"] = media
    if call.method in UNSAFE and "idempotency-key" not in named:
        headers["Idempotency-Key"] = idempotency_key
    return HttpRequest(
        method=call.method,
        url=to_text(fields["url"]).strip(),
        params=_pairs(fields.get("params") or {}),
        headers=tuple(headers.items()),
        content=content,
        credentials=frozenset(credentials),
        follow_redirects=call.follow_redirects,
        has_secret_content="body" in call.fields.secret_fields(),
        max_bytes=REPLY_BYTES,
        cut_errors_at=ERROR_READ if call.fail_on_status else None,
    )


def _authorization(auth: dict[str, Any]) -> dict[str, str]:
    match auth.get("type", "none"):
        case "bearer":
            return {"Authorization": f"Bearer {to_text(auth.get('token'))}"}
        case "basic":
            return {"Authorization": f"Basic {_basic(auth)}"}
        case "header":
            return {to_text(auth.get("name")): to_text(auth.get("value"))}
        case _:
            return {}


def _pairs(fields: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """A list is a name that comes several times."""
    pairs: list[tuple[str, str]] = []
    for name, value in fields.items():
        pairs += [(name, to_text(item)) for item in (value if isinstance(value, list) else [value])]
    return tuple(pairs)


def _content(body_type: str, body: Any) -> tuple[bytes | None, str | None]:
    if body is None:
        return None, None
    if body_type == "json":
        return _json_of(body), "application/json"
    if body_type == "text":
        return to_text(body).encode(errors="surrogatepass"), "text/plain; charset=utf-8"
    if not isinstance(body, dict):
        raise EffectError("invalid_value", "a form's body must be an object")
    return urlencode(_pairs(body)).encode(), "application/x-www-form-urlencoded"


def _json_of(body: Any) -> bytes:
    try:
        return to_json(body)
    except UnstorableValueError as error:
        raise EffectError("invalid_value", f"the body cannot be sent: {error}") from error


def _without_user(url: str) -> str:
    """The URL without the user and password in it."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@", r"\1", url)
