"""Which units have failed before, in memory of fixed size."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from mlops_core.records.units import UnitFilter

if TYPE_CHECKING:
    from pathlib import Path


def test_a_unit_is_new_once() -> None:
    found = UnitFilter(bytearray(UnitFilter.SIZE), "2-1.0.0\x003-2.0.0")
    assert [found.add(unit) for unit in ("ann", "bob", "ann", "", "", "é")] == [False, False, True, False, True, False]


def test_another_rollout_finds_none_in_the_same_memory() -> None:
    memory = bytearray(UnitFilter.SIZE)
    first, second = UnitFilter(memory, "first"), UnitFilter(memory, "second")
    units = [f"unit {number}" for number in range(20_000)]
    assert sum(first.add(unit) for unit in units) < 20
    assert sum(second.add(unit) for unit in units) < 20
    assert all(second.add(unit) for unit in units)


def test_of_those_who_did_not_fail_few_are_taken_for_one_who_did() -> None:
    """What the class says: one in 30,000 beside 10,000, one in 100 beside 50,000."""
    memory = bytearray(UnitFilter.SIZE)
    failed = UnitFilter(memory, "rollout")
    taken = {}
    for number in range(50_000):
        failed.add(f"unit {number}")
        if number + 1 in {10_000, 50_000}:
            beside = UnitFilter(bytearray(memory), "rollout")
            taken[number + 1] = sum(beside.add(f"stranger {one}") for one in range(5_000)) / 5_000
    assert taken[10_000] <= 0.001
    assert 0.008 < taken[50_000] < 0.015  # the strangers are taken in, too


def test_two_views_of_one_file_are_one(tmp_path: Path) -> None:
    (tmp_path / "units").write_bytes(bytes(UnitFilter.SIZE))
    maps = []
    for _ in range(2):
        with (tmp_path / "units").open("r+b") as file:
            maps.append(mmap.mmap(file.fileno(), UnitFilter.SIZE))
    one, other = (UnitFilter(memory, "rollout") for memory in maps)
    assert [one.add("ann"), other.add("ann"), other.add("bob"), one.add("bob")] == [False, True, False, True]
