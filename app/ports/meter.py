"""What is counted of outside work, for the operator: nothing of a tenant's data, names included."""

from __future__ import annotations

from typing import Protocol

from app.engine.talk import Usage


class Meter(Protocol):
    """Counts; never raises. `outcome`: `ok`, `cancelled`, or an error type of the contract."""

    def attempt(self, operation: str, outcome: str, seconds: float, number: int) -> None:
        """An attempt of an effect has ended; the `number`th, from 1."""

    def model(self, provider: str, outcome: str, seconds: float, usage: Usage | None = None) -> None:
        """A model was asked. `provider`: the operator's name for it, `echo`, or `workspace` for any that a workspace
        brought."""
