"""Signals to an embedded server, as its folder names it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil


def kill(folder: Path) -> None:
    """Returns once it is dead."""
    process = freeze(folder)
    process.kill()
    process.wait(10)


def freeze(folder: Path) -> psutil.Process:
    """Its process, stopped."""
    process = psutil.Process(int(json.loads((folder / "mongo.json").read_bytes())["pid"]))
    process.send_signal(signal.SIGSTOP)
    return process
