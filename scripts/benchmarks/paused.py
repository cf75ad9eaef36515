"""Many paused runs in the store: copies of one that the server wrote, put beside it in bulk."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from bson import ObjectId
from pymongo import WriteConcern

from scripts.benchmarks.site import Site

BATCH: Final = 500
FIRST_NUMBER: Final = 1_000_000_000  # beyond what the server hands out
_unjournaled: Final = WriteConcern(w=1, j=False)  # the last write is journaled, and all before it with it


def fill(site: Site, count: int) -> None:
    """So many runs that wait for an answer; every second has a deadline, far away."""
    runs = site.collection("workflow_runs")
    original = runs.find_one({"status": "waiting_for_user_input"})
    copies = _copies(original, count - 1)
    while batch := list(islice(copies, BATCH)):
        runs.with_options(write_concern=_unjournaled).insert_many(batch, ordered=False)
    last = next(_copies(original, 1, FIRST_NUMBER - 1))
    runs.with_options(write_concern=WriteConcern(w="majority", j=True)).insert_one(last)
    runs.database.client.close()


def _copies(original: dict[str, Any], count: int, number: int = FIRST_NUMBER) -> Iterator[dict[str, Any]]:
    for at in range(count):
        other = {"_id": ObjectId(), "number": number + at, "start_key": f"bench:{number + at}"}
        due = {"wake_at": original["created_at"] + 86_400 + at} if at % 2 else {}
        yield {**original, **other, **due, "created_at": original["created_at"] - at}
