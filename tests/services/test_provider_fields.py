"""What may stand in a provider's fields, before and after secrets are put in."""

from __future__ import annotations

import pytest

from app.services import provider_fields as fields


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example",
        "http://api.example/v1/",
        "HTTPS://API.example:8443/v1",
        "http://127.0.0.1:11434",
        "http://[::1]:8000/v1",
        "https://{{secret.host}}/v1",
        "https://{{ secret.host }}:{{secret.port}}/{{secret.path}}",
        'https://x/{{secret["path"]}}',
        "{{secret.url}}",
        "{{secret.url}}/v1",
        "https://x/" + "y" * 2038,
    ],
)
def test_a_base_url_that_can_be_used(url: str) -> None:
    assert fields.url_fault(url) is None


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "must have 1 to 2048 characters"),
        ("https://x/" + "y" * 2039, "must have 1 to 2048 characters"),
        ("api.example", "must be http:// or https:// and a host"),
        ("ftp://api.example", "must be http:// or https:// and a host"),
        ("file:///etc/passwd", "must be http:// or https:// and a host"),
        ("https:///v1", "must be http:// or https:// and a host"),
        ("https://:80/v1", "must be http:// or https:// and a host"),
        ("https://x:0", "must be http:// or https:// and a host"),
        ("https://x:99999", "is no URL"),
        ("https://x:port", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://me@x", "must have no user and no password"),
        ("https://me:pass@x", "must have no user and no password"),
        ("https://@x", "must have no user and no password"),
        ("https://me:{{secret.password}}@x", "must have no user and no password"),
        ("{{secret.user}}@x", "must have no user and no password"),
        ("https://x/a b", "must be ASCII without spaces and backslashes"),
        ("https://x/a\n", "must be ASCII without spaces and backslashes"),
        ("https://ä.example", "must be ASCII without spaces and backslashes"),
        ("https://x\\y", "must be ASCII without spaces and backslashes"),
        ("https://x/\ud800", "must be ASCII without spaces and backslashes"),
        ("https://x?a=1", "must end with its path: requests are sent to addresses below it"),
        ("https://x/v1#a", "must end with its path: requests are sent to addresses below it"),
        ("https://{{host}}", "may have {{secret.name}} in it, and no other braces of this kind"),
        ("https://x/{{secret.a.b}}", "may have {{secret.name}} in it, and no other braces of this kind"),
        ("https://x/{{secret.a?}}", "may have {{secret.name}} in it, and no other braces of this kind"),
        ("https://x/{{secret.1a}}", "may have {{secret.name}} in it, and no other braces of this kind"),
        ("https://x/{{secret.a | upper}}", "may have {{secret.name}} in it, and no other braces of this kind"),
        ("https://x/{{", "may have {{secret.name}} in it, and no other braces of this kind"),
    ],
)
def test_a_base_url_that_cannot(url: str, fault: str) -> None:
    assert fields.url_fault(url) == fault


@pytest.mark.parametrize(
    "key", ["k", "sk a b", "{{secret.k}}", "id:{{secret.a}}:{{secret.b}}", "k" * 8192, "[[x]] {x}"]
)
def test_a_key_that_can_be_used(key: str) -> None:
    assert fields.key_fault(key) is None


@pytest.mark.parametrize(
    "key", ["", " ", " k", "k ", "k\n", "k\r\nX-Own: 1", "k\0", "ä", "\ud800", "k" * 8193, "{{k}}", "{{secret}}", "{{"]
)
def test_a_key_that_cannot(key: str) -> None:
    assert fields.key_fault(key) is not None


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("k", ""),
        ("abcdefghijk", ""),
        ("abcdefghijkl", "ijkl"),
        ("sk-0123456789abcd", "abcd"),
        ("{{secret.long_name}}", ""),
        ("{{secret.long_name}}abcd", ""),
    ],
)
def test_the_last_four_are_shown_of_a_key_that_is_long_enough(key: str, shown: str) -> None:
    assert fields.last4_of(key) == shown


def test_secrets_are_found_once_and_put_in_as_they_are() -> None:
    url, key = "https://{{secret.host}}/{{ secret.path }}", "{{secret.key}}-{{secret.host}}"
    assert fields.secrets_of(url, key) == ["host", "path", "key"]
    secrets = {"host": "{{secret.key}}", "path": r"\g<0>\1", "key": "k"}
    assert fields.filled(url, secrets) == r"https://{{secret.key}}/\g<0>\1"
    assert fields.filled(key, secrets) == "k-{{secret.key}}"


@pytest.mark.parametrize(
    ("base_url", "api_key", "said"),
    [
        ("https://x/v1", "key", None),
        ("https://x/{{secret.a}}", "{{", None),
        ("ftp://HIDDEN", "key", "the base URL must be http:// or https:// and a host"),
        ("https://me:HIDDEN@x", "key", "the base URL must have no user and no password"),
        ("https://x/HIDDEN" + "y" * 2048, "key", "the base URL is too long"),
        ("https://x", "HIDDEN\n", "the API key must be printable ASCII without spaces around it"),
        ("https://x", "", "the API key must be printable ASCII without spaces around it"),
    ],
)
def test_what_came_of_secrets_is_judged_again_and_not_shown(base_url: str, api_key: str, said: str | None) -> None:
    assert fields.filled_fault(base_url, api_key) == said


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://Models.internal/v1", "models.internal:80"),
        ("https://models.internal", "models.internal:443"),
        ("http://10.0.0.5:8000/v1", "10.0.0.5:8000"),
        ("http://[fd00::1]:8000", "[fd00::1]:8000"),
        ("https://[fd00::1]", "[fd00::1]:443"),
    ],
)
def test_the_place_of_a_base_url(url: str, place: str) -> None:
    assert fields.place_of(url) == place
