from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from mlops_core.config.loading import documents_of, examine, find, load, read
from mlops_core.config.settings import EnvironmentSettings, MonitoringSettings, Settings, SignSettings, SloSettings, Use
from mlops_core.exceptions import ConfigError
from mlops_core.records import Threshold

DESIGNED = """
    version: 1
    project: flight-delays
    tenant: tenant_123
    tracker: mlflow                                   # the same as {use: mlflow}
    registry: {use: sqlite, path: .mlops/registry.db}
    environments:
      staging:    {use: local, port: 8801}
      production: {use: local, port: 8802, tokens: "${file:tokens}", rollback_window: 1h, watch: true}
    channels: {ops: {use: webhook, url: "${ALERT_URL}"}}
    monitoring:
      sinks: [sqlite]
      durability: flush
      alerts: [{name: errors, when: "error_rate > 0.02", for: 5m, notify: [ops]}]
    drift: {tests: [ks, psi], alpha: 0.05, correction: benjamini-hochberg, min_effect: 0.1}
    models: {trust: [joblib]}
    formats: [json, npy, arrow, skops]
    observers: []
    executor: process
    pipeline:
      name: flight_delays
      model: flight_delay
      stages:
        data_collection:    {use: csv, path: data/flights.csv.gz}
        data_preprocessing: {use: "stages.py:preprocess"}
        training:           {use: sklearn, estimator: sklearn.ensemble.HistGradientBoostingClassifier, target: late}
        validation:         {require: {roc_auc: {min: 0.65}}}
        deployment:         {inputs: {reference: data_preprocessing}, to: [staging, production],
                             canary: {steps: [5%, 25%, 100%], step_time: 2m, deadline: 1h, at_deadline: hold, slo: {error_rate: 1%}}}
        monitoring:         {}
"""


