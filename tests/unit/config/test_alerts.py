"""What alert rules say of each other and of the rest of the configuration."""

from __future__ import annotations

from mlops_core.config.alerts import alert_problems
from mlops_core.config.settings import AlertRule, EnvironmentSettings, MonitoringSettings, Settings, Use

CHANNELS = {"ops": Use("log")}


def problems(*rules: AlertRule, places: tuple[int, ...] | None = None) -> list[str]:
    settings = Settings(
        environments={"staging": EnvironmentSettings(Use("local"))}, channels=CHANNELS, monitoring=MonitoringSettings(alerts=rules)
    )
    return [f"{'.'.join(map(str, one.path[2:]))}: {one.message}" for one in alert_problems(settings, CHANNELS, places)]


def test_sound_rules() -> None:
    when = "error_rate > 1%"
    assert problems() == []
    assert problems(AlertRule("a", when, environment="staging", notify=("ops",)), AlertRule("b", when)) == []


def test_an_environment_may_be_one_that_is_recorded_by_hand_but_not_a_misspelled_one() -> None:
    assert problems(AlertRule("a", "error_rate > 1%", environment="laboratory")) == []
    assert problems(AlertRule("a", "error_rate > 1%", environment="stagng")) == [
        "0.environment: no environment 'stagng' - did you mean 'staging'?"
    ]


def test_names_and_channels_by_the_place_as_written() -> None:
    rules = (AlertRule("a", "error_rate > 1%"), AlertRule("a", "error_rate > 2%", notify=("ops", "osp")))
    assert problems(*rules, places=(1, 4)) == [
        "4.name: 'a' is taken by an earlier rule - give each rule its own name",
        "4.notify.1: no channel 'osp' - did you mean 'ops'?",
    ]
