"""Both sandboxes of a server, opened and closed together."""

from __future__ import annotations

import asyncio

from app.adapters.sandbox.code import OUTPUT_BYTES, SandboxedCode
from app.adapters.sandbox.templates import SandboxedTemplates


class Sandboxes:
    """`output_bytes`: the most that the output of code may take as JSON."""

    def __init__(self, output_bytes: int = OUTPUT_BYTES) -> None:
        self.code = SandboxedCode(output_bytes)
        self.templates = SandboxedTemplates()

    async def close(self) -> None:
        await asyncio.gather(self.code.close(), self.templates.close())
