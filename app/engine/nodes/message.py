"""Says something to the user and goes on."""

from __future__ import annotations

from typing import ClassVar

from app.engine.kind import Context, Leave, NodeKind, Outcome


class Message(NodeKind, frozen=True, kw_only=True):
    """Its output is `{text}`."""

    kind: ClassVar[str] = "message"

    text: str

    def enter(self, ctx: Context) -> Outcome:
        text = ctx.text(self.text)
        ctx.say(text)
        return Leave({"text": text})
