"""Prometheus's protobuf format, read back by protobuf itself with the messages of client_model."""

from __future__ import annotations

import math
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined]  # the only reader of lengths that there is

from mlops_core.records import SeriesKey, ValueSum, Window
from mlops_core.records.histogram import ZERO, histogram_of
from mlops_core.testing.sink_suite import segment
from mlops_sink_prometheus.families import samples_of
from mlops_sink_prometheus.protobuf import PROTOBUF, render_protobuf, wants_protobuf
from mlops_sink_prometheus.sink import PrometheusSink

if TYPE_CHECKING:
    from pathlib import Path

SERIES = SeriesKey("acme", "production", 'tick"ets ☃', "1.0.0")
MESSAGES = {
    "LabelPair": [("name", 1, "string"), ("value", 2, "string")],
    "Gauge": [("value", 1, "double")],
    "Counter": [("value", 1, "double")],
    "Bucket": [("cumulative_count", 1, "uint64"), ("upper_bound", 2, "double")],
    "BucketSpan": [("offset", 1, "sint32"), ("length", 2, "uint32")],
    "Histogram": [
        ("sample_count", 1, "uint64"),
        ("sample_sum", 2, "double"),
        ("bucket", 3, "*Bucket"),
        ("schema", 5, "sint32"),
        ("zero_threshold", 6, "double"),
        ("zero_count", 7, "uint64"),
        ("positive_span", 12, "*BucketSpan"),
        ("positive_delta", 13, "*sint64"),
    ],
    "Metric": [("label", 1, "*LabelPair"), ("gauge", 2, "Gauge"), ("counter", 3, "Counter"), ("histogram", 7, "Histogram")],
    "MetricFamily": [("name", 1, "string"), ("help", 2, "string"), ("type", 3, "int32"), ("metric", 4, "*Metric")],
}
"""Fields by name, number and type of metrics.proto as far as they are written; * is repeated."""


def family_class() -> Any:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package="check", syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for label, number, kind in fields:
            plain = kind.lstrip("*")
            made = message.field.add(name=label, number=number, label=field.LABEL_REPEATED if kind != plain else field.LABEL_OPTIONAL)
            if plain in MESSAGES:
                made.type, made.type_name = field.TYPE_MESSAGE, f".check.{plain}"
            else:
                made.type = getattr(field, f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("check.MetricFamily"))


def parsed(body: bytes) -> dict[str, Any]:
    """Families by name; nothing may be left over, and nothing unknown be in them."""
    kind, found, at = family_class(), {}, 0
    while at < len(body):
        length, at = _DecodeVarint32(body, at)
        family = kind.FromString(body[at : at + length])
        assert family.SerializeToString() == body[at : at + length]
        found[family.name] = family
        at += length
    return found


def buckets_of(histogram: Any) -> dict[int, int]:
    """The native buckets, by Prometheus's rule: spans are gaps and lengths, counts are differences."""
    found, index, count, deltas = {}, 0, 0, iter(histogram.positive_delta)
    for span in histogram.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            found[index] = count
            index += 1
    assert list(deltas) == []
    return found


def test_what_protobuf_reads_is_what_was_counted() -> None:
    seconds = [0.0, 1e-10, 0.001, 0.001, 0.00101, 0.02, 0.5, 0.5001, 1.0, 70.0, 1e6]
    value = ValueSum(1, 0.25, 0.25, segment().start)
    window = Window(
        11, 3, errors_by_type={"Timeout": 2}, latency_sum=math.fsum(seconds), histogram=histogram_of(seconds), values={"live.f1": value}
    )
    found = parsed(render_protobuf(samples_of({SERIES: window}, 0)))
    assert {name: family.type for name, family in found.items()} == {
        "mlops_predictions_total": 0,
        "mlops_predictions_failed_total": 0,
        "mlops_prediction_errors_total": 0,
        "mlops_prediction_latency_seconds": 4,
        "mlops_value": 1,
        "mlops_value_timestamp_seconds": 1,
    }
    place = {"tenant": "acme", "environment": "production", "model": 'tick"ets ☃', "version": "1.0.0"}
    (total,) = found["mlops_predictions_total"].metric
    assert ({pair.name: pair.value for pair in total.label}, total.counter.value) == (place, 11)
    assert [one.counter.value for one in found["mlops_prediction_errors_total"].metric] == [2, 1]
    assert found["mlops_value"].metric[0].gauge.value == 0.25
    histogram = found["mlops_prediction_latency_seconds"].metric[0].histogram
    assert (histogram.sample_count, histogram.sample_sum, histogram.schema) == (11, math.fsum(seconds), 5)
    assert (histogram.zero_threshold, histogram.zero_count) == (2.0**-30, 2)
    assert buckets_of(histogram) == {index: count for index, count in window.histogram.items() if index != ZERO}
    growth = 2.0 ** (2.0**-histogram.schema)
    assert all(
        any(growth ** (index - 1) < one * (1 + 1e-12) and one <= growth**index * (1 + 1e-12) for one in seconds)
        for index in buckets_of(histogram)
    )
    assert [one.cumulative_count for one in histogram.bucket][-2:] == [9, 11]
    assert histogram.bucket[-1].upper_bound == math.inf
    assert [one.upper_bound for one in histogram.bucket][:-1] == [2.0**power for power in range(-14, 7)]


def test_a_histogram_of_nothing_is_still_a_native_one() -> None:
    found = parsed(render_protobuf(samples_of({SERIES: Window()}, 0)))
    histogram = found["mlops_prediction_latency_seconds"].metric[0].histogram
    assert [(span.offset, span.length) for span in histogram.positive_span] == [(0, 0)]
    assert (histogram.sample_count, list(histogram.positive_delta)) == (0, [])


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        (PROTOBUF, True),
        (PROTOBUF.replace("; ", ";"), True),
        (f"{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", True),
        (f"{PROTOBUF};q=0.2,text/plain;version=0.0.4;q=0.3", False),
        (f"{PROTOBUF};q=0", False),
        (f"{PROTOBUF};q=much", False),
        (PROTOBUF.replace("delimited", "text"), False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
    ],
)
def test_the_header_decides(accept: str, wanted: bool) -> None:  # noqa: FBT001  a parameter
    assert wants_protobuf(accept) is wanted


@pytest.mark.parametrize("native", [True, False])
def test_it_is_offered_where_it_is_configured(tmp_path: Path, native: bool) -> None:  # noqa: FBT001  a parameter
    sink = PrometheusSink(path=tmp_path / "prometheus.db", port=0, native=native)
    sink.write([segment()])
    sink.listen()
    while sink.address is None:
        time.sleep(0.01)
    asked = urllib.request.Request(str(sink.address), headers={"Accept": PROTOBUF})  # noqa: S310  an address of this test
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310  the same
        kind, body = answer.headers["Content-Type"], answer.read()
    sink.close()
    if native:
        assert kind == PROTOBUF
        assert parsed(body)["mlops_predictions_total"].metric[0].counter.value == 1
    else:
        assert (kind, body.decode()) == ("text/plain; version=0.0.4; charset=utf-8", sink.text())
