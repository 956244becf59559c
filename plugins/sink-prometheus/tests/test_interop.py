"""A real Prometheus server scrapes the sink: one on the path, else Debian's, unpacked into a private folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.testing.sink_suite import segment
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
    made = PrometheusSink(path=tmp_path / "prometheus.db", port=0)
    made.listen()
    while made.address is None:
        time.sleep(0.01)
    yield made
    made.close()


@pytest.fixture
def server(programs: dict[str, str], sink: PrometheusSink, tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus server that scrapes the sink every second."""
    target = urllib.parse.urlsplit(str(sink.address)).netloc
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION % target)
    for _ in range(5):  # its port may be taken before it has it
        port = free_port()
        command = [programs["prometheus"], "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--log.level=warn"]
        with subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], cwd=tmp_path) as process:
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


def test_a_server_scrapes_counts_and_quantiles(sink: PrometheusSink, server: str) -> None:
    odd = 'a"b\\c\nd ☃'
    sink.write([segment(number, errors=number % 2, errors_by_type={odd: number % 2}) for number in range(1, 101)])
    wait_for_value(server, "sum(mlops_predictions_total)", 100)
    wait_for_value(server, "sum(mlops_predictions_failed_total)", 50)
    (sample,) = ask(server, "mlops_prediction_errors_total")
    assert sample["metric"]["type"] == odd
    assert float(sample["value"][1]) == 50
    (quantile,) = ask(server, "histogram_quantile(0.5, sum by (le) (mlops_prediction_latency_seconds_bucket))")
    assert 0.00195 < float(quantile["value"][1]) < 0.00277
    assert ask(server, "up")[0]["value"][1] == "1"
