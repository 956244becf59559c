import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlops_core.pipeline.presence import Presence, dead_owner, is_dead

HOLD = """
import sys, time
from pathlib import Path
from mlops_core.pipeline.presence import Presence

Presence(Path(sys.argv[1]), "other", "acme/runs/a/1").show()
print("shown", flush=True)
time.sleep(600)
"""


def test_an_owner_is_dead_only_after_its_process_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "shown\n"
        assert not is_dead(tmp_path, "other")
        assert dead_owner(tmp_path, "acme/runs/a/1") is None
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert is_dead(tmp_path, "other")
    assert dead_owner(tmp_path, "acme/runs/a/1") == "other"
    assert dead_owner(tmp_path, "acme/runs/a/2") is None

    presence = Presence(tmp_path, "mine", "acme/runs/a/1")
    presence.show()
    presence.follow()
    presence.hide()
    assert not is_dead(tmp_path, "other"), "of an owner without a file nothing is known"


def test_an_owner_of_this_process_is_alive(tmp_path: Path) -> None:
    presence = Presence(tmp_path / "locks", "mine", "acme/runs/a/1")
    presence.show()
    assert not is_dead(tmp_path / "locks", "mine")
    presence.hide()
    presence.hide()
    assert list((tmp_path / "locks").iterdir()) == []


def test_an_owner_that_never_was_is_not_dead(tmp_path: Path) -> None:
    assert not is_dead(tmp_path, "nobody")


def test_what_died_long_ago_is_removed(tmp_path: Path) -> None:
    old, recent, unsaid = tmp_path / "old.lock", tmp_path / "recent.lock", tmp_path / "unsaid.lock"
    for path in (old, recent):
        path.write_text("acme/runs/b/1")
    unsaid.touch()
    long_ago = time.time() - 2 * 86_400
    os.utime(old, (long_ago, long_ago))
    presence = Presence(tmp_path, "mine", "acme/runs/a/1")
    presence.show()
    assert not old.exists()
    assert not unsaid.exists(), "it died before it said what it was after"
    assert recent.exists()
    presence.hide()


def test_a_look_leaves_no_lock_to_a_child_that_was_forked_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.lock").write_text("acme/runs/a/1")
    open_in_the_child: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", open_in_the_child.append)
        looks = [is_dead(tmp_path, "other"), is_dead(tmp_path, "other")]
    for handle in open_in_the_child:
        os.close(handle)
    assert looks == [True, True]
    assert len(open_in_the_child) == 2
