"""No form in which a secret may come back is shown."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import given, strategies as st

from app.services.performing.masking import MASK, Mask
from app.services.performing.passing import MaskedText

SECRET = 'p@ss "w/ö+r&d"\n'
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=40)


def go_json(text: str) -> str:
    return json.dumps(text)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c")


FORMS: dict[str, Callable[[str], str]] = {
    "literal": str,
    "url": lambda text: quote(text, safe=""),
    "url path": quote,
    "url in lower case": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%40", "%40"),
    "form": quote_plus,
    "some of it": lambda text: quote(text, safe="/!$&'()*+,;=:@"),
    "query of the client": lambda text: str(httpx.QueryParams({"q": text}))[2:],
    "json": lambda text: json.dumps(text)[1:-1],
    "json as it is": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json of others": go_json,
    "html": html.escape,
    "base64": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_masked_as_text_as_bytes_and_in_values(form: str) -> None:
    mask, written = Mask([SECRET]), FORMS[form](SECRET)
    shown = mask.text(f"before {written} after")
    assert shown.startswith(f"before {MASK}"), shown
    assert shown.endswith(" after")
    assert mask.data(f"<{written}>".encode()).startswith(f"<{MASK}".encode())
    assert written not in json.dumps(mask.value({written: [written, {"x": f"-{written}-"}]}), ensure_ascii=False)


@given(secret=texts, before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_base64_is_masked_wherever_in_the_encoded_text_the_secret_lies(
    secret: str, before: bytes, after: bytes
) -> None:
    """What is left of it is what its neighbours share a character with: less than four characters on each side."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + secret.encode() + after).decode()
        shown = Mask([secret]).text(encoded)
        assert MASK in shown
        rest = shown.replace(MASK, "")
        kept = (len(before) + len(after)) * 8 // 6
        assert len(rest) <= kept + 8


@given(secret=texts, around=texts)
def test_whatever_the_secret_its_forms_are_gone(secret: str, around: str) -> None:
    mask = Mask([secret])
    for form in FORMS.values():
        written = form(secret)
        shown = mask.text(f"{around}\0{written}\0{around}")
        assert f"\0{written}\0" not in shown


def test_of_two_secrets_the_one_that_holds_the_other_is_masked_whole() -> None:
    mask = Mask(["abcd", "xabcdy", ""])
    assert mask.text("xabcdy abcd xabcd") == f"{MASK} {MASK} x{MASK}"


def test_numbers_that_read_like_a_secret_are_masked_and_others_kept() -> None:
    mask = Mask(["1234"])
    assert mask.value([1234, 51234, 12.5, True, None, 2**70, "1234"]) == [MASK, MASK, 12.5, True, None, 2**70, MASK]


def test_without_secrets_everything_stays_itself() -> None:
    value = {"a": ["b", 1]}
    assert (Mask([]).value(value), Mask([""]).text("x"), Mask([]).data(b"\xff")) == (value, "x", b"\xff")


def test_bytes_of_no_charset_survive() -> None:
    assert Mask(["abcd"]).data(b"\xff\xfeabcd\x80") == b"\xff\xfe" + MASK.encode() + b"\x80"


def test_the_longest_secret_is_masked() -> None:
    secret = 'ö/ "&' * 2_700
    assert Mask([secret]).text(f"x{quote(secret)}x") == f"x{MASK}x"


@pytest.mark.parametrize("secret", ["k" * 300, 'p%ss w0rd/"ü\n&<' * 40])
def test_a_long_secret_is_found_in_each_whole_form(secret: str) -> None:
    mask = Mask([secret, "short-one"])
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()):
        assert form not in mask.text(f"a {form} b") and "[secret]" in mask.text(f"a {form} b")
    assert mask.value({"k": ["short-one", 1]}) == {"k": ["[secret]", 1]}
    assert mask.text("nothing of it") == "nothing of it"


def test_hostile_secrets_and_texts_are_masked_in_time() -> None:
    Mask(["a" * 8_000]).text(("a" * 7_999 + "b") * 100)
    Mask(["a" * 200]).text(("a" * 199 + "b") * 1_000)
    passing = MaskedText(["a" * 200])
    assert passing.feed("a" * 20_000 + "b").count("[secret]") == 100
    held = MaskedText(["a" * 300])
    assert (held.feed("x" * 10_000), held.feed("a" * 300)) == ("", "")
    assert held.end() == "x" * 10_000 + "[secret]"
