"""The stores of the simulated processes pass the contract of the real ones, as far as it looks at runs and places only."""

from __future__ import annotations

import inspect

import pytest

from app.ports import RunStore, SlotStore
from tests.conformance import (
    test_archive,
    test_commits,
    test_due,
    test_leases,
    test_older_turns,
    test_run_lists,
    test_run_round_trip,
    test_slots,
)
from tests.protocol.fakes import FakeRuns, FakeSlots
from tests.protocol.memory import Memory


@pytest.fixture
def runs() -> RunStore:
    return FakeRuns(Memory())


@pytest.fixture
def slots() -> SlotStore:
    return FakeSlots(Memory())


for _module in (
    test_archive,
    test_commits,
    test_due,
    test_leases,
    test_older_turns,
    test_run_lists,
    test_run_round_trip,
    test_slots,
):
    for _name, _test in inspect.getmembers(_module, inspect.isfunction):
        if _name.startswith("test_") and not {"database", "another"} & inspect.signature(_test).parameters.keys():
            globals()[_name] = _test