def write(folder: Path, text: str, name: str = "mlops.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def mistakes(folder: Path, text: str, profile: str | None = None) -> list[str]:
    write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load("mlops.yaml", profile)
    assert caught.value.message == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def test_a_whole_configuration(tmp_path: Path) -> None:
    found = load(write(tmp_path, DESIGNED))
    assert (found.project, found.tenant, found.executor) == ("flight-delays", "tenant_123", "process")
    assert found.trackers == (Use("mlflow", {}, "tracker", "mlops.yaml:4:10"),)
    assert found.registry == Use("sqlite", {"path": ".mlops/registry.db"}, "registry", "mlops.yaml:5:17")
    production = found.environments["production"]
    assert production.deployer == Use("local", {"port": 8802}, "environments.production", "mlops.yaml:8:21")
    assert (production.tokens, production.rollback_window, production.watch) == ("${file:tokens}", timedelta(hours=1), True)
    assert found.channels["ops"].options == {"url": "${ALERT_URL}"}
    assert found.monitoring.alerts[0].hold_for == timedelta(minutes=5)
    assert Threshold.parse(found.monitoring.alerts[0].when).bound == 0.02
    assert [use.use for use in found.drift.tests] == ["ks", "psi"]
    assert found.drift.min_effect == 0.1
    assert found.models.trust == ("joblib",)
    assert [one.use for one in found.formats] == ["json", "npy", "arrow", "skops"]
    assert (found.formats[3].key, found.formats[3].at.count(":")) == ("formats[3]", 2)
    assert found.observers == ()
    assert found.pipeline is not None
    assert [stage.name for stage in found.pipeline.stages] == [
        "data_collection",
        "data_preprocessing",
        "training",
        "validation",
        "deployment",
        "monitoring",
    ]
    assert found.pipeline.stages[3].use is None
    assert found.pipeline.stages[3].options == {"require": {"roc_auc": {"min": 0.65}}}
    assert found.pipeline.stages[4].inputs == {"reference": "data_preprocessing"}
    assert found.pipeline.stages[3].at == "mlops.yaml:26:5"


def test_the_smallest_configuration(tmp_path: Path) -> None:
    assert load(write(tmp_path, "version: 1\n")) == Settings()


def test_what_a_file_leaves_out_comes_from_the_defaults(tmp_path: Path) -> None:
    defaults = Settings(
        project="ignored",
        trackers=(Use("mlflow"),),
        registry=Use("sqlite"),
        environments={"dev": EnvironmentSettings(Use("local"))},
        channels={"log": Use("log")},
        monitoring=MonitoringSettings(sinks=(Use("sqlite"),), max_error_rate=0.5),
    )
    found = load(write(tmp_path, "version: 1\ntracker: []\nmonitoring: {durability: sync}\n"), defaults=defaults)
    assert found.trackers == ()
    assert found.registry is not None
    assert found.registry.use == "sqlite"
    assert set(found.environments) == {"dev"}
    assert [use.use for use in found.monitoring.sinks] == ["sqlite"]
    assert (found.monitoring.durability, found.monitoring.max_error_rate) == ("sync", 0.05)
    assert found.project == "project"


def test_a_wrong_item_of_a_list_hides_none_of_the_others(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        version: 1
        environments: {staging: local, production: local}
        channels: {ops: log}
        tracker: [5, {use: mlflow, tracking_uri: "${A"}, 6, wandb]
        monitoring:
          alerts:
            - {name: a, when: "error_rate >"}
            - {name: b, when: "error_rate > 1%", environment: stagin, notify: [ops, oops]}
            - {name: b, when: "error_rate > 2%", environment: elsewhere}
          alerts: []
        drift: {min_effect: 1e999}
        """,
    )
    assert [line.partition(" - ")[0] for line in found] == [
        "mlops.yaml:4:11: tracker[0]: expected the name of a plugin, or a mapping with 'use' and its options",
        "mlops.yaml:4:42: tracker[1].tracking_uri: '${' is no reference",
        "mlops.yaml:4:50: tracker[2]: expected the name of a plugin, or a mapping with 'use' and its options",
        "mlops.yaml:7:23: monitoring.alerts[0].when: 'error_rate >' is not a condition",
        "mlops.yaml:8:55: monitoring.alerts[1].environment: no environment 'stagin'",
        "mlops.yaml:8:77: monitoring.alerts[1].notify[1]: no channel 'oops'",
        "mlops.yaml:9:14: monitoring.alerts[2].name: 'b' is taken by an earlier rule",
        "mlops.yaml:10:3: the key 'alerts' is here twice, first in line 6",
        "mlops.yaml:11:21: drift.min_effect: expected a finite number, got inf",
    ]


def test_plugins_of_a_list_know_their_place_though_an_earlier_one_is_wrong() -> None:
    text = "version: 1\nproject: p\ntracker: [5, mlflow]\n"
    settings, _, wrong = examine([("mlops.yaml", text)])
    assert len(wrong) == 1
    assert settings is not None
    assert [(use.key, use.at) for use in settings.trackers] == [("tracker[1]", "mlops.yaml:3:14")]


def test_every_mistake_of_a_file_is_shown_at_once_in_its_order(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        version: 1
        project: "flight delays"
        tracler: mlflow
        tracker:
          use: mlflow
        registry: {use: sqlite, sign: {kye: k, require: true}}
        environments:
          staging: {use: local, rollback_window: 5}
          prod uction: {port: 8802}
        channels: {ops: 7}
        monitoring:
          sinks: {sqlite: 1}
          alerts: [{name: errors, when: "eror_rate > 0.02", for: 5m, notify: [opss]}]
        drift: {alpha: 5, corection: holm}
        models: {trust: joblib}
        executor: 5.5
        pipeline:
          stages:
            a: {use: csv, path: "${A", timeout: 5}
            b: {retries: -1, on_failure: stopp, cache: yes}
        """,
    )
    assert found == [
        "mlops.yaml:2:10: project: 'flight delays' is not a name - use 1 to 128 of A-Z a-z 0-9 . _ - and begin with a letter or digit",
        "mlops.yaml:3:1: unknown key 'tracler' - did you mean 'tracker'?",
        "mlops.yaml:6:32: registry.sign: unknown key 'kye' - did you mean 'key'?",
        "mlops.yaml:8:42: environments.staging.rollback_window: expected a duration, got 5 - give it a unit: 5s or 5m",
        "mlops.yaml:9:3: environments: 'prod uction' is not a name - use 1 to 128 of A-Z a-z 0-9 . _ - and begin with a letter or digit",
        "mlops.yaml:9:16: environments.prod uction: names no plugin: the key 'use' is missing - there are: port",
        "mlops.yaml:10:17: channels.ops: expected the name of a plugin, or a mapping with 'use' and its options",
        "mlops.yaml:12:10: monitoring.sinks: names no plugin: the key 'use' is missing - there are: sqlite",
        "mlops.yaml:13:33: monitoring.alerts[0].when: unknown metric 'eror_rate' - did you mean 'error_rate'?",
        (
            "mlops.yaml:14:16: drift.alpha: expected a share between 0% and 100%, got 5 - write it as a percentage or a fraction, "
            "such as 5% or 0.05"
        ),
        "mlops.yaml:14:19: drift: unknown key 'corection' - did you mean 'correction'?",
        "mlops.yaml:15:17: models.trust: expected a list, got 'joblib' - write [joblib]",
        (
            "mlops.yaml:19:25: pipeline.stages.a.path: '${' is no reference - write ${NAME}, ${NAME:-default} or ${file:PATH}, "
            "and $${ for a plain ${"
        ),
        "mlops.yaml:19:41: pipeline.stages.a.timeout: expected a duration, got 5 - give it a unit: 5s or 5m",
        "mlops.yaml:20:18: pipeline.stages.b.retries: expected 0 or more, got -1",
        'mlops.yaml:20:34: pipeline.stages.b.on_failure: expected "stop" | "continue" | "rollback", got \'stopp\' - did you mean \'stop\'?',
        "mlops.yaml:20:48: pipeline.stages.b.cache: expected true or false, got 'yes'",
    ]


WRONG = {
    "no version": ("project: x\n", "mlops.yaml:1:1: missing key 'version' - write 'version: 1'"),
    "an empty file": ("", "mlops.yaml:1:1: missing key 'version' - write 'version: 1'"),
    "a newer version": ("version: 2\n", "mlops.yaml:1:10: version: expected 1, got 2 - install a newer motadata-mlops-core"),
    "a version in quotes": ("version: '1'\n", "mlops.yaml:1:10: version: expected 1, got '1' - write 'version: 1'"),
    "a version that is true": ("version: true\n", "mlops.yaml:1:10: version: expected 1, got true - write 'version: 1'"),
    "a list": ("- a\n", "mlops.yaml:1:1: expected a mapping of settings, got a list"),
    "a word": ("hello\n", "mlops.yaml:1:1: expected a mapping of settings, got 'hello'"),
    "a misspelled version": ("versin: 1\n", "mlops.yaml:1:1: unknown key 'versin' - did you mean 'version'?"),
    "no YAML": (
        "version: 1\na: [\n",
        "mlops.yaml:3:1: not YAML: while parsing a flow node expected the node content, but found '<stream end>'",
    ),
    "a key twice": ("version: 1\nversion: 1\n", "mlops.yaml:2:1: the key 'version' is here twice, first in line 1"),
    "a section that is no mapping": ("version: 1\npipeline: 5\n", "mlops.yaml:2:11: pipeline: expected a mapping, got 5"),
    "a channel that nobody configured": (
        "version: 1\nchannels: {ops: log}\nmonitoring: {alerts: [{name: e, when: error_rate > 1, notify: [oops]}]}\n",
        "mlops.yaml:3:64: monitoring.alerts[0].notify[0]: no channel 'oops' - did you mean 'ops'?",
    ),
    "a reference where none can be": (
        "version: 1\nregistry: ${DB}\n",
        "mlops.yaml:2:11: registry: references are for options of plugins and for 'tokens' - write the name, or use a profile",
    ),
}


@pytest.mark.parametrize(("text", "line"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_told_where_and_how_to_mend_it(tmp_path: Path, text: str, line: str) -> None:
    assert line in mistakes(tmp_path, text)


def test_a_number_for_text_keeps_its_spelling(tmp_path: Path) -> None:
    write(tmp_path, "version: 1\ntenant: 1.10\npipeline: {stages: {a: {use: csv, tag: 1.10}}}\n")
    found = load("mlops.yaml")
    assert found.tenant == "1.10"
    assert found.pipeline is not None
    assert found.pipeline.stages[0].options["tag"].text == "1.10"


def test_a_profile_lays_its_overlay_over_the_file(tmp_path: Path) -> None:
    write(tmp_path, DESIGNED)
    write(
        tmp_path,
        "registry: {use: postgres, url: '${DB}'}\nenvironments: {staging: {port: 9000}}\ndrift: {alpha: 1%}\n",
        "mlops.production.yaml",
    )
    found = load("mlops.yaml", "production")
    assert found.registry == Use("postgres", {"url": "${DB}"}, "registry", "mlops.production.yaml:1:17")
    assert found.environments["staging"].deployer.options == {"port": 9000}
    assert set(found.environments) == {"staging", "production"}
    assert found.drift.alpha == 0.01
    assert [use.use for use in found.drift.tests] == ["ks", "psi"]


def test_a_mistake_in_an_overlay_points_to_the_overlay(tmp_path: Path) -> None:
    write(tmp_path, "drift:\n  alpha: 7\n", "mlops.production.yaml")
    found = mistakes(tmp_path, "version: 1\ndrift: {correction: x}\n", "production")
    assert [line.partition(": ")[0] for line in found] == ["mlops.yaml:2:21", "mlops.production.yaml:2:10"]


def test_syntax_errors_of_both_files_are_shown(tmp_path: Path) -> None:
    write(tmp_path, "b: [\n", "mlops.production.yaml")
    found = mistakes(tmp_path, "a: [\n", "production")
    assert [line.partition(":")[0] for line in found] == ["mlops.yaml", "mlops.production.yaml"]


@pytest.mark.parametrize("profile", ["productoin", "../secret", "", "a b"])
def test_a_profile_without_an_overlay_is_told_with_those_that_are_there(tmp_path: Path, profile: str) -> None:
    write(tmp_path, "", "mlops.production.yaml")
    path = write(tmp_path, "version: 1\n")
    with pytest.raises(ConfigError, match="production") as caught:
        load(path, profile)
    assert caught.value.message.startswith(f"profile {profile!r}: there is no mlops.{profile}.yaml - ")


def test_the_nearest_file_upwards_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, "version: 1\n")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find(deep) == path
    assert find(tmp_path) == path
    write(tmp_path / "a", "version: 1\n")
    assert find(deep) == tmp_path / "a" / "mlops.yaml"


def test_where_there_is_none_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").mkdir()
    assert find(tmp_path) is None


def test_a_file_is_named_as_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "version: 1\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    assert documents_of(path)[0][0] == "mlops.yaml"
    monkeypatch.chdir(inner)
    assert documents_of(path)[0][0] == "../mlops.yaml"
    monkeypatch.chdir("/")
    assert documents_of(path)[0][0] == str(path)[1:]


def test_a_file_that_is_no_text_or_is_gone_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_bytes(b"version: 1\n\xff")
    with pytest.raises(ConfigError, match=r"^mlops\.yaml: not UTF-8 at byte 11 - save it as UTF-8$"):
        load("mlops.yaml")
    with pytest.raises(ConfigError, match=r"^gone\.yaml: cannot be read: No such file or directory$"):
        load("gone.yaml")


def test_a_mark_of_the_byte_order_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_bytes(b"\xef\xbb\xbfversion: 1\n")
    assert load("mlops.yaml") == Settings()


def test_beside_the_mistakes_the_rest_is_there_to_be_looked_at() -> None:
    text = (
        "version: 3\ntracker: {use: mlflow}\nregistry: 5\ndrift: {tests: [ks, 7], alpha: 1%}\n"
        "pipeline: {stages: {a: 5, b: csv}}\nextra: 1\n"
    )
    settings, origin, wrong = examine([("m.yaml", text)])
    assert len(wrong) == 5
    assert settings is not None
    assert settings.trackers[0].use == "mlflow"
    assert settings.registry is None
    assert settings.drift.alpha == 0.01
    assert settings.pipeline is not None
    assert [stage.name for stage in settings.pipeline.stages] == ["b"]
    assert origin.place("tracker.use") == "m.yaml:2:16"


def test_where_nothing_is_right_there_is_nothing_to_look_at() -> None:
    assert examine([("m.yaml", "[")])[0] is None


def test_text_can_be_read_without_a_file() -> None:
    settings, origin = read([("a.yaml", "version: 1\ntenant: x\n"), ("b.yaml", "tenant: y\n")])
    assert settings.tenant == "y"
    assert origin.documents == (("a.yaml", "version: 1\ntenant: x\n"), ("b.yaml", "tenant: y\n"))
    with pytest.raises(ConfigError, match=r"mlops\.yaml:1:1: missing key 'version'"):
        read([])


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ("{schedule: {false_alarms: 3 per 1d}}", "2:19: drift.schedule: 'false_alarms: 3 per 1d' allows one in each check every 1d"),
        ("{schedule: {false_alarms: often}}", "2:34: drift.schedule.false_alarms: expected a number per time, got 'often'"),
        ("{schedule: {every: 0s}}", "2:27: drift.schedule.every: expected a duration longer than 0s"),
        ("{schedule: {evry: 1d}}", "2:20: drift.schedule: unknown key 'evry' - did you mean 'every'?"),
        ("{schedule: {false_alarms: 1 per 30d}, correction: none}", "2:8: drift: 'correction: none' keeps no rate of false alarms"),
        ("{schema: {a: txt}}", "2:21: drift.schema.a: expected"),
    ],
)
def test_a_mistake_in_checks_of_drift_is_shown_where_it_stands(tmp_path: Path, drift: str, said: str) -> None:
    (line,) = mistakes(tmp_path, f"version: 1\ndrift: {drift}\n")
    assert line.startswith(f"mlops.yaml:{said}")


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("{rate: 5%}", "monitoring.sample: missing key 'columns'"),
        ("{columns: []}", "monitoring.sample: 'columns' names none, so nothing would be kept"),
        ("{columns: [a], rate: 0}", "monitoring.sample.rate: expected a share above 0% and up to 100%, got 0"),
        ("{columns: [a], retention: 0s}", "monitoring.sample.retention: expected a duration longer than 0s"),
    ],
)
def test_a_mistake_in_the_sample_is_shown(tmp_path: Path, sample: str, said: str) -> None:
    (line,) = mistakes(tmp_path, f"version: 1\nmonitoring: {{sample: {sample}}}\n")
    assert said in line


