from datetime import timedelta
from typing import Any

import attrs
import pytest
from attrs import evolve

from mlops_core.config import settings
from mlops_core.config.settings import (
    AlertRule,
    CanarySettings,
    DriftSettings,
    EnvironmentSettings,
    ModelsSettings,
    MonitoringSettings,
    PipelineSettings,
    SampleSettings,
    ScheduleSettings,
    Settings,
    SignSettings,
    StageSettings,
    Use,
)

FULL = Settings(
    project="flights",
    tenant="acme",
    trackers=(Use("mlflow", {"uri": "${URI}"}, "tracker", "mlops.yaml:1:1"),),
    registry=Use("sqlite"),
    sign=SignSettings("${file:k}", ("${file:k.pub}",), require=True),
    environments={"staging": EnvironmentSettings(Use("local", {"port": 1}), "${file:t}", timedelta(hours=2), watch=True)},
    channels={"ops": Use("log")},
    monitoring=MonitoringSettings(
        (Use("sqlite"),),
        "sync",
        (AlertRule("errors", "error_rate > 0.02", timedelta(minutes=5), notify=("ops",)),),
        0.1,
        sample=SampleSettings(("a",), 0.5),
    ),
    drift=DriftSettings((Use("ks"),), 0.01, "holm", 0.2, {"a": "text"}, ("b",), "${KEY}", ScheduleSettings(false_alarms="1 per 30d")),
    models=ModelsSettings(("joblib",)),
    formats=(Use("json"), Use("skops", {"trusted": ["mine.Model"]})),
    observers=(Use("x:Y"),),
    executor="process",
    pipeline=PipelineSettings(
        "p", "m", (StageSettings("training", Use("sklearn"), {"a": 1}, {"x": "y"}, ("o",), 2, timedelta(minutes=1)),), 7
    ),
)


def test_settings_cross_to_another_process_and_back() -> None:
    assert Settings.from_dict(FULL.to_dict()) == FULL
    assert Settings.from_dict(Settings().to_dict()) == Settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Settings().tenant = "x"  # type: ignore[misc]  # the point of the test
    assert evolve(FULL, tenant="other").tenant == "other"


def test_signatures_cannot_be_required_of_nobody() -> None:
    with pytest.raises(ValueError, match="without a key would refuse every version"):
        SignSettings(require=True)
    assert SignSettings(require=True, public=("pem",)).require


def test_a_private_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings(sign=SignSettings("secret")))


def test_references_stay_as_they_are_written() -> None:
    assert FULL.trackers[0].options == {"uri": "${URI}"}
    assert FULL.environments["staging"].tokens == "${file:t}"


@pytest.mark.parametrize("cls", [getattr(settings, name) for name in settings.__all__ if name not in {"SIGN", "Use", "StageSettings"}])
def test_every_setting_is_explained(cls: Any) -> None:
    silent = {one.name for one in attrs.fields(cls) if not one.metadata.get("help")}
    assert silent <= {"deployer"}


def test_the_keys_of_a_stage_are_those_that_no_plugin_may_take() -> None:
    from mlops_core.plugins import RESERVED

    assert {one.name for one in attrs.fields(StageSettings)} - {"options", "at"} == RESERVED


def test_a_canary_steps_up_to_all_traffic_by_default() -> None:
    assert CanarySettings().steps[-1] == 1.0
