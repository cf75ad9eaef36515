"""Links by which approvers vote: one token for each, made anew whenever it is needed and stored nowhere.

A token says which run, which pause and which approver, in 19 bytes, and that we have said so, in 32 more.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from app.ports import Signer

PAGE: Final = "/a/"
ANYBODY: Final = "link"  # who votes by the one link of an approval that names no approvers
_run, _pause, _ordinal = 12, 4, 3  # bytes
_token: Final = re.compile(r"[A-Za-z0-9_-]{68}")
_run_id: Final = re.compile(r"[0-9a-f]{24}")


class Link(msgspec.Struct, frozen=True):
    """`approver` None: the one link of an approval that names no approvers."""

    approver: str | None
    token: str
    url: str

    def shown(self) -> dict[str, str | None]:
        return {"approver": self.approver, "url": self.url}


class Place(msgspec.Struct, frozen=True):
    """What a token is for. `ordinal` counts the approvers from 1; 0: whoever has the link."""

    run_id: str
    pause_id: str
    ordinal: int

    def voter(self, approvers: Sequence[str]) -> str | None:
        """Who votes by it; None: there is no such approver."""
        if not approvers:
            return ANYBODY if self.ordinal == 0 else None
        return approvers[self.ordinal - 1] if 0 < self.ordinal <= len(approvers) else None


class Links:
    """`base_url` is what people reach us by, without a slash at its end."""

    def __init__(self, signer: Signer, base_url: str) -> None:
        self._signer = signer
        self._base_url = base_url

    def of(self, run_id: str, pause_id: str, approvers: Sequence[str]) -> list[Link]:
        """One for each approver, in their order; else one for anybody."""
        named: list[tuple[int, str | None]] = [(0, None)] if not approvers else list(enumerate(approvers, 1))
        made = []
        for ordinal, approver in named:
            token = self._made(Place(run_id, pause_id, ordinal))
            made.append(Link(approver, token, f"{self._base_url}{PAGE}{token}"))
        return made

    def _made(self, place: Place) -> str:
        said = _bytes_of(place)
        return base64.urlsafe_b64encode(said + self._signer.sign(said)).decode()

    def read(self, token: str) -> Place | None:
        """None: it is none of ours."""
        if not _token.fullmatch(token):
            return None
        data = base64.urlsafe_b64decode(token)
        said, mac = data[: _run + _pause + _ordinal], data[_run + _pause + _ordinal :]
        if not self._signer.verify(said, mac):
            return None
        number = int.from_bytes(said[_run : _run + _pause])
        return Place(said[:_run].hex(), f"pause_{number}", int.from_bytes(said[_run + _pause :]))


def _bytes_of(place: Place) -> bytes:
    assert _run_id.fullmatch(place.run_id), "runs have ObjectIds"
    number = int(place.pause_id.removeprefix("pause_"))
    return bytes.fromhex(place.run_id) + number.to_bytes(_pause) + place.ordinal.to_bytes(_ordinal)