@pytest.mark.parametrize(
    ("retention", "said"),
    [
        ("{}", "monitoring: 'retention' keeps nothing - name resolutions and how long each is kept"),
        ("{1m: 30d, 10s: 60d}", "'retention' does not rise from 10s: 60d to 1m: 30d - keep coarser figures longer, in whole multiples"),
        ("{10s: 1d, 15s: 2d}", "'retention' does not rise from 10s: 1d to 15s: 2d"),
        ("{60s: 1d, 1m: 2d}", "'retention' does not rise from 1m: 1d to 1m: 2d"),
        ("{1h: 1m}", "'retention' keeps its finest figures for less than one of them - keep them longer"),
        ("{1x: 1d}", "expected a duration, got '1x'"),
        ("{0s: 1d}", "expected a duration longer than 0s"),
        ("{1m: 30}", "give it a unit: 30s or 30m"),
    ],
)
def test_a_mistake_in_the_retention_is_shown(tmp_path: Path, retention: str, said: str) -> None:
    (line,) = mistakes(tmp_path, f"version: 1\nmonitoring: {{retention: {retention}}}\n")
    assert line.startswith("mlops.yaml:2:")
    assert said in line


def test_retention_is_read_from_the_finest(tmp_path: Path) -> None:
    found = load(write(tmp_path, "version: 1\nmonitoring: {retention: {1h: 1y, 1m: 2d}}\n"))
    assert found.monitoring.levels == ((timedelta(minutes=1), timedelta(days=2)), (timedelta(hours=1), timedelta(days=365)))


