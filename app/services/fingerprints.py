"""Which idempotency keys a run has seen: 8 bytes of a key's hash and 4 of its time each, oldest first.

They only save a read: a key that is not among them was certainly not used (unless they are marked partial), and one that
is may have been.
"""

from __future__ import annotations

import hashlib
import struct

from app.ports import Run

KEPT_SECONDS = 24 * 3600
MOST = 4_096
MARK_BYTES, SIZE = 8, 12
_at = struct.Struct(">I")


def mark_of(key: str) -> bytes:
    """Eight bytes that stand for a key."""
    return hashlib.sha256(key.encode()).digest()[:MARK_BYTES]


def remember(run: Run, key: str, now: float) -> tuple[bytes, bool]:
    """The run's fingerprints with `key`, and whether they are partial: those older than 24 h are dropped, and when there
    are too many the oldest."""
    known, first = run.fingerprints, 0
    while first < len(known) and _at.unpack_from(known, first + MARK_BYTES)[0] <= now - KEPT_SECONDS:
        first += SIZE
    partial = run.fingerprints_partial
    if len(known) - first >= MOST * SIZE:
        partial, first = True, len(known) - (MOST - 1) * SIZE
    return known[first:] + mark_of(key) + _at.pack(int(now)), partial


def may_be_used(run: Run, key: str) -> bool:
    """False: the key was certainly not used on this run."""
    if run.fingerprints_partial:
        return True
    mark, found = mark_of(key), -1
    while (found := run.fingerprints.find(mark, found + 1)) >= 0:
        if found % SIZE == 0:
            return True
    return False
