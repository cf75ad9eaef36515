"""The errors that adapters raise."""

from __future__ import annotations


class StoreUnavailableError(Exception):
    """The database cannot be reached, or gave no answer in time: nothing is known about the operation."""


class UnreadableSecretError(Exception):
    """A stored secret cannot be decrypted; the text never has anything of it."""


class DuplicateError(Exception):
    """An insert lost against a unique index; `field` names it (`start_key`, `_id`, …)."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field
