"""What may stand in a provider's fields, and how secrets come into them.

The same rules hold for what is saved and, once more, for what it has become with secrets in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from app.engine.path import Path, brace_reference, is_secret, parse_path

ECHO: Final = "echo"
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")  # as of secrets
MOST_URL: Final = 2048
MOST_KEY: Final = 8 * 1024
MOST_MODEL: Final = 256
SHOWN_FROM: Final = 12  # characters: of a shorter key, four would be too much of it

_digit: Final = "1"  # stands for a secret where a text is judged without it: good in a host, a port and a path
_no_header: Final = re.compile(r"[^ -~]|^ | $")
_no_url: Final = re.compile(r"[^!-~]|\\")


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a provider; None: nothing."""
    if name == ECHO:
        return "is reserved: it answers without a model"
    if not NAME.fullmatch(name):
        return "must be a letter or _, then letters, digits, _ or -, 64 at most"
    return None


def model_fault(model: str) -> str | None:
    """Of the name of a model."""
    if not model.strip() or len(model) > MOST_MODEL or not model.isprintable():
        return f"must have 1 to {MOST_MODEL} printable characters"
    return None


def key_fault(key: str) -> str | None:
    """Of an API key, which must fit into a header."""
    if not key or len(key.encode(errors="surrogatepass")) > MOST_KEY:
        return f"must have 1 to {MOST_KEY} bytes"
    if _no_header.search(key):
        return "must be printable ASCII without spaces around it"
    return _reference_fault(key)


def url_fault(url: str) -> str | None:
    """Of a base URL. One that begins with a reference to a secret is judged when it is used."""
    if not url or len(url) > MOST_URL:
        return f"must have 1 to {MOST_URL} characters"
    found = _reference_fault(url)
    if found is not None:
        return found
    probe = brace_reference.sub(_digit, url)
    if brace_reference.match(url):
        probe = "https://" + probe
    return address_fault(probe)


def address_fault(url: str) -> str | None:
    """Of the whole address of a server, without references in it."""
    if len(url) > MOST_URL:
        return "is too long"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "must be http:// or https:// and a host"
    if "@" in parts.netloc:
        return "must have no user and no password"
    if _no_url.search(url):
        return "must be ASCII without spaces and backslashes"
    if "?" in url or "#" in url:
        return "must end with its path: requests are sent to addresses below it"
    return None


def _reference_fault(text: str) -> str | None:
    rest = brace_reference.sub(lambda found: "" if _is_reference(found) else found.group(), text)
    return "may have {{secret.name}} in it, and no other braces of this kind" if "{{" in rest else None


def _is_reference(found: re.Match[str]) -> bool:
    path = _path(found)
    return is_secret(path) and not path.optional and NAME.fullmatch(str(path.steps[0])) is not None


def _path(found: re.Match[str]) -> Path:
    return parse_path(found["path"], "{{")


def secrets_of(*texts: str) -> list[str]:
    """The names of the secrets that sound fields refer to, each once."""
    found = [str(_path(one).steps[0]) for text in texts for one in brace_reference.finditer(text)]
    return list(dict.fromkeys(found))


def filled(text: str, secrets: Mapping[str, str]) -> str:
    """With the secrets in it; `secrets` has all of `secrets_of`. What they bring is not looked at for references."""
    return brace_reference.sub(lambda found: secrets[str(_path(found).steps[0])], text)


def filled_fault(base_url: str, api_key: str) -> str | None:
    """Whether fields with secrets in them can be used; never has anything of them."""
    fault = address_fault(base_url)
    if fault is not None:
        return f"the base URL {fault}"
    if not api_key or _no_header.search(api_key):
        return "the API key must be printable ASCII without spaces around it"
    return None


def last4_of(api_key: str) -> str:
    """What may be shown of a key. Nothing of one that has a secret in it: too little of it may be left."""
    return api_key[-4:] if len(api_key) >= SHOWN_FROM and not secrets_of(api_key) else ""


def place_of(base_url: str) -> str:
    """`host:port` of a sound one."""
    parts: SplitResult = urlsplit(base_url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
