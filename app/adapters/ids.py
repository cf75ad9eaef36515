"""New identifiers: 12 bytes as 24 hex digits, the first four the time, so that they sort by it (an ObjectId's layout)."""

from __future__ import annotations

import itertools
import os
import secrets
import time


class SystemIds:
    """Implements ports.Ids. Unique over processes: five random bytes a process, then a counter."""

    def __init__(self) -> None:
        self._pid = 0
        self._process = ""
        self._count = itertools.count()

    def object_id(self) -> str:
        if self._pid != os.getpid():  # after a fork, too
            self._pid = os.getpid()
            self._process = secrets.token_hex(5)
            self._count = itertools.count(secrets.randbelow(0x100_0000))
        return f"{int(time.time()):08x}{self._process}{next(self._count) & 0xFF_FFFF:06x}"

    def commit_id(self) -> str:
        return self.object_id()
