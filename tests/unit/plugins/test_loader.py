import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mlops_core import hookspecs
from mlops_core.exceptions import PluginError, PluginNotFoundError
from mlops_core.plugins import GROUPS, Loader
from mlops_core.roles import DriftTest, Stage
from tests.unit.conftest import Strangers

CLASSES = {
    "tracker": "Tracker",
    "registry": "RegistryStore",
    "deployer": "Deployer",
    "sink": "MonitorSink",
    "drift": "DriftTest",
    "stage": "Stage",
    "format": "Format",
    "executor": "Executor",
    "alert": "AlertChannel",
    "observer": "Observer",
}


def source_of(role: str, name: str = "mine") -> str:
    """A whole plugin: every abstract method, one option, the hook."""
    return f"""
        from attrs import define, field
        from mlops_core.hookspecs import hookimpl
        from mlops_core.roles import {CLASSES[role]}

        def absent(self, context):
            raise NotImplementedError

        @define(eq=False)
        class Mine({CLASSES[role]}):
            contract = 1
            name = {name!r}
            level: int = field(default=3, metadata={{"help": "how much"}})
            locals().update(dict.fromkeys({CLASSES[role]}.__abstractmethods__, absent))

        @hookimpl
        def {GROUPS[role].hook}():
            return Mine
    """


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


@pytest.mark.parametrize("role", GROUPS)
def test_a_strangers_plugin_of_every_group_is_loaded_by_its_name(strangers: Strangers, loader: Loader, role: str) -> None:
    strangers.plugin(role, "mine", source_of(role))
    loaded = loader.load(role, "mine")
    assert issubclass(loaded.cls, GROUPS[role].types)
    assert (loaded.source, loaded.where) == ("acme-extras 1.2", f"{role}.mine (acme-extras 1.2)")
    assert loader.load(role, "mine") is loaded


@pytest.mark.parametrize("role", GROUPS)
def test_a_strangers_module_that_raises_is_one_line_in_every_group(strangers: Strangers, loader: Loader, role: str) -> None:
    strangers.plugin(role, "mine", "raise RuntimeError('two\\nlines')")
    with pytest.raises(PluginError) as caught:
        loader.load(role, "mine")
    assert caught.value.message == f"{role}.mine (acme-extras 1.2): raises at import: RuntimeError: two lines"
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_broken_plugin_harms_only_who_names_it(strangers: Strangers, loader: Loader) -> None:
    strangers.plugin("executor", "bomb", "raise SystemExit(4)")
    assert loader.load("executor", "inline").name == "inline"
    with pytest.raises(PluginError, match="raises at import: SystemExit: 4"):
        loader.load("executor", "bomb")


def test_a_module_that_a_test_tool_would_skip_is_one_line(strangers: Strangers, loader: Loader) -> None:
    """What such a tool raises is no ``Exception``."""
    strangers.plugin("drift", "mine", "class Skipped(BaseException): ...\nraise Skipped('needs a GPU')")
    with pytest.raises(PluginError, match=r"raises at import: Skipped: needs a GPU$"):
        loader.load("drift", "mine")
    (loader.root / "skips.py").write_text("class Skipped(BaseException): ...\nraise Skipped('needs a GPU')\n", encoding="utf-8")
    with pytest.raises(PluginError, match=r"skips\.py cannot be imported: Skipped: needs a GPU$"):
        loader.load("drift", "./skips.py:Test")


