"""Counts that outlive their process: nothing is lost or doubled, whoever is killed, and whenever."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from mlops_deployer_local.counts import HELD, OTHER, Counts, Key, fold, holders, total

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY = ("acme", "delays", "1.0.0", "predictions")
NOW, DAY = 1_000_000_000.0, 86_400.0
KILLED = """
import os, signal, sys
from pathlib import Path
from mlops_deployer_local.counts import HELD, Counts
counts = Counts(Path(sys.argv[1]))
row = counts.row(("acme", "delays", "1.0.0", "predictions"), 3)
row[0] += 5
row[2] += 7
counts.row(("acme", "delays", "1.0.0", HELD), 1)[0] += 1
os.kill(os.getpid(), signal.SIGKILL)
"""
CUT_OFF = """
import os, signal, sys
from pathlib import Path
from mlops_deployer_local.counts import fold
left = int(sys.argv[2])
def at(event, details):
    global left
    if event in ("open", "os.rename", "os.remove") and sys.argv[1] in str(details):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(at)
fold(Path(sys.argv[1]), 1e9)
"""
FULL = """
import logging, resource, sys
from pathlib import Path
from mlops_deployer_local.counts import Counts
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
counts = Counts(Path(sys.argv[1]))
for number in range(300):
    counts.row(("acme", "delays", str(number), "predictions"), 40)[0] += 1
