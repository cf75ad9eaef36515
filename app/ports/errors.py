"""The errors that adapters raise."""

from __future__ import annotations


class StoreUnavailableError(Exception):
    """The database cannot be reached, or gave no answer in time: nothing is known about the operation."""


class DuplicateError(Exception):
    """An insert lost against a unique index; `field` names it (`start_key`, `_id`, …)."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field
