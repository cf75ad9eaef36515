"""Fingerprints of keys: never a false no, and bounded."""

from __future__ import annotations

from msgspec.structs import replace

from app.ports import Run
from app.services.fingerprints import KEPT_SECONDS, MOST, SIZE, mark_of, may_be_used, remember

RUN = Run(
    id="0" * 24,
    workspace="0" * 24,
    workflow_id="0" * 24,
    version=0,
    pinned=(),
    number=1,
    mode="interactive",
    user=None,
    revision=1,
    commit_id="c",
    turn=1,
    status="paused",
    termination_source=None,
    state=b"",
    next_seq=1,
    created_at=0.0,
    updated_at=0.0,
)


def with_key(run: Run, key: str, now: float) -> Run:
    marks, partial = remember(run, key, now)
    return replace(run, fingerprints=marks, fingerprints_partial=partial)


def test_a_remembered_key_may_be_used_and_another_was_not() -> None:
    run = with_key(with_key(RUN, "a", 1_000.0), "b", 1_001.0)
    assert [may_be_used(run, key) for key in ("a", "b", "c")] == [True, True, False]


def test_keys_older_than_a_day_are_dropped_and_younger_ones_stay() -> None:
    run = with_key(with_key(RUN, "old", 1_000.0), "young", 1_001.0)
    run = with_key(run, "new", 1_000.0 + KEPT_SECONDS)
    assert [may_be_used(run, key) for key in ("old", "young", "new")] == [False, True, True]
    assert (len(run.fingerprints), run.fingerprints_partial) == (2 * SIZE, False)


def test_when_there_are_too_many_they_are_marked_partial_and_any_key_may_be_used() -> None:
    run = RUN
    for count in range(MOST):
        run = with_key(run, f"k{count}", 1_000.0)
    assert (len(run.fingerprints), run.fingerprints_partial) == (MOST * SIZE, False)
    run = with_key(run, "one more", 1_000.0)
    assert (len(run.fingerprints), run.fingerprints_partial) == (MOST * SIZE, True)
    assert may_be_used(run, "k0")


def test_bytes_that_only_straddle_two_fingerprints_are_no_match() -> None:
    mark = mark_of("x")
    straddling = b"\0" * 8 + mark[:4] + mark[4:] + b"\0" * 8
    assert not may_be_used(replace(RUN, fingerprints=straddling[:24]), "x")
