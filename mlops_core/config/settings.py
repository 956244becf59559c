"""The frozen configuration: what ``mlops.yaml`` says, structured and checked, secrets still unresolved.

Durations are ``timedelta``, shares are fractions. ``Use.options`` stay as written (``${VAR}`` unresolved) until a backend is built. A
field's metadata holds its help and, where the file spells it otherwise, its ``key``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from attrs import field, frozen

from mlops_core.config import rules
from mlops_core.records import Record
from mlops_core.structure import SHARE, Check, duration, duration_text

__all__ = [
    "SIGN",
    "AlertRule",
    "CanarySettings",
    "DriftSettings",
    "EnvironmentSettings",
    "GroundTruthSettings",
    "ModelsSettings",
    "MonitoringSettings",
    "PipelineSettings",
    "SampleSettings",
    "ScheduleSettings",
    "Settings",
    "SignSettings",
    "SloSettings",
    "StageSettings",
    "Use",
]

SIGN: Final = "registry.sign"
"""Where the file has it: beside the options of the registry's plugin, which does not hear of it."""

_NAME: Final = Check(rules.name)
_COUNT: Final = Check(rules.not_negative)
_SPAN: Final = Check(rules.span)
_LONGER: Final = Check(rules.longer_span)
_FORMATS: Final = ("json", "npy", "arrow", "parquet", "skops", "onnx", "safetensors", "mlflow", "joblib", "mlflow-pyfunc")


def _says(text: str, key: str | None = None) -> dict[str, str]:
    return {"help": text} if key is None else {"help": text, "key": key}


@frozen
class Use(Record):
    """A plugin named by the configuration and the options for it. ``at`` is ``file:line:column`` of the name; ``key`` the key path."""

    use: str
    options: Mapping[str, Any] = field(factory=dict)
    key: str = ""
    at: str = ""


@frozen
class EnvironmentSettings(Record):
    """A deployment target: a deployer, and what the core adds to it."""

    deployer: Use
    tokens: str | None = field(default=None, metadata=_says("where the tokens of clients are, such as ${file:tokens}"))
    rollback_window: Annotated[timedelta, _SPAN] = field(
        default=timedelta(hours=1), metadata=_says("how long a replaced version stays loaded; 0s releases it")
    )
    watch: bool = field(default=False, metadata=_says("run the control loop beside the server"))


@frozen
class AlertRule(Record):
    """A threshold rule: ``when`` is one comparison, such as ``error_rate > 0.02``, over ``window``, that must hold for ``hold_for``.

    What fires ends when ``clear`` holds, or, without one, ``when`` no longer does, and that for ``keep``. ``no_data``: a window without
    data ends what fires (``ok``), counts as the condition (``alert``), or changes nothing (``keep``).
    """

    name: Annotated[str, _NAME] = field(metadata=_says("what the rule is called"))
    when: Annotated[str, Check(rules.condition)] = field(metadata=_says("the comparison, such as error_rate > 0.02"))
    hold_for: Annotated[timedelta, _SPAN] = field(default=timedelta(0), metadata=_says("how long it must hold before it fires", "for"))
    window: Annotated[timedelta, _LONGER] = field(default=timedelta(minutes=5), metadata=_says("the time that the figure is taken over"))
    model: str | None = field(default=None, metadata=_says("one model only; every model by default"))
    environment: str | None = field(default=None, metadata=_says("one environment only; every one by default"))
    notify: tuple[str, ...] = field(default=(), metadata=_says("the channels that are told"))
    clear: Annotated[str, Check(rules.condition)] | None = field(
        default=None,
        metadata=_says("the comparison of the same metric that ends it, such as error_rate < 0.01; none: that 'when' is not met"),
    )
    keep: Annotated[timedelta, _SPAN] = field(default=timedelta(0), metadata=_says("how long it must be over before it ends"))
    no_data: Literal["ok", "alert", "keep"] = field(default="ok", metadata=_says("what a window without data does"))


@frozen
class SampleSettings(Record):
    """``monitoring.sample``: which features of which share of the predictions are kept, and for how long."""

    columns: tuple[str, ...] = field(metadata=_says("the features and outputs that may be kept, '*' for all; none are without being named"))
    rate: Annotated[float, SHARE, Check(rules.some_share)] = field(default=0.01, metadata=_says("the share of the predictions"))
    retention: Annotated[timedelta, _LONGER] = field(default=timedelta(days=7), metadata=_says("how long rows are kept"))

    def __attrs_post_init__(self) -> None:
        if not self.columns:
            text = "'columns' names none, so nothing would be kept - name the features to keep, or leave 'sample' out"
            raise ValueError(text)


