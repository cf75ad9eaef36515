"""Secrets at rest: what was sealed opens under its label and a key that is still there, and otherwise not at all."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from app.adapters.vault import Vault, key_of_folder
from app.ports import UnreadableSecretError

OLD, NEW = "an old key of the operator", "a new key of the operator"
storable = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(label=storable, text=storable)
def test_what_is_sealed_opens_again_and_shows_nothing(label: str, text: str) -> None:
    vault = Vault([NEW])
    sealed = vault.seal(label, text)
    assert vault.open(label, sealed) == text
    assert len(text.encode()) < 4 or text.encode() not in sealed


def test_the_same_text_is_never_sealed_twice_alike() -> None:
    vault = Vault([NEW])
    assert len({vault.seal("w/a", "text") for _ in range(50)}) == 50


def test_keys_rotate_the_first_seals_and_all_open() -> None:
    before, both, after = Vault([OLD]), Vault([NEW, OLD]), Vault([NEW])
    old, new = before.seal("w/a", "old"), both.seal("w/a", "new")
    assert (both.open("w/a", old), both.open("w/a", new), after.open("w/a", new)) == ("old", "new", "new")
    for vault, sealed in ((after, old), (before, new)):
        with pytest.raises(UnreadableSecretError, match="not among ANTIPHON_SECRET_KEYS"):
            vault.open("w/a", sealed)


@pytest.mark.parametrize("label", ["w/b", "v/a", "", "w/a ", "W/A"])
def test_a_secret_does_not_open_under_another_label(label: str) -> None:
    vault = Vault([NEW])
    with pytest.raises(UnreadableSecretError, match="it cannot be decrypted"):
        vault.open(label, vault.seal("w/a", "text"))


def test_no_byte_can_be_changed_and_none_left_out() -> None:
    vault = Vault([NEW])
    sealed = vault.seal("w/a", "text")
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for bad in [*changed, *(sealed[:at] for at in range(len(sealed))), sealed + b"\0", b"\x02" + sealed[1:]]:
        with pytest.raises(UnreadableSecretError):
            vault.open("w/a", bad)


def test_a_vault_needs_a_key() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        Vault([])


def test_the_key_of_the_folder_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: key_of_folder(folder), range(8)))
    assert len(found) == 1
    assert re.fullmatch(r"[\w-]{43}", found.pop())
    path = folder / "secret.key"
    assert [one.name for one in folder.iterdir()] == ["secret.key"]
    path.chmod(0o644)
    assert key_of_folder(folder) == path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_key_file_is_refused_instead_of_used(tmp_path: Path) -> None:
    (tmp_path / "secret.key").touch()
    with pytest.raises(ValueError, match="is empty"):
        key_of_folder(tmp_path)
