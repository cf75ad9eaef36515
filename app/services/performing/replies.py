"""Reading the body of an HTTP reply as the node wants it, without the secrets that it may repeat."""

from __future__ import annotations

import base64
import codecs
import re
from contextlib import suppress
from typing import Final

import msgspec

from app.engine.values import Value
from app.ports import EffectError
from app.services.performing.masking import Mask

TEXTUAL: Final = ("text/", "application/xml", "application/javascript", "application/x-www-form-urlencoded")
# Python has more, some of which take hours, or are no charsets.
CHARSETS: Final = re.compile(
    r"ascii|utf-(8|16|32)(-[lb]e)?|iso8859-\d+|iso2022_\w+|cp\d+|koi8-[rut]|gb\w+|hz|big5\w*|shift_ji\w+|euc_\w+|mac-\w+"
)
_charset: Final = re.compile(r";\s*charset\s*=\s*[\"']?([\w.:+-]{1,40})", re.I)


def read(wanted: str, media: str, body: bytes, mask: Mask) -> Value:
    """`wanted` is the node's `response_format`, `media` the Content-Type. Raises EffectError."""
    kind = media.partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if wanted == "json" or (wanted == "auto" and is_json):
        if not body:
            return None
        with suppress(_NotJsonError):
            return mask.value(_json(text_of(body, media)))
        if wanted == "json":
            raise EffectError("http_connection", "the reply is no JSON", retryable=True)
    elif wanted == "base64" or (wanted == "auto" and body and kind and not _is_text(kind)):
        return base64.b64encode(mask.data(body)).decode()
    return mask.text(text_of(body, media))


def _is_text(kind: str) -> bool:
    return kind.startswith(TEXTUAL) or kind.endswith("+xml")


class _NotJsonError(Exception):
    pass


def _json(text: str) -> Value:
    try:
        found: Value = msgspec.json.decode(text.removeprefix("\ufeff"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _NotJsonError from error
    return found


def text_of(body: bytes, media: str) -> str:
    """By the charset that is named, else UTF-8; what cannot be read is marked."""
    named = _charset.search(media)
    try:
        charset = codecs.lookup(named[1]).name if named else "utf-8"
    except LookupError:
        charset = "utf-8"
    return body.decode(charset if CHARSETS.fullmatch(charset) else "utf-8", errors="replace")


def cut(text: str, most: int) -> str:
    """Its first `most` bytes, without half a character."""
    return text.encode()[:most].decode(errors="ignore")