@frozen
class GroundTruthSettings(Record):
    """``monitoring.ground_truth``: which predictions are logged, for the outcomes that become known later, and how they are compared."""

    rate: Annotated[float, SHARE, Check(rules.some_share)] = field(metadata=_says("the share of the predictions that is logged"))
    retention: Annotated[timedelta, _LONGER] = field(
        default=timedelta(days=30), metadata=_says("how long a logged prediction waits for its outcome")
    )
    task: Literal["classification", "regression"] | None = field(
        default=None, metadata=_says("how labels are read; by default text and whole numbers are classes, other numbers are not")
    )
    positive: str = field(default="", metadata=_says("the class that scores are of; by default 1 where labels are 0 and 1"))


@frozen
class SloSettings(Record):
    """``monitoring.slo``: the share of predictions that succeed over a period; what may fail of them is the error budget."""

    success: Annotated[float, SHARE, Check(rules.level)] = field(
        metadata=_says("the share of predictions that are to succeed, such as 99.9%")
    )
    over: Annotated[timedelta, Check(rules.period)] = field(default=timedelta(days=30), metadata=_says("the time that it is promised for"))
    notify: tuple[str, ...] = field(default=(), metadata=_says("the channels that are told"))
    model: str | None = field(default=None, metadata=_says("one model only; every model by default"))
    environment: str | None = field(default=None, metadata=_says("one environment only; every one by default"))
    min_failures: Annotated[int, Check(rules.some)] = field(
        default=10, metadata=_says("failures that an alert needs in its longer window, so that chance alone is none")
    )


_RETENTION: Final = {"1s": timedelta(hours=1), "10s": timedelta(days=1), "1m": timedelta(days=30), "1h": timedelta(days=730)}


@frozen
class MonitoringSettings(Record):
    """``monitoring``: where segments go, and the alert rules."""

    sinks: tuple[Use, ...] = field(default=(), metadata=_says("where measurements go; the first answers questions"))
    durability: Literal["flush", "sync"] = field(
        default="flush", metadata=_says("flush loses at most 0.1 s to a killed process, sync nothing; both may lose moments to a power cut")
    )
    alerts: tuple[AlertRule, ...] = field(default=(), metadata=_says("alert rules"))
    max_error_rate: Annotated[float, SHARE] = field(default=0.05, metadata=_says("a model with more errors is unhealthy"))
    health_window: Annotated[timedelta, _LONGER] = field(
        default=timedelta(minutes=5), metadata=_says("the time that health is judged over")
    )
    sample: SampleSettings | None = field(default=None, metadata=_says("which features of live predictions are kept, for drift checks"))
    ground_truth: GroundTruthSettings | None = field(
        default=None, metadata=_says("which predictions are logged, to be compared with their outcomes")
    )
    retention: Mapping[Annotated[str, Check(rules.written_span)], Annotated[timedelta, _LONGER]] = field(
        factory=_RETENTION.copy,
        metadata=_says("how long figures are kept by resolution, such as 1m: 30d; the longest is when they are erased"),
    )
    slo: SloSettings | None = field(default=None, metadata=_says("an objective; alerts tell where its error budget is spent too fast"))

    def __attrs_post_init__(self) -> None:
        if not self.retention:
            text = "'retention' keeps nothing - name resolutions and how long each is kept, such as {1m: 30d}"
            raise ValueError(text)
        for (width, keep), (wider, longer) in pairwise(self.levels):
            if keep >= longer or wider == width or wider % width:
                names = [f"{duration_text(one)}: {duration_text(kept)}" for one, kept in ((width, keep), (wider, longer))]
                text = f"'retention' does not rise from {names[0]} to {names[1]} - keep coarser figures longer, in whole multiples"
                raise ValueError(text)
        if self.levels[0][1] < self.levels[0][0]:
            raise ValueError("'retention' keeps its finest figures for less than one of them - keep them longer")
        if self.slo is not None and self.slo.over > self.levels[-1][1]:
            over, kept = duration_text(self.slo.over), duration_text(self.levels[-1][1])
            raise ValueError(f"'slo.over' is {over}, and 'retention' ends at {kept} - keep figures longer")

    @property
    def levels(self) -> tuple[tuple[timedelta, timedelta], ...]:
        """Resolutions and how long each is kept, the finest first."""
        return tuple(sorted((duration(width), keep) for width, keep in self.retention.items()))


