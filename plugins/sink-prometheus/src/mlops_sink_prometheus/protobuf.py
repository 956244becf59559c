"""Prometheus's protobuf format, whose native histograms have the recorded buckets: those of schema 5.

Messages are those of ``io.prometheus.client`` (client_model's metrics.proto), each with its length in front. They are few and small, so
that they are written here, by protobuf's rules of encoding, without a dependency.
"""

from __future__ import annotations

import math
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from mlops_core.records.histogram import BUCKETS_PER_DOUBLING, ZERO, upper_bound
from mlops_sink_prometheus.families import FAMILIES, Latencies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlops_sink_prometheus.families import Number

__all__ = ["PROTOBUF", "render_protobuf", "wants_protobuf"]

PROTOBUF: Final = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_OURS: Final = frozenset(part.strip() for part in PROTOBUF.split(";"))
_SCHEMA: Final = int(math.log2(BUCKETS_PER_DOUBLING))
_TYPES: Final = {"counter": 0, "gauge": 1, "histogram": 4}
_FIELDS: Final = {"gauge": 2, "counter": 3, "histogram": 7}  # of Metric


def wants_protobuf(accept: str) -> bool:
    """Whether a client that sends this header asks for the format, and not more for text."""
    ours = text = 0.0
    for wish in accept.split(","):
        parts = {part.strip() for part in wish.split(";")}
        weight = min((_weight(part[2:]) for part in parts if part.startswith("q=")), default=1.0)
        if parts >= _OURS:
            ours = max(ours, weight)
        elif "text/plain" in parts:
            text = max(text, weight)
    return 0 < ours >= text


def render_protobuf(samples: Iterable[Number | Latencies]) -> bytes:
    """All families, those without a sample left out; histograms are both native and classic."""
    found: dict[str, list[bytes]] = {name: [] for name in FAMILIES}
    for one in samples:
        value = _histogram(one) if isinstance(one, Latencies) else _double(1, one.value)
        labels = b"".join(_bytes(1, _text(1, name) + _text(2, label)) for name, label in one.labels.items())
        found[one.family].append(_bytes(4, labels + _bytes(_FIELDS[FAMILIES[one.family][0]], value)))
    messages = [
        _text(1, name) + _text(2, said) + _integer(3, _TYPES[kind]) + b"".join(found[name])
        for name, (kind, said) in FAMILIES.items()
        if found[name]
    ]
    return b"".join(_varint(len(message)) + message for message in messages)


def _histogram(one: Latencies) -> bytes:
    """Native bucket ``i`` of schema 5 holds (g ** (i - 1), g ** i] with g = 2 ** (1 / 32), as the recorded one does."""
    above = sorted((index, count) for index, count in one.recorded.items() if index > ZERO and count)
    parts = [_integer(1, one.count), _double(2, one.sum)]
    parts += [_bytes(3, _integer(1, count) + _double(2, bound)) for bound, count in (*one.within.items(), (math.inf, one.count))]
    parts += [_integer(5, _zigzag(_SCHEMA)), _double(6, upper_bound(ZERO))]
    parts.append(_integer(7, sum(count for index, count in one.recorded.items() if index <= ZERO)))
    before = 0
    for first, length in _runs([index for index, _ in above]) or [(0, 0)]:  # a span, if an empty one, tells that it is a native one
        parts.append(_bytes(12, _integer(1, _zigzag(first - before)) + _integer(2, length)))
        before = first + length
    parts += [_integer(13, _zigzag(count - last)) for last, count in pairwise([0, *(count for _, count in above)])]
    return b"".join(parts)


def _runs(indexes: list[int]) -> list[tuple[int, int]]:
    """Where stretches of consecutive buckets begin, and how long they are."""
    found: list[tuple[int, int]] = []
    for index in indexes:
        if found and index == sum(found[-1]):
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((index, 1))
    return found


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004  seven bits a byte, and one that says whether more follow
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
