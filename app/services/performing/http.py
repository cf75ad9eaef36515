"""Performs `http`: puts secrets in, sends one request through the guarded client, and reads the reply as configured."""

from __future__ import annotations

import base64
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from app.engine.seal import Sealed, unseal
from app.engine.values import UnstorableValueError, Value, size_of, to_json, to_text
from app.ports import Clock, EffectContext, EffectError, HttpClient, HttpRequest, HttpResponse
from app.services.performing.masking import Mask
from app.services.secrets import Secrets
from app.services.workspaces import Workspaces

REPLY_BYTES: Final = 1024 * 1024
ERROR_BODY: Final = 4 * 1024
RETRYABLE: Final = frozenset({408, 425, 429, *range(500, 600)})
UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
TEXTUAL: Final = ("text/", "application/json", "application/xml", "application/javascript")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The request of an `http` effect. `fields`: url, params, headers, body and auth, with places for secrets."""

    fields: Sealed
    method: str
    body_type: str = "json"
    response_format: str = "auto"
    follow_redirects: bool = True
    fail_on_status: bool = True


class HttpPerformer:
    """Implements ports.Performer."""

    def __init__(self, client: HttpClient, secrets: Secrets, workspaces: Workspaces, clock: Clock) -> None:
        self._client = client
        self._secrets = secrets
        self._workspaces = workspaces
        self._clock = clock

    async def perform(self, context: EffectContext) -> Value:
        call = msgspec.convert(context.request, Call)
        secrets = await self._secrets.reveal(context.workspace, call.fields.names())
        fields: dict[str, Any] = unseal(call.fields, secrets)
        mask = Mask([*secrets.values(), *_derived(fields.get("auth") or {}, secrets)])
        request = _request(call, fields, context.idempotency_key)
        try:
            allowed = await self._workspaces.allowed_hosts(context.workspace)
            response = await self._client.send(request, allowed)
        except EffectError as error:
            sent = {"method": request.method, "url": mask.text(request.url)}
            raise EffectError(
                error.error_type, mask.text(error.message), retryable=error.retryable, details={"sent": sent}
            ) from None
        return self._result(call, request, response, mask)

    def _result(self, call: Call, request: HttpRequest, response: HttpResponse, mask: Mask) -> Value:
        body = mask.data(response.body)
        sent = {"method": request.method, "url": mask.text(response.url)}
        if call.fail_on_status and response.status_code >= 400:
            raise EffectError(
                "http_status",
                f"the server answered {response.status_code}",
                retryable=response.status_code in RETRYABLE,
                retry_after_seconds=_retry_after(response.headers.get("retry-after"), self._clock.now()),
                details={"status_code": response.status_code, "body": _cut(body), "sent": sent},
            )
        result = {
            "status_code": response.status_code,
            "headers": mask.value(response.headers),
            "body": mask.value(_read(call.response_format, response.headers.get("content-type", ""), body)),
            "url": mask.text(response.url),
            "sent": sent,
        }
        try:
            size_of(result)
        except UnstorableValueError as error:
            raise EffectError("http_connection", "the reply holds text that cannot be kept") from error
        return result


def _derived(auth: dict[str, Any], secrets: dict[str, str]) -> list[str]:
    """What is made of secrets: the token of basic authentication."""
    return [_basic(auth)] if secrets and auth.get("type") == "basic" else []


def _basic(auth: dict[str, Any]) -> str:
    pair = f"{to_text(auth.get('username'))}:{to_text(auth.get('password'))}"
    return base64.b64encode(pair.encode(errors="surrogatepass")).decode()


def _request(call: Call, fields: dict[str, Any], idempotency_key: str) -> HttpRequest:
    headers = {name: to_text(value) for name, value in (fields.get("headers") or {}).items()}
    named = {name.lower() for name in headers}
    credentials = set(call.fields.secret_headers())
    for name, value in _authorization(fields.get("auth") or {}).items():
        headers[name] = value
        credentials.add(name.lower())
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
        max_bytes=REPLY_BYTES,
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
        return to_json(body), "application/json"
    if body_type == "text":
        return to_text(body).encode(errors="surrogatepass"), "text/plain; charset=utf-8"
    if not isinstance(body, dict):
        raise EffectError("invalid_value", "a form's body must be an object")
    return urlencode(_pairs(body)).encode(), "application/x-www-form-urlencoded"


def _read(wanted: str, media: str, body: bytes) -> Value:
    kind = media.partition(";")[0].strip().lower()
    if wanted == "base64":
        return base64.b64encode(body).decode()
    if wanted == "json" or (wanted == "auto" and (kind == "application/json" or kind.endswith("+json"))):
        return _json(body, strict=wanted == "json")
    if wanted == "auto" and body and kind and not kind.startswith(TEXTUAL):
        return base64.b64encode(body).decode()
    return _text(body, media)


def _json(body: bytes, *, strict: bool) -> Value:
    try:
        found: Value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if strict:
            raise EffectError("http_connection", "the reply is no JSON", retryable=True) from error
        return _text(body, "")
    return found


def _text(body: bytes, media: str) -> str:
    charset = media.partition("charset=")[2].partition(";")[0].strip("\"' ") or "utf-8"
    try:
        return body.decode(charset, errors="replace")
    except LookupError:
        return body.decode(errors="replace")


def _cut(body: bytes) -> str:
    return body[:ERROR_BODY].decode(errors="replace")


def _retry_after(header: str | None, now: float) -> float | None:
    """Seconds; the header has seconds or a date."""
    if header is None:
        return None
    if header.strip().isdecimal() and len(header.strip()) < 10:
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
