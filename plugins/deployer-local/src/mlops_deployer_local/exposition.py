"""Prometheus's text format, version 0.0.4, and what is told in it.

Names, labels and bounds are those of ``sink.prometheus`` where they mean the same.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Labels = Mapping[str, str]

__all__ = ["BOUNDS", "LATENCY", "TEXT", "Page"]

TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
BOUNDS: Final = tuple(2.0 ** (half / 2) for half in range(-28, 13))
"""Of the latency histogram, in seconds: from 61 us to 64 s."""
LATENCY: Final = "prediction_latency_seconds"

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_LE: Final = (*map(str, BOUNDS), "+Inf")
_COUNTED: Final = {
    "predictions_total": ("counter", "Predictions{}."),
    "predictions_failed_total": ("counter", "Predictions{} that failed."),
    "prediction_errors_total": ("counter", "Predictions{} that failed, by type of error."),
    LATENCY: ("histogram", "Seconds that predictions{} took."),
}
_FAMILIES: Final = {
    **{f"mlops_{name}": (kind, said.format("")) for name, (kind, said) in _COUNTED.items()},
    **{f"mlops_shadow_{name}": (kind, said.format(" of shadows")) for name, (kind, said) in _COUNTED.items()},
    "mlops_shadow_dropped_total": ("counter", "Copies of requests for which a shadow had no time."),
    "mlops_requests_in_flight": ("gauge", "Requests that wait for a version or are being predicted."),
    "mlops_route_weight": ("gauge", "Share of an endpoint's requests that a version is given."),
    "mlops_route_revision": ("gauge", "Revision of an endpoint's routes."),
    "mlops_server_processes": ("gauge", "Serving processes, with those that are about to end."),
    "mlops_server_resident_memory_bytes": ("gauge", "Memory that serving processes have resident."),
    "mlops_server_crashes_total": ("counter", "Serving processes that ended unexpectedly."),
    "mlops_server_start_time_seconds": ("gauge", "When the server was started, in seconds since 1970."),
}
"""Type and help by name, in their order."""
_HEADS: Final = {name: f"# HELP {name} {said}\n# TYPE {name} {kind}\n".encode() for name, (kind, said) in _FAMILIES.items()}


class Page:
    """What one scrape is answered with. The samples of a family stand together, whenever they are written.

    Each is made text at once, with what belongs to it: so the end of a long page, which nothing interrupts, is short.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[bytes]] = {name: [] for name in _FAMILIES}

    def sample(self, name: str, labels: Labels, value: float) -> None:
        """Add a sample of one of the families above, a counter or a gauge."""
        self._parts[name].append(f"{name}{{{_written(labels)}}} {value}\n".encode())

    def latencies(self, name: str, labels: Labels, buckets: Sequence[int], seconds: float) -> None:
        """Add a histogram, whose ``buckets`` are those of ``BOUNDS`` and one above."""
        written = _written(labels)
        begin = f'{name}_bucket{{{written},le="'
        lines = [f'{begin}{bound}"}} {count}\n' for bound, count in zip(_LE, accumulate(buckets), strict=True)]
        lines += [f"{name}_sum{{{written}}} {seconds}\n", f"{name}_count{{{written}}} {sum(buckets)}\n"]
        self._parts[name].append("".join(lines).encode())

    def text(self) -> bytes:
        """All families, those without a sample left out."""
        told = {name: parts for name, parts in self._parts.items() if parts}
        return b"".join(part for name, parts in told.items() for part in (_HEADS[name], *parts))


def _written(labels: Labels) -> str:
    return ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items())
