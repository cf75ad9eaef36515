"""What a reference can see: the engine's scopes answer by name, paths walk what they get."""

from __future__ import annotations

from typing import Protocol

from app.engine.values import Value


class Scope(Protocol):
    def read(self, name: str) -> Value:
        """What the first segment of `{{ }}` means: reserved word, node output, input. Raises LookupError."""

    def variable(self, name: str) -> Value:
        """A runtime variable, the first segment of `[[ ]]`. Raises LookupError."""
