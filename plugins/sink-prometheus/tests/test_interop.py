"""A real Prometheus server scrapes the sink: one on the path, else Debian's, unpacked into a private folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from ruamel.yaml import YAML

from mlops_core.records import METRICS, BurnSpec, BurnTier, RuleSpec, Threshold
from mlops_core.records.histogram import bucket
from mlops_core.testing.sink_suite import segment
from mlops_sink_prometheus.rules import write_rules
from mlops_sink_prometheus.sink import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

CONFIGURATION = """
global: {scrape_interval: 1s, evaluation_interval: 1s}
scrape_configs: [{job_name: mlops, static_configs: [{targets: ["%s"]}]}]
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where ``prometheus`` and ``promtool`` are."""
    found = {name: shutil.which(name) for name in ("prometheus", "promtool")}
    if not all(found.values()):
        folder = tmp_path_factory.mktemp("debian")
        subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, check=True, capture_output=True)
        (package,) = folder.glob("prometheus_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), "unpacked"], cwd=folder, check=True)
        found = {name: str(folder / "unpacked" / "usr" / "bin" / name) for name in found}
    return {name: str(path) for name, path in found.items()}


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[PrometheusSink]:
    """A sink that listens."""
    with listening(PrometheusSink(path=tmp_path / "prometheus.db", port=0)) as made:
        yield made


@contextmanager
def listening(sink: PrometheusSink) -> Iterator[PrometheusSink]:
    sink.listen()
    while sink.address is None:
        time.sleep(0.01)
    try:
        yield sink
    finally:
        sink.close()


@contextmanager
def scraping(programs: dict[str, str], sink: PrometheusSink, folder: Path, *flags: str) -> Iterator[str]:
    """The address of a Prometheus server that scrapes the sink every second."""
    target = urllib.parse.urlsplit(str(sink.address)).netloc
    (folder / "prometheus.yml").write_text(CONFIGURATION % target)
    for _ in range(5):  # its port may be taken before it has it
        port = free_port()
        command = [programs["prometheus"], "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--log.level=warn", *flags]
        with subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], cwd=folder) as process:
            try:
                if is_ready(port, process):
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                process.terminate()
    raise AssertionError("the server does not start")


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def ask(server: str, query: str) -> list[dict[str, Any]]:
    """An instant query's samples."""
    address = f"{server}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310  the address of this test's server
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def wait_for_value(server: str, query: str, expected: float) -> None:
    until = time.monotonic() + 60
    while [float(one["value"][1]) for one in ask(server, query)] != [expected]:
        assert time.monotonic() < until, ask(server, query)
        time.sleep(0.2)


def test_a_server_scrapes_counts_and_quantiles(programs: dict[str, str], sink: PrometheusSink, tmp_path: Path) -> None:
    odd = 'a"b\\c\nd ☃'
    sink.write([segment(number, errors=number % 2, errors_by_type={odd: number % 2}) for number in range(1, 101)])
    with scraping(programs, sink, tmp_path) as server:
        wait_for_value(server, "sum(mlops_predictions_total)", 100)
        wait_for_value(server, "sum(mlops_predictions_failed_total)", 50)
        (sample,) = ask(server, "mlops_prediction_errors_total")
        assert sample["metric"]["type"] == odd
        assert float(sample["value"][1]) == 50
        (quantile,) = ask(server, "histogram_quantile(0.5, sum by (le) (mlops_prediction_latency_seconds_bucket))")
        assert 0.00195 < float(quantile["value"][1]) < 0.00277
        assert ask(server, "up")[0]["value"][1] == "1"


