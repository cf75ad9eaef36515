"""A real server in a folder of its own, to be measured: started as `scripts/serve` starts it, on a free port."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
from pymongo import MongoClient

# One conversation that never ends: every turn takes an answer, says something and asks again.
CONVERSATION: dict[str, Any] = {
    "nodes": [
        {"id": "start", "type": "start", "config": {"inputs": [{"name": "topic", "type": "text"}]}},
        {"id": "ask", "type": "ask", "name": "Ask on", "config": {"prompt": "About {{topic}}?", "output": "said"}},
        {"id": "tell", "type": "message", "config": {"text": "Noted on {{topic}}: [[said]]"}},
    ],
    "edges": [
        {"source": "start", "target": "ask"},
        {"source": "ask", "target": "tell"},
        {"source": "tell", "target": "ask"},
    ],
}
DATABASE = "antiphon"


class Site:
    """The server's process, its address, key and database, and the workflow that is measured."""

    def __init__(self, folder: Path, program: list[str] | None = None) -> None:
        self.folder = folder
        self.url = self.key = self.mongo_uri = self.workflow_id = ""
        folder.mkdir(parents=True)
        kept = {
            name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR") if name in os.environ
        }
        asked = {"PORT": "0", "ANTIPHON_DATA_DIR": str(folder), "LOG_LEVEL": "WARNING", "MONGODB_DATABASE": DATABASE}
        self.process = subprocess.Popen(
            [sys.executable, *(program or ["-m", "app", "serve"])],
            env={**kept, **asked},
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        try:
            assert self.process.stdout is not None
            first = self.process.stdout.readline().split()  # Antiphon serves http://… (pid …)
            if len(first) < 3:
                raise SystemExit("the server did not start")
            self.url = first[2]
            self.key = (self.folder / "admin.key").read_text().strip()
            record = msgspec.json.decode((self.folder / "mongo.json").read_bytes())
            self.mongo_uri = f"mongodb://127.0.0.1:{record['port']}/?directConnection=true"
            self.workflow_id = self._workflow()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def collection(self, name: str) -> Any:
        """A collection of the server's database. Close its client when done."""
        return MongoClient(self.mongo_uri)[DATABASE][name]

    def stop(self) -> None:
        """Asks it to end, and waits until it has: a profile is written then."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _workflow(self) -> str:
        headers = {"Authorization": f"Bearer {self.key}"}
        body = {"name": "Conversation", "graph": CONVERSATION}
        reply = httpx.post(f"{self.url}/v1/workflows", json=body, headers=headers)
        reply.raise_for_status()
        found: str = reply.json()["id"]
        return found
