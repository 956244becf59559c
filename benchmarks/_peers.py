"""The peers' side of ``drift.py``, ``mmd.py`` and ``monitoring.py``, in an environment of its own: a whole test, once for each line read.

    python _peers.py {psi,mmd,prometheus,prometheus_labels,otel} INPUT.npz

The first line answered is the peer's versions and settings in JSON; each further one the seconds that a round took and what it found.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Side = tuple["Mapping[str, object]", "Callable[[], object]"]


def stability(data: Mapping[str, Any]) -> Side:
    """Every column fitted and compared by frouros."""
    from frouros.detectors.data_drift import PSI  # type: ignore[import-not-found]  # lives in an environment of its own

    reference, current = data["reference"], data["current"]

    def act() -> None:
        for before, after in zip(reference.T, current.T, strict=True):
            detector = PSI(num_bins=10)
            detector.fit(X=before)
            detector.compare(X=after)

    return {name: version(name) for name in ("frouros", "numpy")}, act


def discrepancy(data: Mapping[str, Any]) -> Side:
    """MMD by alibi-detect as it comes, on the faster of its backends and in the faster precision, which it takes from its input."""
    import torch  # type: ignore[import-not-found]  # lives in an environment of its own
    from alibi_detect.cd import MMDDrift  # type: ignore[import-not-found]  # the same

    reference, current, permutations = data["reference"].astype("float32"), data["current"].astype("float32"), int(data["permutations"])

    def act() -> object:
        detector = MMDDrift(reference, backend="pytorch", n_permutations=permutations, device="cpu")
        found: Mapping[str, Any] = detector.predict(current)
        return {"p_value": float(found["data"]["p_val"]), "squared": float(found["data"]["distance"])}

    versions = {name: version(name) for name in ("alibi-detect", "torch", "numpy")}
    return {**versions, "backend": "pytorch", "precision": "float32", "threads": torch.get_num_threads()}, act


def _cpu(count: int, act: Callable[[], object]) -> dict[str, float]:
    """Seconds that the process computed, for each of so many predictions."""
    began = time.process_time()
    act()
    return {"cpu": (time.process_time() - began) / count}


def prometheus(data: Mapping[str, Any], *, resolved: bool = True) -> Side:
    """A latency histogram and a counter of prometheus_client, with children resolved beforehand or labels looked up for each prediction."""
    from prometheus_client import Counter, Histogram

    latencies = data["latencies"].tolist()
    histogram, counter = Histogram("latency", "seconds", ["model"]), Counter("predictions", "all", ["model"])
    observe, count = histogram.labels("m").observe, counter.labels("m").inc

    def with_children() -> None:
        for seconds in latencies:
            observe(seconds)
            count()

    def with_labels() -> None:
        for seconds in latencies:
            histogram.labels("m").observe(seconds)
            counter.labels("m").inc()

    act = with_children if resolved else with_labels
    return {"prometheus-client": version("prometheus-client")}, lambda: _cpu(len(latencies), act)


def otel(data: Mapping[str, Any]) -> Side:
    """The same two instruments of the OpenTelemetry SDK, collected once in a round."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    latencies, reader = data["latencies"].tolist(), InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("bench")
    histogram, counter, labels = meter.create_histogram("latency"), meter.create_counter("predictions"), {"model": "m"}

    def act() -> None:
        for seconds in latencies:
            histogram.record(seconds, labels)
            counter.add(1, labels)
        reader.get_metrics_data()

    return {"opentelemetry-sdk": version("opentelemetry-sdk")}, lambda: _cpu(len(latencies), act)


SIDES: Mapping[str, Callable[[Mapping[str, Any]], Side]] = {
    "psi": stability,
    "mmd": discrepancy,
    "prometheus": prometheus,
    "prometheus_labels": partial(prometheus, resolved=False),
    "otel": otel,
}


def side(kind: str, path: str) -> Side:
    """What runs on these arrays; one line where a library is missing."""
    try:
        import numpy as np

        with np.load(path, allow_pickle=False) as data:
            return SIDES[kind](dict(data))
    except ImportError as error:
        raise SystemExit(str(error)) from None


def main() -> None:
    """Answer until the input ends."""
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # libraries may print
        told, act = side(*sys.argv[1:])
        print(json.dumps(told), file=answers, flush=True)
        for _ in sys.stdin:
            began = time.perf_counter()
            found = act()
            print(json.dumps([time.perf_counter() - began, found]), file=answers, flush=True)


if __name__ == "__main__":
    main()
