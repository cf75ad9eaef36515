"""`scripts/bench`: turns over HTTP against a real server, as ratios to the floor measured in the same run.

The server runs as `scripts/serve` runs it, in a fresh folder, on its embedded database. Ratios are medians over rounds in
which the two sides alternate, with their quartiles; the absolute figures are of this machine at this moment.
"""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import click
import uvloop

from scripts.benchmarks import nodes, profiling, turns
from scripts.benchmarks.floor import Floor
from scripts.benchmarks.http import Client
from scripts.benchmarks.site import Site
from scripts.benchmarks.taken import Compared, Rounds

LATE_TURN, FEW = 1_000, 100


class Plan(NamedTuple):
    """How much is measured. Seconds are of one side of a round."""

    rounds: dict[int, int]  # by turns in flight
    seconds: float
    late_runs: int
    late_pairs: int
    many: int
    store_rounds: int
    node_rounds: int


QUICK = Plan({1: 5, 16: 2, 64: 2}, 0.7, 1, 30, 1_000, 3, 10)
FULL = Plan({1: 24, 16: 10, 64: 10}, 1.2, 8, 400, 100_000, 20, 60)


def show(what: str, compared: Compared, unit: str, scale: float, aim: str = "") -> None:
    """One line of the table."""
    low, high = compared.quartiles
    ours, theirs = (
        f"{figure * scale:,.2f}" if unit else f"{figure:,.0f}" for figure in (compared.ours, compared.theirs)
    )
    ratio = f"{compared.ratio:.2f} ({low:.2f} to {high:.2f})"
    print(f"{what:<44}{ours:>10} {unit:<3}{theirs:>10} {unit:<3}{ratio:>22}  {aim}", flush=True)


def head(title: str, ours: str, theirs: str) -> None:
    print(f"\n{title:<44}{ours:>13} {theirs:>13} {'ratio':>22}  aim")


async def against_floor(folder: Path, plan: Plan) -> None:
    with Site(folder / "floor") as site:
        client = Client(site)
        sample = (await client.talks(1, 5))[0]
        floor = await asyncio.to_thread(Floor, site, sample.run_id)
        head(f"turns; documents of {floor.document_bytes / 1024:.0f} KiB", "server", "floor")
        for in_flight, rounds in plan.rounds.items():
            _show_turns(in_flight, *await turns.against_floor(site, client, floor, in_flight, rounds, plan.seconds))
        idle = (await client.nothing(1.0)).quantile(0.5)
        cost = client.cpu_seconds / client.requests
        print(
            f"the client costs {cost * 1e3:.2f} ms of processor time a turn; GET /health/live takes {idle * 1e3:.2f} ms"
        )
        floor.stop()
        head("one run's turns", "late", "turn 2")
        late = await turns.late_against_early(client, plan.late_runs, LATE_TURN, plan.late_pairs)
        show(f"p50 of turn {LATE_TURN:,} on", late.latency(0.5), "ms", 1e3, "≤ 1.1")
        client.close()


def _show_turns(in_flight: int, bare: Rounds, indexed: Rounds) -> None:
    if in_flight == 1:
        show("latency p50, 1 in flight", bare.latency(0.5), "ms", 1e3, "≤ 2")
        show("  the floor with the indexes of the runs", indexed.latency(0.5), "ms", 1e3)
        show("latency p99, 1 in flight", bare.latency(0.99), "ms", 1e3)
        show("processor time a turn, without the database's", bare.cpu(), "ms", 1e3)
    else:
        show(f"turns a second, {in_flight} in flight", bare.rate(), "", 1)
        show("  the floor with the indexes of the runs", indexed.rate(), "", 1)
        show(f"latency p50, {in_flight} in flight", bare.latency(0.5), "ms", 1e3)


async def with_a_full_store(folder: Path, plan: Plan) -> None:
    head("paused runs in the store", f"{plan.many:,}", f"{FEW:,}")
    found = await turns.full_against_empty(folder, plan.many, FEW, plan.store_rounds, plan.seconds)
    show("latency p50, 1 in flight", found.latency(0.5), "ms", 1e3, "≤ 1.2")


def of_the_engine(plan: Plan) -> None:
    head("node executions in one step", "engine", "bare copies")
    show("executions a second", nodes.measure(plan.node_rounds).rate(), "", 1, "≥ 20,000 a second")


async def everything(plan: Plan) -> None:
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; embedded database")
    of_the_engine(plan)
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as folder:
        await against_floor(Path(folder), plan)
        await with_a_full_store(Path(folder), plan)


@click.command(help=__doc__)
@click.option(
    "--quick", is_flag=True, help=f"Under a minute, with {QUICK.many:,} paused runs instead of {FULL.many:,}."
)
@click.option("--profile", is_flag=True, help="Instead: where the server's time goes.")
def main(quick: bool, profile: bool) -> None:
    if profile:
        print(uvloop.run(profiling.profile(5 if quick else 15)))
    else:
        uvloop.run(everything(QUICK if quick else FULL))


if __name__ == "__main__":
    main(prog_name="scripts/bench")
