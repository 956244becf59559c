import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import ConfigError
from mlops_core.records import StackRef
from mlops_core.stack import compose, from_ref, locate
from tests.unit.stack.conftest import Configure

TEXT = """
    version: 1
    tenant: 1.10
    registry: {use: "backends.py:Store", url: "${STORE}"}
    pipeline: {stages: {training: {use: "backends.py:Train", depth: 3}}}
"""


def test_the_same_stack_is_composed_again(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(TEXT)
    configure("drift: {alpha: 1%}\n", "mlops.big.yaml")
    stack = locate(profile="big", tenant="other")
    monkeypatch.chdir("/")
    again = from_ref(StackRef.from_dict(stack.ref().to_dict()))
    assert again.settings == stack.settings
    assert (again.root, again.tenant, again.profile) == (stack.root, "other", "big")
    assert again.parts is not stack.parts
    assert again.ref() == stack.ref()


def test_settings_made_in_python_are_composed_again(tmp_path: Path) -> None:
    stack = compose(Settings(channels={"ops": Use("log", {"level": "error"})}), tmp_path, tenant="x")
    again = from_ref(stack.ref())
    assert (again.settings, again.tenant) == (stack.settings, "x")


def test_the_file_may_have_changed_meanwhile(configure: Configure) -> None:
    configure(TEXT)
    ref = locate().ref()
    configure("nonsense: [")
    assert from_ref(ref).tenant == "1.10"


def test_another_process_reads_the_secrets_itself(configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configure(TEXT)
    monkeypatch.setenv("STORE", "mine")
    ref = locate().ref()
    program = (
        "import json, sys; from mlops_core.records import StackRef; from mlops_core.stack import from_ref\n"
        "stack = from_ref(StackRef.from_dict(json.loads(sys.argv[1])))\n"
        "print(stack.parts.registry.url, stack.parts.stage('training').run(None, 'data'))"
    )
    command = [sys.executable, "-c", program, json.dumps(ref.to_dict())]
    answer = subprocess.run(command, cwd=tmp_path.parent, env={"STORE": "theirs"}, capture_output=True, text=True, check=True)
    assert answer.stdout == "theirs ('data', 3, 0.5)\n"


@pytest.mark.parametrize("config", [{}, {"settings": {"unheard_of": 1}}, {"settings": 5}])
def test_a_reference_of_another_release_is_refused(tmp_path: Path, config: Any) -> None:
    ref = evolve(compose(Settings(), tmp_path).ref(), config=config)
    with pytest.raises(ConfigError, match="stack: the reference holds no configuration that this release reads"):
        from_ref(ref)
