"""New identifiers: 12 bytes as 24 hex digits, the first four the time, so that they sort by it (an ObjectId's layout)."""

from __future__ import annotations

import itertools
import os
import secrets
import time


class SystemIds:
    """Implements ports.Ids. Unique over processes: five random bytes a process, then a counter."""

    def __init__(self) -> None:
        self._of_process = _begin()

    def object_id(self) -> str:
        pid, process, count = self._of_process
        if pid != os.getpid():  # after a fork; two threads that come here at once get different random bytes
            self._of_process = pid, process, count = _begin()
        return f"{int(time.time()):08x}{process}{next(count) & 0xFF_FFFF:06x}"

    def commit_id(self) -> str:
        return self.object_id()


def _begin() -> tuple[int, str, itertools.count[int]]:
    return os.getpid(), secrets.token_hex(5), itertools.count(secrets.randbelow(0x100_0000))