def test_a_person_may_interrupt_an_import(strangers: Strangers, loader: Loader) -> None:
    strangers.plugin("drift", "mine", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        loader.load("drift", "mine")
    (loader.root / "slow.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        loader.load("drift", "./slow.py:Test")


@pytest.mark.parametrize("role", GROUPS)
def test_a_name_that_nobody_offers_is_not_found(loader: Loader, role: str) -> None:
    with pytest.raises(PluginNotFoundError, match=f"{role}.no-such-thing: no installed distribution offers this plugin"):
        loader.load(role, "no-such-thing")


def hook(body: str, *, role: str = "drift", returns: str = "Mine", arguments: str = "", marker: str = "@hookimpl") -> str:
    return f"""
        from typing import ClassVar
        from attrs import define, field
        from mlops_core.hookspecs import hookimpl
        from mlops_core.roles import {CLASSES[role]}, Observer

        {body}

        {marker}
        def {GROUPS[role].hook}({arguments}):
            return {returns}
    """


WRONG = {
    "a dependency that is missing": (
        "import not_there_at_all",
        r"its dependency 'not_there_at_all' is not installed - install it, or reinstall acme",
    ),
    "a name that its dependency has not": ("from json import nothing_there", "raises at import: ImportError: cannot import name"),
    "a syntax error": ("def", "raises at import: SyntaxError"),
    "no hook": ("x = 1", r"it implements no hook - write mlops_drift_test, marked with @hookimpl"),
    "a hook that is not marked": (
        hook("", returns="None", marker=""),
        r"its function mlops_drift_test is not marked - put @hookimpl above it",
    ),
    "a hook of another role": (hook("", role="sink", returns="None"), r"it implements mlops_monitor_sink only, which is another role's"),
    "a hook that does not exist": (
        "from mlops_core.hookspecs import hookimpl\n@hookimpl\ndef mlops_drift_tests(): pass",
        r"there is no hook 'mlops_drift_tests' - did you mean 'mlops_drift_test'\?",
    ),
    "an argument that does not exist": (hook("", arguments="nme", returns="None"), r"Argument\(s\) \{'nme'\} are declared in the hookimpl"),
    "a hook that raises": (hook("", returns="1 / 0"), r"its hook mlops_drift_test raised ZeroDivisionError: division by zero"),
    "a hook that exits": (hook("import sys", returns="sys.exit(5)"), r"its hook mlops_drift_test raised SystemExit: 5"),
    "nothing": (hook("", returns="None"), "handed over None instead of a class"),
    "a class of another role": (hook("", returns="Observer"), "Observer is no DriftTest or StreamTest - derive it"),
    "a lifecycle hook beside it": (
        hook("@hookimpl\n        def run_started(event): pass", returns="None"),
        "implements run_started beside its class - lifecycle hooks are methods of an observer",
    ),
}


@pytest.mark.parametrize(("source", "cause"), WRONG.values(), ids=WRONG)
def test_a_plugin_that_breaks_the_rules_is_one_line(strangers: Strangers, loader: Loader, source: str, cause: str) -> None:
    strangers.plugin("drift", "mine", source)
    with pytest.raises(PluginError, match=cause) as caught:
        loader.load("drift", "mine")
    assert caught.value.message.startswith("drift.mine (acme-extras 1.2): ")
    assert "\n" not in caught.value.message
    assert not isinstance(caught.value, PluginNotFoundError)


def test_an_entry_point_without_its_module_is_told_from_a_missing_dependency(strangers: Strangers, loader: Loader) -> None:
    strangers.distribution("acme-extras", "1.2", {"drift": {"mine": "acme_gone.inner:thing"}})
    with pytest.raises(PluginError, match=r"its module 'acme_gone' is missing - reinstall acme-extras"):
        loader.load("drift", "mine")


def test_an_entry_point_that_names_the_class_itself(strangers: Strangers, loader: Loader) -> None:
    module = strangers.module(source_of("drift"))
    strangers.distribution("acme-extras", "1.2", {"drift": {"mine": f"{module}:Mine"}})
    with pytest.raises(PluginError, match="its entry point names the class Mine - name the module that holds the hook"):
        loader.load("drift", "mine")


def test_an_entry_point_that_is_no_object_reference(strangers: Strangers, loader: Loader) -> None:
    strangers.distribution("acme-extras", "1.2", {"drift": {"mine": "not a module!"}})
    with pytest.raises(PluginError, match=r"^drift\.mine \(acme-extras 1\.2\): raises at import: "):
        loader.load("drift", "mine")


def test_a_plugin_that_failed_does_not_fail_the_next(strangers: Strangers, loader: Loader) -> None:
    """A hook that does not exist stays out of the stack's plugin manager."""
    module = strangers.module("from mlops_core.hookspecs import hookimpl\n@hookimpl\ndef mlops_nothing(): pass")
    good = strangers.module(source_of("drift"))
    strangers.distribution("acme-extras", "1.2", {"drift": {"bad": module, "mine": good}})
    for _ in range(2):
        with pytest.raises(PluginError, match="there is no hook 'mlops_nothing'"):
            loader.load("drift", "bad")
    assert loader.load("drift", "mine").cls.__name__ == "Mine"


def test_one_module_serves_several_names_by_the_hooks_argument(strangers: Strangers, loader: Loader) -> None:
    module = strangers.module(
        hook(
            """
        class Test(DriftTest):
            def compare(self, reference, current, *, rng):
                raise NotImplementedError

        @define
        class Left(Test):
            contract = 1

        @define
        class Right(Test):
            contract = 1
        """,
            arguments="name",
            returns="{'left': Left, 'right': Right}[name]",
        )
    )
    strangers.distribution("acme-extras", "1.2", {"drift": {"left": module, "right": module}})
    assert [loader.load("drift", name).cls.__name__ for name in ("left", "right", "left")] == ["Left", "Right", "Left"]


def test_one_module_serves_two_roles(strangers: Strangers, loader: Loader) -> None:
    module = strangers.module(source_of("drift") + source_of("alert").replace("Mine", "Other"))
    strangers.distribution("acme-extras", "1.2", {"drift": {"mine": module}, "alert": {"mine": module}})
    assert loader.load("drift", "mine").cls.__name__ == "Mine"
    assert loader.load("alert", "mine").cls.__name__ == "Other"


def test_two_plugins_of_one_role_do_not_answer_for_each_other(strangers: Strangers, loader: Loader) -> None:
    strangers.plugin("drift", "a", source_of("drift").replace("Mine", "A"), distribution="acme-a")
    strangers.plugin("drift", "b", source_of("drift").replace("Mine", "B"), distribution="acme-b")
    assert [loader.load("drift", name).cls.__name__ for name in "ab"] == ["A", "B"]


def test_a_module_of_several_names_answers_for_all_of_them_after_another_plugin(strangers: Strangers, loader: Loader) -> None:
    """Pluggy asks the newest first: the one that was loaded in between must not answer for the older."""
    module = strangers.module(source_of("drift").replace("Mine", "A"))
    strangers.distribution("acme-a", "1", {"drift": {"a": module, "a2": module}})
    strangers.plugin("drift", "b", source_of("drift").replace("Mine", "B"), distribution="acme-b")
    assert [loader.load("drift", name).cls.__name__ for name in ("a", "b", "a2")] == ["A", "B", "A"]


def test_an_entry_point_may_name_an_object_with_the_hook(strangers: Strangers, loader: Loader) -> None:
    source = (
        source_of("drift")
        + "\n        class Plugin:\n            @hookimpl\n            def mlops_drift_test(self): return Mine\n        plugin = Plugin()\n"
    )
    module = strangers.module(source)
    strangers.distribution("acme-extras", "1.2", {"drift": {"mine": f"{module}:plugin"}})
    assert loader.load("drift", "mine").cls.__name__ == "Mine"


def test_an_inline_class_needs_no_hook_but_keeps_the_same_contract(loader: Loader) -> None:
    (loader.root / "energy.py").write_text(
        "from attrs import define\nfrom mlops_core.roles import DriftTest\n"
        "@define\nclass Energy(DriftTest):\n    contract = 1\n    def compare(self, reference, current, *, rng): ...\n"
        "@define\nclass Careless(DriftTest):\n    def compare(self, reference, current, *, rng): ...\n",
        encoding="utf-8",
    )
    try:
        loaded = loader.load("drift", "./energy.py:Energy")
        assert issubclass(loaded.cls, DriftTest)
        assert (loaded.name, loaded.source) == ("./energy.py:Energy", "./energy.py")
        with pytest.raises(PluginError, match=r"drift './energy\.py:Careless': Careless has no 'contract'"):
            loader.load("drift", "./energy.py:Careless")
        with pytest.raises(PluginError, match="Energy is no Tracker"):
            loader.load("tracker", "./energy.py:Energy")
    finally:
        sys.modules.pop("energy", None)


def test_a_function_is_a_stage_or_a_drift_test_and_nothing_else(loader: Loader) -> None:
    (loader.root / "steps.py").write_text("def prepare(data, *, depth=3):\n    return data\n", encoding="utf-8")
    try:
        assert issubclass(loader.load("stage", "steps:prepare").cls, Stage)
        with pytest.raises(PluginError, match="handed over an object of type function instead of a class"):
            loader.load("tracker", "steps:prepare")
    finally:
        sys.modules.pop("steps", None)


def test_many_threads_load_one_plugin_once(strangers: Strangers, loader: Loader) -> None:
    strangers.plugin("drift", "slow", "import time\ntime.sleep(0.05)\n" + "\n".join(line[8:] for line in source_of("drift").splitlines()))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(loader.load("drift", "slow"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(one) for one in found}) == 1


OBSERVER = """
        from attrs import define
        from mlops_core.hookspecs import hookimpl
        from mlops_core.roles import Observer

        @define
        class Mine(Observer):
            contract = 1
            @hookimpl{mark}
            def {method}

        @hookimpl
        def mlops_observer():
            return Mine
"""


def observer(strangers: Strangers, loader: Loader, method: str, mark: str = "") -> Any:
    strangers.plugin("observer", "mine", OBSERVER.format(method=method, mark=mark))
    return loader.load("observer", "mine").cls()


def test_an_observers_hooks_are_found_by_its_name(strangers: Strangers, loader: Loader) -> None:
    mine = observer(strangers, loader, "run_started(self, event): return event")
    loader.observe("mine", mine)
    assert [*loader.listeners("run_started")] == ["mine"]
    assert loader.listeners("run_started")["mine"].function(7) == 7
    assert loader.listeners("run_finished") == {}


def test_after_an_observer_without_a_hash_other_plugins_still_load(strangers: Strangers, loader: Loader) -> None:
    mine = observer(strangers, loader, "run_started(self, event): pass")
    assert type(mine).__hash__ is None
    loader.observe("mine", mine)
    assert loader.load("executor", "inline").name == "inline"


@pytest.mark.parametrize(
    ("method", "mark", "cause"),
    [
        ("run_startd(self, event): pass", "", r"there is no hook 'run_startd' - did you mean 'run_started'\?"),
        ("run_started(self, evnt): pass", "", r"Argument\(s\) \{'evnt'\}"),
        ("run_started(self, event): yield", "(wrapper=True)", "its run_started wraps other observers"),
        ("mlops_tracker(self): pass", "", "its mlops_tracker hands over a class"),
    ],
)
def test_an_observer_with_a_wrong_hook_is_refused(strangers: Strangers, loader: Loader, method: str, mark: str, cause: str) -> None:
    mine = observer(strangers, loader, method, mark)
    with pytest.raises(PluginError, match=cause) as caught:
        loader.observe("mine", mine)
    assert caught.value.message.startswith("observer.mine: ")
    assert loader.listeners("run_started") == {}


def test_an_observer_may_be_called_as_its_module(strangers: Strangers, loader: Loader) -> None:
    module = strangers.module(OBSERVER.format(method="run_started(self, event): return event", mark=""))
    strangers.distribution("acme-extras", "1.2", {"observer": {module: module}})
    audit: Any = loader.load("observer", module).cls()
    loader.observe(module, audit)
    assert [*loader.listeners("run_started")] == [module]


def test_two_observers_that_are_equal_are_told_apart_by_a_remedy(strangers: Strangers, loader: Loader) -> None:
    mine = observer(strangers, loader, "run_started(self, event): pass")
    equal: Any = type(mine)()
    loader.observe("mine", mine)
    with pytest.raises(PluginError) as caught:
        loader.observe("mine-2", equal)
    assert caught.value.message == (
        "observer.mine-2: an equal one listens already - name it once, or decorate its class with define(eq=False)"
    )


def test_every_stack_has_a_plugin_manager_of_its_own(strangers: Strangers, loader: Loader) -> None:
    mine = observer(strangers, loader, "run_started(self, event): pass")
    loader.observe("mine", mine)
    assert Loader(loader.root).listeners("run_started") == {}


def test_a_program_that_does_not_name_a_broken_plugin_never_imports_it(strangers: Strangers, tmp_path: Path) -> None:
    """In every group at once, in a process of its own."""
    bomb = strangers.module("raise RuntimeError('imported')")
    strangers.distribution("acme-bombs", "1", {role: {"bomb": bomb} for role in GROUPS})
    program = (
        "import sys; from pathlib import Path; from mlops_core.plugins import Catalogue, Loader\n"
        "names = [one.plugin for one in Catalogue() if one.name == 'bomb']\n"
        "Loader(Path()).load('executor', 'inline')\n"
        f"print(len(names), {bomb!r} in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(strangers.folder)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.stdout, answer.stderr) == ("10 False\n", "")


def test_lifecycle_hooks_and_role_hooks_are_all_hooks() -> None:
    assert {group.hook for group in GROUPS.values()} < set(hookspecs.__all__)
