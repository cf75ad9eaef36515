"""Where the server's time goes: the server under cProfile, switched on and off by SIGUSR1, and what it wrote, summed up.

Run as a program it is the server. The profile is of the event loop's thread; the driver's own threads, in which it waits
for the database, are not in it. The profiler itself makes small functions look dearer than they are: compare, don't add.
"""

import cProfile
import os
import pstats
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from scripts.benchmarks.http import Client
from scripts.benchmarks.site import Site

LINES: Final = 25
_layers: Final = (
    ("app/api", "app/api"),
    ("app/services", "app/services"),
    ("app/engine", "app/engine"),
    ("app/adapters", "app/adapters"),
    ("site-packages/litestar", "litestar"),
    ("site-packages/uvicorn", "uvicorn"),
    ("site-packages/motor", "motor"),
    ("site-packages/pymongo", "pymongo"),
    ("site-packages/bson", "bson"),
    ("msgspec", "msgspec"),
    ("concurrent/futures", "threads"),
    ("threading.py", "threads"),
    ("asyncio", "asyncio, uvloop"),
    ("uvloop", "asyncio, uvloop"),
)


async def profile(seconds: float) -> str:
    """Takes turns one after the other from a server under the profiler. The summary."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "profile"
        with Site(Path(folder) / "data", ["-m", "scripts.benchmarks.profiling", str(out)]) as site:
            client = Client(site)
            talks = await client.talks(16)
            os.kill(site.process.pid, signal.SIGUSR1)
            turns = len((await client.turns(talks, 1, seconds)).latencies)
            os.kill(site.process.pid, signal.SIGUSR1)
            await client.nothing(0.1)  # the handler runs when the loop next does
            client.close()
        return summary(pstats.Stats(str(out)), turns)


def summary(stats: Any, turns: int) -> str:
    """Microseconds a turn: by layer, then the functions with the most time in them and below."""
    layers: dict[str, float] = defaultdict(float)
    rows = []
    for (file, line, name), (_, calls, own, below, _) in stats.stats.items():
        layers[_layer(file, name)] += own
        rows.append((below, own, calls, f"{_shown(file)}{f':{line}' if line else ''} {name}"))
    micro = 1e6 / turns
    lines = [f"{turns} turns; µs of the event loop's thread a turn, by layer"]
    lines += [f"  {own * micro:8.0f}  {layer}" for layer, own in sorted(layers.items(), key=lambda row: -row[1])[:12]]
    lines.append("  with below      own  calls  function")
    ours = [row for row in sorted(rows, reverse=True) if row[2] / turns > 0.1 and "app/" in row[3]]
    lines += [f"  {b * micro:10.0f} {o * micro:8.0f} {c / turns:6.1f}  {what}" for b, o, c, what in ours[:LINES]]
    return "\n".join(lines)


def _layer(file: str, name: str) -> str:
    for part, layer in _layers:
        if part in file or (file == "~" and part in name):
            return layer
    return "waiting" if "run_until_complete" in name else "builtins and others"


def _shown(file: str) -> str:
    return file[file.index("app/") :] if "/app/" in file else file.rpartition("site-packages/")[2]


def _serve(out: str) -> None:
    from app import serving
    from app.settings import Settings

    profiler = cProfile.Profile(time.thread_time)  # not what others take from us
    running = False

    def switch(*_: object) -> None:
        nonlocal running
        running = not running
        if running:
            profiler.enable()
        else:
            profiler.disable()
            profiler.dump_stats(out)

    signal.signal(signal.SIGUSR1, switch)
    serving.serve(Settings())


if __name__ == "__main__":
    _serve(sys.argv[1])
