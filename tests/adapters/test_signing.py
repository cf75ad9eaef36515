"""Signatures: known again under any of the keys, apart by purpose, and nobody else's."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from app.adapters.signing import Signatures

OLD, NEW = "an old key 0123456789", "a new key 0123456789"


def test_what_was_signed_is_known_again_after_the_keys_were_rotated() -> None:
    before, between, after = Signatures([OLD], "x"), Signatures([NEW, OLD], "x"), Signatures([NEW], "x")
    mac = before.sign(b"said")
    assert len(mac) == 32
    assert [one.verify(b"said", mac) for one in (before, between, after)] == [True, True, False]
    assert between.sign(b"said") == after.sign(b"said") != mac


def test_another_message_purpose_or_mac_is_refused() -> None:
    ours = Signatures([OLD], "x")
    mac = ours.sign(b"said")
    assert not ours.verify(b"Said", mac)
    assert not Signatures([OLD], "y").verify(b"said", mac)
    assert not ours.verify(b"said", mac[:-1])
    assert not ours.verify(b"said", b"")
    assert not ours.verify(b"said", bytes([mac[0] ^ 1]) + mac[1:])


def test_the_key_is_derived_as_the_standard_says() -> None:
    """RFC 5869 with SHA-256, no salt; computed here by its two steps."""
    extracted = hmac.digest(bytes(32), OLD.encode(), hashlib.sha256)
    key = hmac.digest(extracted, b"antiphon x\x01", hashlib.sha256)
    assert Signatures([OLD], "x").sign(b"said") == hmac.digest(key, b"said", hashlib.sha256)


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        Signatures([], "x")