print(counts.fault)
"""


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False)


def ended(folder: Path, rows: Mapping[Key, int]) -> None:
    """A process that counted so much, and ended."""
    counts = Counts(folder)
    for key, count in rows.items():
        counts.row(key, 1)[0] += count
    counts.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_counted_is_there_before_and_after_it_is_folded(tmp_path: Path) -> None:
    mine = Counts(tmp_path)
    mine.row(KEY, 3)[0] += 1
    assert run(KILLED, tmp_path).returncode == -9
    assert run(KILLED, tmp_path).returncode == -9

    for _ in range(3):
        assert total(tmp_path) == mine.total() == {KEY: [11, 0, 14]}
        fold(tmp_path, NOW)
    assert len(names(tmp_path)) == 3, "the base, the lock, and the file of who lives"
    mine.row(KEY, 3)[1] += 1
    mine.close()
    fold(tmp_path, NOW)
    assert total(tmp_path) == {KEY: [11, 1, 14]}
    assert names(tmp_path) == ["base.json", "lock"]


def test_the_file_of_a_process_that_is_to_be_looked_at_stays(tmp_path: Path) -> None:
    assert run(KILLED, tmp_path).returncode == -9
    pid = int(next(tmp_path.glob("*.counts")).name.partition("-")[0])
    fold(tmp_path, NOW, kept={pid})
    assert holders(tmp_path, pid) == {("acme", "delays")}
    assert total(tmp_path) == {KEY: [5, 0, 7]}
    fold(tmp_path, NOW)
    assert (holders(tmp_path, pid), total(tmp_path)) == (set(), {KEY: [5, 0, 7]})


def test_what_is_to_be_served_again_is_counted_on(tmp_path: Path) -> None:
    """However many they are, and however long nobody asked."""
    keys = [("acme", f"m{number}", "1.0.0", "predictions") for number in range(150)]
    ended(tmp_path, dict.fromkeys(keys, 1))
    living = {key[:3] for key in keys}
    fold(tmp_path, NOW, living=living)
    assert len(total(tmp_path)) == 150
    ended(tmp_path, {KEY: 1})
    fold(tmp_path, NOW + 30 * DAY, living=living)
    assert set(keys) <= set(total(tmp_path))


def test_a_version_that_was_idle_is_kept_from_the_end_of_its_last_process(tmp_path: Path) -> None:
    ended(tmp_path, {KEY: 1000})
    fold(tmp_path, NOW)
    ended(tmp_path, {KEY: 0})
    fold(tmp_path, NOW + 8 * DAY)
    assert total(tmp_path) == {KEY: [1000]}


def test_while_a_process_counts_in_vain_nothing_is_told(tmp_path: Path) -> None:
    """Half the counts would be wrong ones; once it has ended, the others go on."""
    counts = Counts(tmp_path)
    counts.row(KEY, 1)[0] += 1
    counts._fail(tmp_path, OSError(28, "No space left on device"))  # noqa: SLF001  as if the next page did not fit
    with pytest.raises(ValueError, match="a process cannot write what it counts"):
        total(tmp_path)
    fold(tmp_path, NOW)
    with pytest.raises(ValueError, match="a process cannot write what it counts"):
        total(tmp_path)
    counts.close()
    fold(tmp_path, NOW)
    assert total(tmp_path) == {KEY: [1]}
    assert names(tmp_path) == ["base.json", "lock"]


def test_a_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    counts = Counts(tmp_path / "metrics")
    counts.row(KEY, 1)
    shutil.rmtree(tmp_path / "metrics")
    with pytest.raises(OSError, match="was removed"):
        counts.total()


def test_a_base_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text('{"format": 1}')
    ended(tmp_path, {KEY: 1})
    with pytest.raises(ValueError, match=r"base\.json: not what this server wrote \(KeyError\) - remove the file"):
        fold(tmp_path, NOW)


def test_what_living_processes_hold_is_told_and_not_kept(tmp_path: Path) -> None:
    key = (*KEY[:3], HELD)
    counts = Counts(tmp_path)
    counts.row(key, 1)[0] += 2

    assert total(tmp_path) == {key: [2]}
    counts.close()
    fold(tmp_path, NOW)
    assert total(tmp_path) == {}


def test_a_fold_that_is_killed_at_any_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    ended(tmp_path, {KEY: 1})
    fold(tmp_path, NOW)
    ended(tmp_path, {KEY: 1})
    counted, code, steps = 2, -9, 0
    while code == -9:
        ended(tmp_path, {KEY: 1})
        counted += 1
        code = run(CUT_OFF, tmp_path, steps).returncode
        assert total(tmp_path) == {KEY: [counted]}
        fold(tmp_path, NOW)
        assert total(tmp_path) == {KEY: [counted]}
        assert {"base.json", "lock"} >= {name for name in names(tmp_path) if not name.startswith(".")}
        steps += 1

    ended(tmp_path, {KEY: 1})
    fold(tmp_path, NOW)
    assert names(tmp_path) == ["base.json", "lock"]
    assert code == 0
    assert steps >= 8, "lock, base, files, the new base, and the removal"


def test_readers_beside_folds_never_see_less_or_too_much(tmp_path: Path) -> None:
    begun, over, seen = [0], threading.Event(), [0]

    def read() -> None:
        while not over.is_set():
            found = total(tmp_path).get(KEY, [0])[0]
            assert seen[-1] <= found <= begun[0]
            seen.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(150):
        begun[0] += 1
        ended(tmp_path, {KEY: 1})
        fold(tmp_path, NOW)
    over.set()
    reader.join()

    assert len(seen) > 10
    assert total(tmp_path) == {KEY: [150]}


def test_a_file_grows_by_pages(tmp_path: Path) -> None:
    counts = Counts(tmp_path)
    keys = [("acme", "m" * 128, str(number), "predictions") for number in range(500)]
    for number, key in enumerate(keys):
        counts.row(key, 40)[39] += number
    assert counts.row(keys[7], 40)[39] == 7

    assert {key: cells[39] for key, cells in total(tmp_path).items()} == {key: number for number, key in enumerate(keys)}
    assert counts.fault == ""


def test_a_page_that_was_not_written_to_its_end_holds_nothing(tmp_path: Path) -> None:
    ended(tmp_path, {KEY: 1})
    (path,) = tmp_path.glob("*.counts")
    with path.open("ab") as file:
        file.write(bytes(100))

    fold(tmp_path, NOW)
    assert total(tmp_path) == {KEY: [1]}


@pytest.mark.parametrize("begin", [0, 20], ids=["of a row", "of its key"])
def test_what_a_power_cut_took_is_lost_and_nothing_else(tmp_path: Path, begin: int) -> None:
    counts = Counts(tmp_path)
    counts.row(KEY, 1)[0] += 1
    length = counts._used  # noqa: SLF001  where the next row begins
    counts.row((*KEY[:3], "lost"), 1)[0] += 1
    counts.close()
    (path,) = tmp_path.glob("*.counts")
    with path.open("r+b") as file:
        file.seek(length + begin)
        file.write(bytes(4096 - length - begin))

    assert total(tmp_path) == {KEY: [1]}
    fold(tmp_path, NOW)
    assert total(tmp_path) == {KEY: [1]}


def test_series_that_nobody_has_any_more_are_dropped_after_a_week(tmp_path: Path) -> None:
    living = Counts(tmp_path)
    living.row(("acme", "delays", "alive", "predictions"), 1)
    ended(tmp_path, {("acme", "delays", version, "predictions"): 1 for version in ("alive", "old")})
    fold(tmp_path, NOW)
    ended(tmp_path, {("acme", "delays", "new", "predictions"): 1})
    fold(tmp_path, NOW + 7 * DAY)
    assert {key[2] for key in total(tmp_path)} == {"alive", "old", "new"}
    ended(tmp_path, {})
    fold(tmp_path, NOW + 7 * DAY + 1)

    assert {key[2]: cells for key, cells in total(tmp_path).items()} == {"alive": [1], "new": [1]}


def test_the_folder_stays_small_over_thousands_of_deployments(tmp_path: Path) -> None:
    for number in range(0, 3_000, 100):
        ended(tmp_path, {("acme", "delays", f"{one:05}", "predictions"): 1 for one in range(number, number + 100)})
        fold(tmp_path, NOW + number)

    assert sorted(key[2] for key in total(tmp_path)) == [f"{number:05}" for number in range(2_900, 3_000)]
    assert names(tmp_path) == ["base.json", "lock"]


def test_types_of_errors_without_an_end_are_counted_as_others(tmp_path: Path) -> None:
    for number in range(300):
        ended(tmp_path, {(*KEY[:3], "error", f"Error{number}"): 1})
        fold(tmp_path, NOW)
    found = total(tmp_path)

    assert len(found) == 101
    assert sum(cells[0] for cells in found.values()) == 300
    assert found[(*KEY[:3], "error", OTHER)] == [200]


def test_a_folder_that_takes_no_file_costs_the_counts_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    counts = Counts(tmp_path / "file" / "metrics")
    counts.row(KEY, 1)[0] += 1

    assert counts.row(KEY, 1)[0] == 1
    assert counts.fault == f"{tmp_path}/file/metrics cannot be written (Not a directory), so the counts of a process are lost"
    assert [record.getMessage() for record in caplog.records] == [f"metrics: {counts.fault}"]


def test_a_full_disk_costs_the_counts_and_no_more(tmp_path: Path) -> None:
    done = run(FULL, tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("cannot be written (File too large), so the counts of a process are lost")
    assert len(done.stderr.splitlines()) == 1


def test_in_memory_alone_a_process_tells_its_own_counts() -> None:
    counts = Counts(None)
    counts.row(KEY, 2)[1] += 3
    assert counts.total() == {KEY: [0, 3]}


def test_a_base_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text(json.dumps({"format": 2}))
    ended(tmp_path, {KEY: 1})
    with pytest.raises(ValueError, match=r"base.json: format 2 is not known to this release - install a newer one"):
        fold(tmp_path, NOW)
    with pytest.raises(ValueError, match="format 2"):
        total(tmp_path)

    assert len(list(tmp_path.glob("*.counts"))) == 1