@pytest.mark.parametrize("flags", [("--enable-feature=native-histograms",), ()], ids=["native", "classic"])
def test_rules_of_latency_find_native_histograms_and_classic_ones(programs: dict[str, str], tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Half of the predictions take 0.1 s, half 0.4 s: the native p99 is as exact as the recorded buckets, the classic one as its bounds."""
    native = bool(flags)
    with (
        listening(PrometheusSink(path=tmp_path / "prometheus.db", port=0, native=True)) as sink,
        scraping(programs, sink, tmp_path, *flags) as server,
    ):
        histogram = {bucket(0.1): 1, bucket(0.4): 1}
        for sequence in range(1, 5):
            sink.write([segment(sequence, total=2, latency_sum=0.5, histogram=histogram)])
            wait_for_value(server, "sum(mlops_predictions_total)", 2 * sequence)  # what it never saw before is no increase
        if native:
            wait_for_value(server, "histogram_count(mlops_prediction_latency_seconds)", 8)
            assert ask(server, "mlops_prediction_latency_seconds_bucket") == []
        else:
            wait_for_value(server, "mlops_prediction_latency_seconds_count", 8)
        for when, exact in (("p99_latency > 0.1", 0.4), ("p50_latency > 0.01", 0.1), ("avg_latency > 0.1", 0.25)):
            document = YAML(typ="safe").load(sink.rules([RuleSpec("slow", "acme", Threshold.parse(when))]))
            (found,) = ask(server, document["groups"][0]["rules"][0]["expr"])
            near = 0.001 if when.startswith("avg") else 0.022 if native else 0.42
            assert float(found["value"][1]) == pytest.approx(exact, rel=near)


def test_promtool_accepts_every_rule(programs: dict[str, str], sink: PrometheusSink, tmp_path: Path) -> None:
    specs = []
    for number, metric in enumerate((*METRICS, "drift.ks.p_value", "custom.margin-1")):
        for further in ({}, {"model": "tickets"}, {"model": "tickets", "environment": "production", "keep": timedelta(minutes=1)}):
            for no_data in ("ok", "alert", "keep"):
                name = f"rule-{number}-{len(further)}-{no_data}"
                when, clear = Threshold.parse(f"{metric} > 0.5"), Threshold.parse(f"{metric} < 0.25")
                specs.append(RuleSpec(name, "acme", when, clear=clear, hold_for=timedelta(seconds=90), no_data=no_data, **further))
    (tmp_path / "rules.yml").write_text(sink.rules(specs))
    checked = subprocess.run(
        [programs["promtool"], "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, f"SUCCESS: {len(specs)} rules found" in checked.stdout) == (0, True), checked.stdout + checked.stderr


def test_promtool_accepts_a_file_without_rules(programs: dict[str, str], sink: PrometheusSink, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(sink.rules([]))
    checked = subprocess.run(
        [programs["promtool"], "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, "SUCCESS: 0 rules found" in checked.stdout) == (0, True), checked.stdout + checked.stderr


PLACE = {"tenant": "acme", "environment": "production", "model": "tickets"}
LABELS = ",".join(f'{name}="{value}"' for name, value in PLACE.items())


def check(
    programs: dict[str, str],
    folder: Path,
    spec: RuleSpec | BurnSpec,
    series: dict[tuple[str, str], str],
    minutes: dict[int, str],
    *more: BurnSpec,
) -> None:
    """Let promtool play series, one value a minute, and compare at some minutes what the rule says was measured; "": it does not fire."""
    said = f"tickets in production: {spec.name}: "
    if isinstance(spec, RuleSpec):
        labels, said = PLACE, f"{said}{spec.when} (measured: {{}})"
    else:
        labels = {**PLACE, "severity": spec.severity}
        said = f"{said}the error budget of {spec.success * 100:.6g}% is spent too fast (burn rate: {{}})"
    expected = [
        {
            "eval_time": f"{minute}m",
            "alertname": spec.name,
            "exp_alerts": [{"exp_labels": labels, "exp_annotations": {"summary": said.format(figure)}}] if figure else [],
        }
        for minute, figure in minutes.items()
    ]
    played = [{"series": f"{name}{{{LABELS}{further}}}", "values": values} for (name, further), values in series.items()]
    test = {"interval": "1m", "input_series": played, "alert_rule_test": expected}
    (folder / "rules.yml").write_text(write_rules([*more, spec]))
    (folder / "test.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run([programs["promtool"], "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_between_clear_and_when_nothing_changes(programs: dict[str, str], tmp_path: Path) -> None:
    """5 % fail from minute 5 on, 1.5 %, which is between the bounds, from 15 on, 0.5 % from 25 on."""
    spec = RuleSpec("errors", "acme", Threshold.parse("error_rate > 2%"), timedelta(minutes=2), clear=Threshold.parse("error_rate < 1%"))
    series = {
        ("mlops_predictions_total", ',version="1"'): "0+1000x50",
        ("mlops_predictions_failed_total", ',version="1"'): "0+0x5 50+50x9 515+15x9 655+5x20",
    }
    check(programs, tmp_path, spec, series, {3: "", 10: "0.05", 20: "0.015", 24: "0.015", 30: ""})
    check(programs, tmp_path, evolve(spec, clear=None), series, {3: "", 10: "0.05", 20: "", 30: ""})


def test_a_quiet_model_is_no_data(programs: dict[str, str], tmp_path: Path) -> None:
    """All fail until minute 10; from then on nothing is predicted."""
    series = {("mlops_predictions_total", ""): "0+10x10 100x40", ("mlops_predictions_failed_total", ""): "0+10x10 100x40"}
    spec = RuleSpec("errors", "acme", Threshold.parse("error_rate > 50%"), timedelta(minutes=2))
    check(programs, tmp_path, spec, series, {5: "1", 20: ""})
    check(programs, tmp_path, evolve(spec, no_data="keep"), series, {5: "1", 20: "NaN", 45: "NaN"})
    check(programs, tmp_path, evolve(spec, no_data="alert", model="tickets"), series, {5: "1", 20: "NaN"})
    never = evolve(spec, when=Threshold.parse("error_rate < 50%"))
    check(programs, tmp_path, never, series, {5: "", 20: ""})
    check(programs, tmp_path, evolve(never, no_data="keep"), series, {5: "", 20: ""})
    silent = RuleSpec("silent", "acme", Threshold.parse("total_predictions < 1"), timedelta(minutes=5))
    check(programs, tmp_path, silent, series, {8: "", 20: "0"})


def test_silence_is_found_where_nothing_was_ever_recorded(programs: dict[str, str], tmp_path: Path) -> None:
    place: dict[str, Any] = {"model": "tickets", "environment": "production"}
    silent = RuleSpec("silent", "acme", Threshold.parse("total_predictions < 10"), timedelta(minutes=5), **place)
    check(programs, tmp_path, silent, {}, {1: "0", 20: "0"})
    check(programs, tmp_path, evolve(silent, model=None), {}, {1: ""})
    slow = RuleSpec("slow", "acme", Threshold.parse("p95_latency > 1"), timedelta(minutes=5), no_data="alert", **place)
    check(programs, tmp_path, slow, {}, {10: "NaN"})
    check(programs, tmp_path, evolve(slow, no_data="ok"), {}, {10: ""})


def test_the_newest_value_of_all_versions_counts_as_long_as_the_window_is(programs: dict[str, str], tmp_path: Path) -> None:
    """Version 1 was checked at 0 and 10 minutes, version 2 at 5 minutes."""
    name = ',name="drift.ks.p_value"'
    series = {
        ("mlops_value", f'{name},version="1"'): "0.01x9 0.5x60",
        ("mlops_value", f'{name},version="2"'): "_x5 0.02x60",
        ("mlops_value_timestamp_seconds", f'{name},version="1"'): "0x9 600x60",
        ("mlops_value_timestamp_seconds", f'{name},version="2"'): "_x5 300x60",
    }
    drift = RuleSpec("drift", "acme", Threshold.parse("drift.ks.p_value < 0.05"), timedelta(minutes=30))
    check(programs, tmp_path, drift, series, {2: "0.01", 7: "0.02", 12: "", 50: ""})
    calm = evolve(drift, when=Threshold.parse("drift.ks.p_value > 0.05"))
    check(programs, tmp_path, calm, series, {7: "", 12: "0.5", 39: "0.5", 41: ""})


def test_quantiles_and_means_of_latency(programs: dict[str, str], tmp_path: Path) -> None:
    """Of ten predictions a minute five take up to 0.25 s, the others up to 0.5 s: together 3 s."""
    series = {
        ("mlops_prediction_latency_seconds_bucket", ',le="0.25"'): "0+5x30",
        ("mlops_prediction_latency_seconds_bucket", ',le="0.5"'): "0+10x30",
        ("mlops_prediction_latency_seconds_bucket", ',le="+Inf"'): "0+10x30",
        ("mlops_prediction_latency_seconds_sum", ""): "0+3x30",
        ("mlops_prediction_latency_seconds_count", ""): "0+10x30",
    }
    for when, figure in (
        ("p99_latency > 0.45", "0.495"),
        ("p50_latency >= 0.25", "0.25"),
        ("avg_latency > 0.2", "0.3"),
        ("avg_latency > 0.4", ""),
    ):
        spec = RuleSpec("slow", "acme", Threshold.parse(when), timedelta(minutes=5))
        check(programs, tmp_path, spec, series, {10: figure})


def test_burn_rates_of_an_objective(programs: dict[str, str], tmp_path: Path) -> None:
    """From minute 60 to 100 all of 100 predictions a minute fail, of which 0.1 % may; before and after none does.

    The page, which is met at once, is over when no half hour has failures; only then a ticket is opened. One that is open already, since
    failures began slowly, stays.
    """
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    fast, medium = BurnTier(14.4, hour, 5 * minute), BurnTier(6, 6 * hour, 30 * minute)
    page = BurnSpec("slo.page", "acme", 0.999, (fast, medium), 0.8, 10, "page")
    ticket = BurnSpec("slo.ticket", "acme", 0.999, (BurnTier(1, 72 * hour, 6 * hour),), 0.8, 10, "ticket", "slo.page")
    total = {("mlops_predictions_total", ""): "0+100x600"}
    sudden = {**total, ("mlops_predictions_failed_total", ""): "0+0x60 100+100x39 4000+0x480"}
    slow = {**total, ("mlops_predictions_failed_total", ""): "0+0x60 10+10x39 400+0x480"}
    check(programs, tmp_path, page, sudden, {55: "", 80: "333.3", 98: "633.3", 110: "363.6", 140: ""})
    check(programs, tmp_path, ticket, sudden, {55: "", 62: "", 80: "", 110: "", 140: "285.7"}, page)
    check(programs, tmp_path, evolve(ticket, beside=None), sudden, {55: "", 80: "250", 140: "285.7"})
    check(programs, tmp_path, ticket, slow, {55: "", 80: "25", 140: "28.57"}, page)
    check(programs, tmp_path, evolve(page, min_failures=100_000), sudden, {80: "", 98: ""})
    check(programs, tmp_path, evolve(page, tiers=(BurnTier(750, hour, 5 * minute),)), sudden, {80: "", 98: ""})


def test_what_burns_goes_on_down_to_a_share_of_its_rate(programs: dict[str, str], tmp_path: Path) -> None:
    """At 20 times the budget from minute 10 on, at 12.5 times from 40 on, at 10 times from 70 on."""
    tier = BurnTier(14.4, timedelta(minutes=10), timedelta(minutes=2))
    page = BurnSpec("slo.page", "acme", 0.99, (tier,), 0.8, 10, "page")
    series = {
        ("mlops_predictions_total", ""): "0+1000x200",
        ("mlops_predictions_failed_total", ""): "0+0x10 200+200x29 6125+125x29 9850+100x100",
    }
    check(programs, tmp_path, page, series, {5: "", 30: "20", 60: "12.5", 90: ""})
    check(programs, tmp_path, evolve(page, ease=1.0), series, {30: "20", 60: ""})