@pytest.mark.parametrize(
    ("slo", "said"),
    [
        ("{}", "2:19: monitoring.slo: missing key 'success'"),
        ("{success: 99.9}", "monitoring.slo.success: expected a share between 0% and 100%, got 99.9 - write it as a percentage"),
        ("{success: 100%}", "monitoring.slo.success: expected a share between 0% and 100%, both excluded"),
        ("{success: 99%, over: 1h}", "monitoring.slo.over: expected a duration of 1d or more"),
        ("{success: 99%, over: 3y}", "monitoring: 'slo.over' is 1095d, and 'retention' ends at 730d - keep figures longer"),
        ("{success: 99%, min_failures: 0}", "monitoring.slo.min_failures: expected 1 or more, got 0"),
        ("{success: 99%, notify: [opps]}", "2:43: monitoring.slo.notify[0]: no channel 'opps' - did you mean 'ops'?"),
        ("{success: 99%}, alerts: [{name: slo.page, when: error_rate > 1%}]", "'slo.page' is a rule of monitoring.slo - give this one"),
    ],
)
def test_a_mistake_in_the_objective_is_shown(tmp_path: Path, slo: str, said: str) -> None:
    (line,) = mistakes(tmp_path, f"version: 1\nmonitoring: {{slo: {slo}}}\nchannels: {{ops: log}}\n")
    assert said in line


