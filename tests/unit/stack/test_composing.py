import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_core.clock import SystemClock
from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import NameRuleError
from mlops_core.stack import compose
from mlops_core.testing.clock import FakeClock


def test_settings_become_a_stack(tmp_path: Path) -> None:
    clock = FakeClock()
    stack = compose(Settings(tenant="acme"), tmp_path, profile="x", clock=clock)
    assert (stack.root, stack.tenant, stack.profile, stack.clock) == (tmp_path, "acme", "x", clock)
    assert isinstance(compose(Settings(), tmp_path).clock, SystemClock)


def test_a_tenant_may_be_given(tmp_path: Path) -> None:
    assert compose(Settings(tenant="acme"), tmp_path, tenant="other").tenant == "other"
    with pytest.raises(NameRuleError, match="tenant: 'a b' is not a name"):
        compose(Settings(), tmp_path, tenant="a b")


def test_the_root_is_made_absolute_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = compose(Settings(), "project")
    monkeypatch.chdir("/")
    assert stack.root == tmp_path / "project"


def test_composing_opens_nothing(tmp_path: Path) -> None:
    """No file, no thread, no library of a backend: not even plugins are looked for."""
    program = (
        "import sys, threading; from mlops_core.config.settings import Settings, Use; from mlops_core.stack import compose\n"
        "stack = compose(Settings(trackers=(Use('mlflow'),), registry=Use('sqlite')), 'here')\n"
        "len(stack.parts.trackers), stack.workdir\n"
        "heavy = {'mlflow', 'sqlalchemy', 'numpy', 'cattrs', 'ruamel'} & set(sys.modules)\n"
        "print(sorted(heavy), threading.active_count())"
    )
    environment = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout == "[] 1\n"
    assert not (tmp_path / "here").exists()


def test_settings_made_in_python_are_composed_too(tmp_path: Path) -> None:
    stack = compose(Settings(channels={"ops": Use("log", {"level": "error"})}), tmp_path)
    assert repr(stack.parts.channels["ops"]) == "LogAlert(level='error')"