@frozen
class ScheduleSettings(Record):
    """``drift.schedule``: a check of what was sampled in each model's latest ``window``, every ``every``."""

    every: Annotated[timedelta, _LONGER] = field(default=timedelta(days=1), metadata=_says("the time from one check to the next"))
    window: Annotated[timedelta, _LONGER] | None = field(default=None, metadata=_says("the time that a check looks back over; none: every"))
    false_alarms: Annotated[str, Check(rules.alarms)] | None = field(
        default=None,
        metadata=_says(
            "how many false alarms of a model in an environment are accepted, such as 1 per 30d; none: drift.alpha of the checks"
        ),
    )

    def __attrs_post_init__(self) -> None:
        if self.level(0.5) >= 1:
            text = f"'false_alarms: {self.false_alarms}' allows one in each check every {duration_text(self.every)} - accept fewer"
            raise ValueError(text)

    def level(self, alpha: float) -> float:
        """Of each check: the accepted false alarms per time, times the time of a check; ``alpha`` without a rate."""
        if self.false_alarms is None:
            return alpha
        count, per = rules.rate(self.false_alarms)
        return count * (self.every / per)


@frozen
class DriftSettings(Record):
    """``drift``: which tests run and when they count. ``min_effect`` is the practical threshold of the effect size."""

    tests: tuple[Use, ...] = field(default=(), metadata=_says("the tests of a check"))
    alpha: Annotated[float, SHARE, Check(rules.level)] = field(default=0.05, metadata=_says("the share of false alarms that is accepted"))
    correction: Literal["benjamini-hochberg", "benjamini-yekutieli", "bonferroni", "holm", "none"] = field(
        default="benjamini-hochberg", metadata=_says("how p-values of many columns and tests are adjusted")
    )
    min_effect: Annotated[float, _COUNT] = field(default=0.0, metadata=_says("drift with a smaller effect size is not reported"))
    schema: Mapping[str, Literal["number", "datetime", "duration", "boolean", "category", "text"]] = field(
        factory=dict, metadata=_says("kinds of columns that are not those of their values, such as comment: text")
    )
    keep: tuple[str, ...] = field(default=(), metadata=_says("columns whose rows and categories a stored reference may hold, '*' for all"))
    hash_key: str | None = field(
        default=None, repr=False, metadata=_says("a secret that hashes the other columns' categories, such as ${file:drift.key}")
    )
    schedule: ScheduleSettings | None = field(default=None, metadata=_says("checks of live models by the control loop"))

    def __attrs_post_init__(self) -> None:
        if self.schedule is not None and self.schedule.false_alarms is not None and self.correction == "none":
            text = "'correction: none' keeps no rate of false alarms - use another, or leave 'schedule.false_alarms' out"
            raise ValueError(text)


@frozen
class ModelsSettings(Record):
    """``models``: formats that may run code on load."""

    trust: tuple[str, ...] = field(default=(), metadata=_says("formats that may run code when they are loaded, such as joblib"))


@frozen
class CanarySettings(Record):
    """A canary by steps of traffic (fractions, the last is 1.0). ``slo`` maps a metric to its bound, such as error_rate 0.01."""

    steps: Annotated[tuple[Annotated[float, SHARE], ...], Check(rules.steps)] = field(
        default=(0.05, 0.25, 1.0), metadata=_says("shares of traffic, rising to 100%")
    )
    step_time: Annotated[timedelta, _SPAN] = field(default=timedelta(minutes=2), metadata=_says("the least time of a step"))
    min_requests: Annotated[int, _COUNT] = field(default=100, metadata=_says("requests that a step must see"))
    deadline: Annotated[timedelta, _LONGER] = field(default=timedelta(hours=1), metadata=_says("when at_deadline happens"))
    at_deadline: Literal["hold", "promote", "rollback"] = field(default="hold", metadata=_says("what happens at the deadline"))
    slo: Mapping[str, float] = field(factory=dict, metadata=_says("bounds of metrics, such as error_rate: 1%"))
    alpha: Annotated[float, SHARE, Check(rules.some_share)] = field(
        default=0.01, metadata=_says("the probability of a rollback although the canary is no worse, over the whole rollout")
    )
    margin: float = field(default=1.5, metadata=_says("how many times the error rate of the deployment beside it a promotion rules out"))


