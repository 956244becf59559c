from typing import Any

import pytest
from attrs import define, field

from mlops_core.config.settings import PipelineSettings, StageSettings, Use
from mlops_core.pipeline.catalog import BUILT_IN, Catalog, Registered
from mlops_core.pipeline.monitoring_stage import MonitoringStage
from mlops_core.pipeline.validation_stage import Bound, ValidationStage
from mlops_core.records import StackRef, StageTask
from mlops_core.roles import Stage, StageContext


@define(eq=False)
class Train(Stage):
    contract = 1

    depth: int = field(default=3, metadata={"help": "levels"})

    def run(self, context: StageContext) -> Any:
        return self.depth


def function(*, depth: int = 3) -> int:
    return depth


def test_what_is_registered_comes_first_then_use_then_what_is_built_in(build: Any) -> None:
    stages = (StageSettings("training", use=Use("sklearn")), StageSettings("validation", use=Use("strict")), StageSettings("monitoring"))
    strict = Train()
    catalog = Catalog(build(pipeline=PipelineSettings(stages=stages), stages={"validation": strict}), {"training": Registered(Train)})
    assert isinstance(catalog.stage("training"), Train)
    assert catalog.stage("validation") is strict
    assert isinstance(catalog.stage("monitoring"), MonitoringStage)
    assert catalog.names() == ("training", "validation", "monitoring")
    assert catalog.stage("training") is catalog.stage("training"), "built once"


def test_every_built_in_stage_can_be_built_without_options(build: Any) -> None:
    catalog = Catalog(build())
    assert {name: catalog.knows(name) for name in BUILT_IN} == dict.fromkeys(BUILT_IN, True)
    assert [catalog.stage(name).outputs for name in BUILT_IN] == [()] * 3
    assert not catalog.knows("training")


def test_options_of_a_built_in_stage_come_from_its_entry(build: Any) -> None:
    entry = StageSettings("validation", options={"require": {"roc_auc": {"min": 0.65}}})
    stage = Catalog(build(pipeline=PipelineSettings(stages=(entry,)))).stage("validation")
    assert isinstance(stage, ValidationStage)
    assert stage.require == {"roc_auc": Bound(min=0.65)}


def test_an_entry_without_use_does_not_know_an_implementation(build: Any) -> None:
    catalog = Catalog(build(pipeline=PipelineSettings(stages=(StageSettings("training"),))))
    assert not catalog.knows("training")
    assert "no implementation of stage 'training'" in catalog.unknown(["training"])


def test_settings_given_in_python_lie_over_the_entry(build: Any) -> None:
    entry = StageSettings("training", retries=2, on_failure="continue", options={"depth": 5})
    catalog = Catalog(
        build(pipeline=PipelineSettings(stages=(entry,))), {"training": Registered.of("training", Train, {"retries": 0, "depth": 7})}
    )
    settings = catalog.settings("training")
    assert (settings.retries, settings.on_failure, settings.options) == (0, "continue", {"depth": 7})


def test_an_entry_for_another_implementation_says_nothing_about_this_one(build: Any) -> None:
    entry = StageSettings("training", use=Use("sklearn", {"estimator": "x"}), retries=2, options={"estimator": "x"})
    catalog = Catalog(build(pipeline=PipelineSettings(stages=(entry,))), {"training": Registered(Train)})
    assert catalog.settings("training") == StageSettings("training")


def test_built_in_stages_stay_in_this_process_unless_told_otherwise(build: Any) -> None:
    stages = (StageSettings("validation"), StageSettings("monitoring", executor="process"))
    catalog = Catalog(build(executor="process", pipeline=PipelineSettings(stages=stages)), {"training": Registered(Train)})
    assert [catalog.executor(name) for name in ("training", "validation", "monitoring")] == ["process", "inline", "process"]


@pytest.mark.parametrize("implementation", [Train, function])
def test_what_another_process_can_import_is_found_by_its_name(implementation: Any) -> None:
    assert Registered(implementation).function == f"{__name__}:{implementation.__name__}"


def test_what_no_process_can_import_has_no_name() -> None:
    def local() -> int:
        return 1

    assert [Registered(one).function for one in (local, Train(), lambda: 1)] == ["", "", ""]


def test_a_worker_builds_the_one_stage_that_its_task_names(build: Any, tmp_path: Any) -> None:
    (tmp_path / "given.py").write_text("def train(*, depth: int = 3):\n    return depth\n")
    task = StageTask(StackRef(str(tmp_path), "acme"), "r", "training", 1, options={"depth": 9}, function="./given.py:train")
    stage = Catalog.of_task(build(), task).stage("training")
    assert stage.run(None) == 9  # type: ignore[arg-type]  # it asks the context for nothing
    assert Catalog.of_task(build(), StageTask(StackRef("", "acme"), "r", "validation", 1)).knows("validation")
