"""Units that failed before, as the processes of a server tell them from others."""

from __future__ import annotations

import logging
import os
import resource
import signal
from typing import TYPE_CHECKING, Any

from mlops_core.records import Variant
from mlops_core.records.units import UnitFilter
from mlops_deployer_local.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

PEOPLE = [f"unit {number}" for number in range(12)]


def fail(rig: Any, units: Iterable[str | None]) -> None:
    """Ask on behalf of each what no version can answer, by a connection of its own: any process may take it."""
    for unit in units:
        named = {} if unit is None else {"x_mlops_unit": unit}
        assert rig.post("/invocations", {"inputs": {"x": [-1.0], "carrier": ["UA"]}}, **named)[0] == 500


def counted(rig: Any) -> tuple[int, int]:
    """Errors, and those of them that are repeated ones."""
    return sum(success is False for *_, success, _ in rig.records()), len(rig.records(".repeated"))


def test_each_unit_counts_once_in_a_rollout_whichever_process_it_meets(make_rig: Any) -> None:
    rig = make_rig(workers=2)
    (rig.folder / "record").touch()
    rig.serve("1.0.0")
    rig.load("2.0.0")
    fail(rig, PEOPLE[:2] * 2)
    assert counted(rig) == (4, 0), "beside no other version there is nothing to tell"

    rig.route(("1.0.0", 0.9), ("2.0.0", 0.1))
    fail(rig, PEOPLE * 2)
    fail(rig, [None] * 6)
    assert counted(rig) == (34, 12), "who names no unit is nobody's second error"
    os.kill(rig.processes()[1][0], signal.SIGKILL)
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
    fail(rig, PEOPLE)
    assert counted(rig) == (46, 24)
    os.killpg(rig.processes()[0][0], signal.SIGKILL)
    rig.load("1.0.0")
    fail(rig, PEOPLE)
    assert counted(rig) == (58, 36)

    another = (Variant("7-1.0.0", "1.0.0", 0.5), Variant("8-2.0.0", "2.0.0", 0.5))
    rig.deployer.set_routes(rig.endpoint, another, None, rig.deployer.observe(rig.endpoint).revision)
    fail(rig, PEOPLE * 2)
    assert counted(rig) == (82, 48)


def test_where_the_disk_is_full_each_error_counts_and_nobody_dies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, limits = tmp_path / "units" / "acme" / "delays.bits", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (UnitFilter.SIZE // 2, limits[1]))
    try:
        units = Units(path, "rollout")
        with caplog.at_level(logging.WARNING):
            assert [units.add("ann"), units.add("ann")] == [False, False]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [record.message for record in caplog.records] == [f"{path}: not to be had, so that each error of a unit counts: File too large"]

    later = Units(path, "rollout")
    assert [later.add("ann"), later.add("ann")] == [False, True]
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (UnitFilter.SIZE, 0o600)