@frozen
class SignSettings(Record):
    """``registry.sign``: Ed25519 keys as PEM text, usually ``${file:...}``, unresolved. The public half of ``key`` is always trusted."""

    key: str | None = field(default=None, repr=False, metadata=_says("the private key that signs versions, such as ${file:model.key}"))
    public: tuple[str, ...] = field(default=(), metadata=_says("public keys whose signatures are trusted, such as ${file:release.pub}"))
    require: bool = field(default=False, metadata=_says("refuse every version that no trusted key has signed"))

    def __attrs_post_init__(self) -> None:
        if self.require and self.key is None and not self.public:
            text = "'require' without a key would refuse every version - add 'key', or 'public'"
            raise ValueError(text)


@frozen
class StageSettings(Record):
    """One stage of the pipeline: keys that belong to the core, and the stage's options. ``use`` None: a built-in or registered stage."""

    name: str
    use: Use | None = None
    options: Mapping[str, Any] = field(factory=dict)
    inputs: Mapping[str, str] = field(factory=dict, metadata=_says("inputs that take another name's value"))
    outputs: tuple[Annotated[str, _NAME], ...] = field(default=(), metadata=_says("names of the values that the stage answers"))
    retries: Annotated[int, _COUNT] = field(default=0, metadata=_says("further attempts after a failure"))
    timeout: Annotated[timedelta, _LONGER] | None = field(default=None, metadata=_says("the longest time of an attempt"))
    when: str | None = field(default=None, metadata=_says("a condition on earlier metrics; where it is false, the stage is skipped"))
    on_failure: Literal["stop", "continue", "rollback"] = field(default="stop", metadata=_says("what a failure does to the run"))
    cache: bool = field(default=False, metadata=_says("reuse outputs of the same options, code and inputs"))
    executor: str | None = field(default=None, metadata=_says("where this stage runs, instead of the project's executor"))
    at: str = ""


@frozen
class PipelineSettings(Record):
    """``pipeline``: its name, the registered model it makes, and its stages in the order written."""

    name: Annotated[str, _NAME] = field(default="pipeline", metadata=_says("what the pipeline is called"))
    model: Annotated[str, Check(rules.optional_name)] = field(default="", metadata=_says("the registered model that it makes"))
    stages: tuple[StageSettings, ...] = field(default=(), metadata=_says("the stages by name, in their order"))
    seed: int = field(default=0, metadata=_says("seed of what the stages draw at random"))


@frozen
class Settings(Record):
    """A whole configuration. What a file leaves out is as in the embedded stack in ``./.mlops``."""

    project: Annotated[str, _NAME] = field(default="project", metadata=_says("what the project is called"))
    tenant: Annotated[str, _NAME] = field(default="default", metadata=_says("whom it works for where no tenant is named"))
    trackers: tuple[Use, ...] = field(
        default=(), metadata=_says("where experiments are tracked; of several, the first answers searches", "tracker")
    )
    registry: Use | None = field(default=None, metadata=_says("where versions, aliases, deployments and runs are kept"))
    sign: SignSettings = field(factory=SignSettings, metadata=_says("who signs versions, and who is trusted", SIGN))
    environments: Mapping[Annotated[str, _NAME], EnvironmentSettings] = field(
        factory=dict, metadata=_says("where models are deployed to, each with its deployer")
    )
    channels: Mapping[Annotated[str, _NAME], Use] = field(factory=dict, metadata=_says("where alerts are sent, by name"))
    monitoring: MonitoringSettings = field(factory=MonitoringSettings, metadata=_says("measurements, health and alerts"))
    drift: DriftSettings = field(factory=DriftSettings, metadata=_says("drift checks"))
    models: ModelsSettings = field(factory=ModelsSettings, metadata=_says("how models are loaded"))
    formats: tuple[Use, ...] = field(
        default=tuple(map(Use, _FORMATS)),
        metadata=_says("formats of values and models in the order asked; of the default, those that are installed"),
    )
    observers: tuple[Use, ...] = field(default=(), metadata=_says("who listens to events and guards deployments"))
    executor: str = field(default="inline", metadata=_says("where stages run; one with a timeout needs an executor that can kill"))
    pipeline: PipelineSettings | None = field(default=None, metadata=_says("the pipeline"))
