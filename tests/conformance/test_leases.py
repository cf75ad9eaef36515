"""Leases: kept by the commits that do not mention them, lengthened only as they were read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.ports import Lease, RunStore
from tests.conformance.samples import LEASE, NOW, after, commit, full_run, open_turn, run, turn


async def test_a_renewal_lengthens_the_lease_and_leaves_the_revision_alone(runs: RunStore) -> None:
    before = full_run()
    await runs.insert(before)
    assert await runs.renew(before.id, 4, 7, LEASE, NOW + 13, NOW + 12) is True
    renewed = replace(before, lease=Lease(LEASE.owner, NOW + 13), wake_at=NOW + 12)
    assert await runs.read(before.id, bodies=True) == renewed


async def test_a_renewal_can_take_the_wake_up_time_away(runs: RunStore) -> None:
    before = full_run()
    await runs.insert(before)
    assert await runs.renew(before.id, 4, 7, LEASE, NOW + 13, None) is True
    assert await runs.read(before.id, bodies=True) == replace(before, lease=Lease(LEASE.owner, NOW + 13), wake_at=None)
    assert await runs.due(NOW * 2, None, 10) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"run_id": "f" * 24},
        {"fence": 3},
        {"fence": 5},
        {"revision": 6},
        {"revision": 8},
        {"held": Lease("another", LEASE.until)},
        {"held": Lease(LEASE.owner, LEASE.until - 1)},
        {"held": Lease(LEASE.owner, LEASE.until + 1)},
    ],
    ids=repr,
)
async def test_a_renewal_fails_when_anything_has_changed(runs: RunStore, changed: dict[str, Any]) -> None:
    before = full_run()
    await runs.insert(before)
    asked: dict[str, Any] = {"run_id": before.id, "fence": 4, "revision": 7, "held": LEASE, **changed}
    assert await runs.renew(**asked, until=NOW + 13, wake_at=NOW + 13) is False
    assert await runs.read(before.id, bodies=True) == before


async def test_a_lease_that_was_cleared_is_not_renewed(runs: RunStore) -> None:
    before = full_run(lease=None)
    await runs.insert(before)
    assert await runs.renew(before.id, 4, 7, LEASE, NOW + 13, NOW + 13) is False
    assert await runs.read(before.id, bodies=True) == before


async def test_a_commit_that_does_not_mention_the_lease_leaves_a_renewal_in_place(runs: RunStore) -> None:
    before = full_run()
    await runs.insert(before)
    assert await runs.renew(before.id, 4, 7, LEASE, NOW + 13, NOW + 13) is True
    made = commit(before, status="waiting")
    assert await runs.commit(made) is True
    renewed = replace(after(before, made), lease=Lease(LEASE.owner, NOW + 13), wake_at=NOW + 13)
    assert await runs.read(before.id, bodies=True) == renewed


async def test_a_settle_matched_on_the_lease_fails_after_a_renewal_and_after_a_takeover(runs: RunStore) -> None:
    before = full_run()
    await runs.insert(before)
    settle = commit(before, filters={"fence": 4, "match_lease": True, "lease": LEASE}, push=turn(3), open=None)
    assert await runs.renew(before.id, 4, 7, LEASE, NOW + 13, NOW + 13) is True
    assert await runs.commit(settle) is False
    lapsed = Lease(LEASE.owner, NOW + 13)
    claim = commit(before, filters={"match_lease": True, "lease": lapsed}, lease=Lease("another", NOW + 40), fence=5)
    assert await runs.commit(claim) is True
    assert await runs.commit(replace(settle, revision=8, lease=lapsed)) is False
    assert await runs.read(before.id, bodies=True) == replace(after(before, claim), wake_at=NOW + 13)


async def test_of_many_processes_that_claim_a_lapsed_lease_one_wins(database: Database, another: Database) -> None:
    before = run(open=open_turn(2), lease=LEASE, fence=1, wake_at=LEASE.until)
    await database.runs.insert(before)
    claims = [
        commit(
            before,
            filters={"match_lease": True, "lease": LEASE},
            lease=Lease(f"process {name}", NOW + 40),
            fence=2,
            takeovers=1,
            wake_at=NOW + 40,
        )
        for name in range(10)
    ]
    stores = [database.runs, another.runs] * 5
    won = await asyncio.gather(*(store.commit(one) for store, one in zip(stores, claims, strict=True)))
    assert sorted(won) == [False] * 9 + [True]
    assert await another.runs.read(before.id, bodies=True) == after(before, claims[won.index(True)])


async def test_a_renewal_and_a_claim_of_the_same_lease_do_not_both_win(database: Database, another: Database) -> None:
    for _ in range(10):
        before = full_run()
        await database.runs.insert(before)
        claim = commit(
            before,
            filters={"match_lease": True, "lease": LEASE},
            lease=Lease("another", NOW + 40),
            fence=5,
            takeovers=3,
        )
        renewed, claimed = await asyncio.gather(
            database.runs.renew(before.id, 4, 7, LEASE, NOW + 13, NOW + 13), another.runs.commit(claim)
        )
        assert (renewed, claimed) in [(True, False), (False, True)]
