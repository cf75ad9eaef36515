"""Names for what would else be plain texts."""

from __future__ import annotations

from typing import Literal

Id = str  # 24 hex digits: an ObjectId
Scope = Literal["admin", "edit", "run", "read"]
