"""Settings that are more than a number or a word: how they are read, and refused without showing what is in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from app.services.shared_providers import SharedProvider
from app.settings import Settings
from tests.pages import ROOT

KEY = "sk-operator-0123456789"
GOOD: dict[str, Any] = {"base_url": "http://models.internal:8000/v1", "api_key": KEY}


def read(monkeypatch: pytest.MonkeyPatch, providers: str) -> Settings:
    monkeypatch.setenv("ANTIPHON_PROVIDERS", providers)
    return Settings()


def test_without_the_variable_or_with_an_empty_one_there_are_no_shared_providers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTIPHON_PROVIDERS", raising=False)
    assert Settings().shared_providers() == {}
    assert read(monkeypatch, "").shared_providers() == {}
    assert read(monkeypatch, "{}").shared_providers() == {}


def test_shared_providers_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"one": {**GOOD, "default_model": "m", "embedding_model": "e"}, "two": {**GOOD, "default_model": None}}
    found = read(monkeypatch, json.dumps(given)).shared_providers()
    assert found == {
        "one": SharedProvider(base_url=GOOD["base_url"], api_key=KEY, default_model="m", embedding_model="e"),
        "two": SharedProvider(base_url=GOOD["base_url"], api_key=KEY),
    }


def test_nothing_shows_the_key_of_a_shared_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, json.dumps({"one": GOOD}))
    shown = [repr(settings), str(settings), settings.model_dump_json(), repr(settings.shared_providers())]
    assert [text for text in shown if KEY in text] == []


BAD: list[tuple[str, str]] = [
    (KEY, "is no JSON object of providers"),
    ("{", "is no JSON object of providers"),
    ("[" * 100_000, "is no JSON object of providers"),
    (json.dumps([GOOD]), "is no JSON object of providers"),
    (json.dumps({"one": KEY}), "is no JSON object of providers"),
    (json.dumps({"one": {"api_key": KEY}}), "missing required field `base_url`"),
    (json.dumps({"one": {"base_url": GOOD["base_url"]}}), "missing required field `api_key`"),
    (json.dumps({"one": {**GOOD, "api_key": 1}}), "Expected `str`, got `int`"),
    (json.dumps({"one": {**GOOD, "key": KEY}}), "unknown field `key`"),
    (json.dumps({"echo": GOOD}), "'echo': the name is reserved"),
    (json.dumps({"a b": GOOD}), "'a b': the name must be"),
    (json.dumps({"one": {**GOOD, "base_url": "ftp://x"}}), "'one': base_url must be http:// or https://"),
    (json.dumps({"one": {**GOOD, "base_url": f"https://me:{KEY}@x"}}), "'one': base_url must have no user"),
    (json.dumps({"one": {**GOOD, "api_key": ""}}), "'one': api_key must have"),
    (json.dumps({"one": {**GOOD, "api_key": f"{KEY}\n"}}), "'one': api_key must be printable"),
    (json.dumps({"one": {**GOOD, "default_model": " "}}), "'one': default_model must have"),
    (json.dumps({"one": {**GOOD, "api_key": f"{KEY}{{{{secret.k}}}}"}}), "'one': api_key must not refer to a secret"),
    (json.dumps({"one": {**GOOD, "base_url": "https://{{secret.k}}"}}), "'one': base_url must not refer to a secret"),
]


@pytest.mark.parametrize(("providers", "said"), BAD)
def test_bad_providers_are_refused_with_the_reason_and_without_the_key(
    monkeypatch: pytest.MonkeyPatch, providers: str, said: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        read(monkeypatch, providers)
    (fault,) = refusal.value.errors(include_input=False)
    assert fault["loc"] == ("ANTIPHON_PROVIDERS",)
    assert said in fault["msg"]
    assert KEY not in str(refusal.value)


def test_the_server_does_not_start_with_bad_providers_and_says_which_setting_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ANTIPHON_PROVIDERS": json.dumps({"echo": GOOD})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: environment: ANTIPHON_PROVIDERS: ")
    assert "'echo': the name is reserved" in done.stderr
    assert (done.stderr.count("\n"), KEY in done.stderr) == (1, False)


@pytest.mark.parametrize("url", ["http://searx.internal:8080", "https://search.example/sx/"])
def test_the_search_of_the_web_is_at_an_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ANTIPHON_WEB_SEARCH_URL", url)
    assert Settings().web_search_url == url
    monkeypatch.setenv("ANTIPHON_WEB_SEARCH_URL", "")
    assert Settings().web_search_url is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("searx.internal", "must be http:// or https:// and a host"),
        ("ftp://x", "must be http:// or https:// and a host"),
        (f"http://me:{KEY}@x", "must have no user and no password"),
        ("http://x/search?q=", "must end with its path"),
        ("http://x/{{secret.k}} ", "must be ASCII without spaces"),
        ("http://[", "is no URL"),
        ("http://x/" + "y" * 2_048, "is too long"),
    ],
)
def test_a_search_of_the_web_at_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    monkeypatch.setenv("ANTIPHON_WEB_SEARCH_URL", url)
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert (said in str(refusal.value), KEY in str(refusal.value)) == (True, False)
