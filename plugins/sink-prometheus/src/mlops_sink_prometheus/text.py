"""Prometheus's text format, version 0.0.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_sink_prometheus.families import FAMILIES, Latencies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlops_sink_prometheus.families import Number

__all__ = ["TEXT", "render_text"]

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render_text(samples: Iterable[Number | Latencies]) -> str:
    """All families, those without a sample left out."""
    lines: dict[str, list[str]] = {name: [] for name in FAMILIES}
    for one in samples:
        labels = _labels(one.labels)
        if isinstance(one, Latencies):
            lines[one.family] += _histogram(one, labels)
        else:
            lines[one.family].append(f"{one.family}{{{labels}}} {one.value}\n")
    return "".join(
        f"# HELP {name} {said}\n# TYPE {name} {kind}\n{''.join(lines[name])}" for name, (kind, said) in FAMILIES.items() if lines[name]
    )


def _histogram(one: Latencies, labels: str) -> list[str]:
    begin = f'{one.family}_bucket{{{labels},le="'
    return [
        *(f'{begin}{bound}"}} {count}\n' for bound, count in one.within.items()),
        f'{begin}+Inf"}} {one.count}\n',
        f"{one.family}_sum{{{labels}}} {one.sum}\n",
        f"{one.family}_count{{{labels}}} {one.count}\n",
    ]


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