def test_an_objective_is_read(tmp_path: Path) -> None:
    text = "version: 1\nmonitoring: {slo: {success: 99%, over: 7d, notify: [ops], model: m}}\nchannels: {ops: log}\n"
    assert load(write(tmp_path, text)).monitoring.slo == SloSettings(0.99, timedelta(days=7), ("ops",), "m")


def test_keys_that_sign_belong_to_the_core_and_not_to_the_plugin(tmp_path: Path) -> None:
    text = "version: 1\nregistry: {use: sqlite, path: a.db, sign: {key: '${file:k}', public: ['${file:p}'], require: true}}\n"
    found = load(write(tmp_path, text))
    assert found.sign == SignSettings("${file:k}", ("${file:p}",), require=True)
    assert found.registry is not None
    assert found.registry.options == {"path": "a.db"}


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        ("{use: sqlite, sign: {require: true}}", "2:31: registry.sign: 'require' without a key would refuse every version - add 'key'"),
        ("{use: sqlite, sign: {public: '${file:p}'}}", "2:40: registry.sign.public: expected a list"),
        ("{use: sqlite, sign: yes}", "2:31: registry.sign: expected a mapping"),
        ("{use: sqlite, sign: {key: '${file:'}}", "2:37: registry.sign.key: '${' is no reference"),
        ("{sign: {key: k}}", "2:11: registry: names no plugin"),
        ("sqlite\nregistry.sign: {key: k}", "3:1: no key - write it as 'sign' under 'registry'"),
    ],
)
def test_a_mistake_in_the_keys_is_shown_where_it_stands(tmp_path: Path, registry: str, said: str) -> None:
    (line,) = mistakes(tmp_path, f"version: 1\nregistry: {registry}\n")
    assert line.startswith(f"mlops.yaml:{said}")
