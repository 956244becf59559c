"""``sink.otel``: what a receiver hears, and what becomes of what it says."""

from __future__ import annotations

import gzip
import math
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, evolve, field
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse

from mlops_core.exceptions import MonitoringError
from mlops_core.records import SeriesKey, ValueSum, Window
from mlops_core.records.histogram import ZERO, bucket, histogram_of, upper_bound
from mlops_core.testing.sink_suite import MonitorSinkSuite, segment
from mlops_sink_otel.sink import OtelSink

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
SERIES = SeriesKey("acme", "production", "tickets", "1.0.0")
PLACE = {"tenant": "acme", "environment": "production", "model": "tickets", "version": "1.0.0"}
NANOS = 1_000_000_000


@define(eq=False)
class Receiver:
    """An OTLP receiver: remembers requests, and answers as told, ``answers`` first."""

    answers: list[tuple[int, dict[str, str], bytes]] = field(factory=list)
    headers: list[dict[str, str]] = field(factory=list)
    requests: list[ExportMetricsServiceRequest] = field(factory=list)
    paths: list[str] = field(factory=list)
    connections: set[int] = field(factory=set)
    delay: float = 0.0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/metrics"

    def hear(self, handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        time.sleep(self.delay)
        if handler.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.paths.append(handler.path)
        self.headers.append(dict(handler.headers))
        self.connections.add(handler.client_address[1])
        self.requests.append(ExportMetricsServiceRequest.FromString(body))
        return self.answers.pop(0) if self.answers else (200, {}, ExportMetricsServiceResponse().SerializeToString())

    def metrics(self) -> dict[str, Any]:
        """All metrics of all requests by name: lists of data points."""
        found: dict[str, Any] = {}
        for metric in (
            one for request in self.requests for whole in request.resource_metrics for part in whole.scope_metrics for one in part.metrics
        ):
            kind = metric.WhichOneof("data")
            assert kind is not None
            found.setdefault(metric.name, []).extend(getattr(metric, kind).data_points)
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    heard = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, headers, body = heard.hear(self)
            self.send_response(status)
            for name, value in {"Content-Type": "application/x-protobuf", "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            with suppress(OSError):  # who asked may have given up
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        heard.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


@pytest.fixture
def sink(receiver: Receiver) -> Iterator[OtelSink]:
    made = OtelSink(url=receiver.url)
    yield made
    made.close()


class TestContract(MonitorSinkSuite):
    @pytest.fixture
    def sink(self, receiver: Receiver) -> OtelSink:
        return OtelSink(url=receiver.url)


def attributes(one: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in one.attributes}


# --- what is sent


def test_a_segment_is_one_point_of_each_metric_with_its_times(receiver: Receiver, sink: OtelSink) -> None:
    value = ValueSum(2, 1.5, 0.5, AT + timedelta(milliseconds=300))
    sink.write([segment(7, 1, total=5, errors=2, errors_by_type={"Timeout": 2}, values={"live.f1": value})])
    found = receiver.metrics()
    assert sorted(found) == ["mlops.prediction.errors", "mlops.prediction.latency", "mlops.predictions", "mlops.value"]
    start = int((AT + timedelta(seconds=1)).timestamp()) * NANOS
    for name in ("mlops.prediction.errors", "mlops.prediction.latency", "mlops.predictions"):
        (point,) = found[name]
        assert (point.start_time_unix_nano, point.time_unix_nano) == (start, start + NANOS)
    assert (found["mlops.predictions"][0].as_int, attributes(found["mlops.predictions"][0])) == (5, PLACE)
    assert found["mlops.prediction.errors"][0].as_int == 2
    assert attributes(found["mlops.prediction.errors"][0]) == {**PLACE, "error.type": "Timeout"}
    (gauge,) = found["mlops.value"]
    assert (gauge.as_double, gauge.time_unix_nano, attributes(gauge)) == (0.5, start - 700_000_000, {**PLACE, "name": "live.f1"})


def test_sums_are_monotonic_deltas_and_carry_their_units(receiver: Receiver, sink: OtelSink) -> None:
    sink.write([segment(errors=1, errors_by_type={"Timeout": 1})])
    (whole,) = receiver.requests[0].resource_metrics
    (scope,) = whole.scope_metrics
    assert attributes(whole.resource) == {"service.name": "mlops", "service.instance.id": attributes(whole.resource)["service.instance.id"]}
    assert attributes(whole.resource)["service.instance.id"].endswith(f"/{os.getpid()}")
    assert scope.scope.name == "mlops_core.monitoring"
    by_name = {metric.name: metric for metric in scope.metrics}
    for name in ("mlops.predictions", "mlops.prediction.errors"):
        assert (by_name[name].unit, by_name[name].sum.is_monotonic, by_name[name].sum.aggregation_temporality) == ("{prediction}", True, 1)
    assert by_name["mlops.prediction.latency"].unit == "s"
    assert by_name["mlops.prediction.latency"].exponential_histogram.aggregation_temporality == 1


def test_buckets_are_handed_over_as_they_are(receiver: Receiver, sink: OtelSink) -> None:
    """By OTLP's rule bucket i of scale 5 holds (g ** i, g ** (i + 1)]: what was recorded lies in the bucket that counts it."""
    seconds = [0.0, 2.0**-30, 1e-9, 2.0**-29, 0.001, 0.25, 0.2500001, 1.0, 1.0, 2.0, 31_000_000.0]
    sink.write([segment(total=len(seconds), latency_sum=math.fsum(seconds), histogram=histogram_of(seconds))])
    (point,) = receiver.metrics()["mlops.prediction.latency"]
    assert point.scale == 5
    assert (point.count, point.sum) == (len(seconds), math.fsum(seconds))
    growth = 2.0 ** (2.0**-point.scale)
    zero = [one for one in seconds if one <= point.zero_threshold]
    assert (point.zero_count, point.zero_threshold) == (len(zero), 2.0**-30)
    counted = {point.positive.offset + place: count for place, count in enumerate(point.positive.bucket_counts) if count}
    expected: dict[int, int] = {}
    for one in seconds:
        if one > point.zero_threshold:
            (index,) = (i for i in range(-1000, 1100) if growth**i * (1 + 1e-12) < one <= growth ** (i + 1) * (1 + 1e-12))
            expected[index] = expected.get(index, 0) + 1
    assert counted == expected
    assert sum(point.positive.bucket_counts) + point.zero_count == point.count
    assert {index + 1: count for index, count in counted.items()} == {
        bucket(one): seconds.count(one) for one in seconds if bucket(one) != ZERO
    }
    assert all(growth ** (index + 1) == pytest.approx(upper_bound(index + 1)) for index in counted)


def test_a_histogram_of_nothing_but_zeros_has_no_buckets(receiver: Receiver, sink: OtelSink) -> None:
    sink.write([segment(total=3, latency_sum=0.0, histogram={ZERO: 3})])
    (point,) = receiver.metrics()["mlops.prediction.latency"]
    assert (point.count, point.zero_count, list(point.positive.bucket_counts)) == (3, 3, [])


def test_sums_over_all_points_are_those_of_the_merged_segments(receiver: Receiver, sink: OtelSink) -> None:
    segments = [
        segment(number, number, total=number, errors=number % 3, errors_by_type={"Timeout": number % 3}, histogram={-number: number})
        for number in range(1, 200)
    ]
    sink.write(segments[:120])
    sink.write(segments[120:])
    merged, found = Window.merge(segments), receiver.metrics()
    assert len(receiver.requests) == 2
    assert sum(point.as_int for point in found["mlops.predictions"]) == merged.total
    assert sum(point.as_int for point in found["mlops.prediction.errors"]) == merged.errors
    counts: dict[int, int] = {}
    for point in found["mlops.prediction.latency"]:
        for place, count in enumerate(point.positive.bucket_counts):
            counts[point.positive.offset + place + 1] = counts.get(point.positive.offset + place + 1, 0) + count
    assert {index: count for index, count in sorted(counts.items()) if count} == dict(merged.histogram)


def test_a_segment_of_values_only_says_nothing_of_predictions(receiver: Receiver, sink: OtelSink) -> None:
    sink.write([segment(total=0, latency_sum=0.0, histogram={}, values={"live.f1": ValueSum(1, 0.5, 0.5)})])
    (point,) = receiver.metrics()["mlops.value"]
    assert list(receiver.metrics()) == ["mlops.value"]
    assert point.time_unix_nano == int((AT + timedelta(seconds=1)).timestamp()) * NANOS


def test_segments_without_figures_are_not_worth_a_request(receiver: Receiver, sink: OtelSink) -> None:
    sink.write([segment(total=0, latency_sum=0.0, histogram={}, sample=({"prediction_id": "p1"},))])
    assert receiver.requests == []


def test_errors_without_a_type_are_other_ones(receiver: Receiver, sink: OtelSink) -> None:
    sink.write([segment(errors=3, errors_by_type={"Timeout": 1})])
    kinds = {attributes(point)["error.type"]: point.as_int for point in receiver.metrics()["mlops.prediction.errors"]}
    assert kinds == {"Timeout": 1, "other": 2}


def test_text_that_utf_8_cannot_hold_costs_no_count(receiver: Receiver, sink: OtelSink) -> None:
    sink.write([segment(series=evolve(SERIES, model="naïve ☃"), errors=1, errors_by_type={"caf\udce9 \x00": 1})])
    (point,) = receiver.metrics()["mlops.prediction.errors"]
    assert (attributes(point)["model"], attributes(point)["error.type"]) == ("naïve ☃", "caf? \x00")


@pytest.mark.parametrize(
    "fields",
    [
        {"total": -1},
        {"errors": 1, "errors_by_type": {"Timeout": -1}},
        {"histogram": {0: -1}},
        {"latency_sum": math.nan},
        {"latency_sum": math.inf},
        {"values": {"live.f1": ValueSum(1, math.nan, math.nan)}},
        {"total": 2**63},
        {"histogram": {0: 2**64}},
    ],
)
def test_what_otlp_cannot_say_is_refused_and_nothing_is_sent(receiver: Receiver, sink: OtelSink, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not finite|range"):
        sink.write([segment(1), evolve(segment(2), **fields)])
    assert receiver.requests == []


def test_the_same_segments_make_the_same_body() -> None:
    from mlops_sink_otel.message import message_of

    one = segment(errors=2, errors_by_type={"b": 1, "a": 1}, values={"live.b": ValueSum(1, 1, 1), "live.a": ValueSum(1, 1, 1)})
    other = evolve(one, errors_by_type={"a": 1, "b": 1}, values={"live.a": ValueSum(1, 1, 1), "live.b": ValueSum(1, 1, 1)})
    assert message_of([one], {"x": "1"}) == message_of([other], {"x": "1"})


# --- how it is sent


def test_bodies_are_compressed_unless_told_otherwise(receiver: Receiver, sink: OtelSink) -> None:
    sink.write([segment()])
    plain = OtelSink(url=receiver.url, compression="none")
    plain.write([segment()])
    plain.close()
    assert [one.get("Content-Encoding") for one in receiver.headers] == ["gzip", None]
    assert {one["Content-Type"] for one in receiver.headers} == {"application/x-protobuf"}
    assert receiver.requests[0] == receiver.requests[1]


def test_headers_path_and_resource_are_those_of_the_options(receiver: Receiver) -> None:
    sink = OtelSink(url=f"{receiver.url}?key=1", headers={"Authorization": "Bearer t0ken"}, service="tickets", resource={"region": "eu"})
    sink.write([segment()])
    sink.close()
    assert receiver.headers[0]["Authorization"] == "Bearer t0ken"
    assert receiver.paths == ["/v1/metrics?key=1"]
    told = attributes(receiver.requests[0].resource_metrics[0].resource)
    assert (told["service.name"], told["region"]) == ("tickets", "eu")


def test_a_connection_is_kept_and_made_anew_when_the_server_has_closed_it(receiver: Receiver, sink: OtelSink) -> None:
    sink.write([segment(1)])
    sink.write([segment(2)])
    assert len(receiver.connections) == 1
    receiver.answers = [(200, {"Connection": "close"}, b"")]
    sink.write([segment(3)])
    sink.write([segment(4)])
    assert len(receiver.connections) == 2


def test_threads_write_at_once(receiver: Receiver, sink: OtelSink) -> None:
    def write(offset: int) -> None:
        for sequence in range(10):
            sink.write([segment(sequence, writer=f"w{offset}")])

    threads = [threading.Thread(target=write, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(point.as_int for point in receiver.metrics()["mlops.predictions"]) == 40
    assert len(receiver.connections) <= 4


def test_a_forked_child_has_a_connection_of_its_own(receiver: Receiver) -> None:
    program = """
import os, sys
from mlops_core.testing.sink_suite import segment
from mlops_sink_otel.sink import OtelSink
sink = OtelSink(url=sys.argv[1])
sink.write([segment(1)])
child = os.fork()
sink.write([segment(2)])
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sink.write([segment(3)])
"""
    subprocess.run([sys.executable, "-c", program, receiver.url], check=True, timeout=60)
    assert len(receiver.requests) == 4
    assert len(receiver.connections) == 2


def test_check_sends_no_metrics(receiver: Receiver, sink: OtelSink) -> None:
    sink.check()
    assert receiver.requests == [ExportMetricsServiceRequest()]


# --- what is answered


def test_points_that_the_receiver_dropped_are_logged(receiver: Receiver, sink: OtelSink, caplog: pytest.LogCaptureFixture) -> None:
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 3
    answer.partial_success.error_message = "secret words"
    receiver.answers = [(200, {}, answer.SerializeToString()), (200, {}, b"no protobuf"), (202, {}, b"")]
    for sequence in range(3):
        sink.write([segment(sequence)])
    assert caplog.messages == [f"sink.otel: 127.0.0.1:{receiver.port}: it took the request and dropped 3 data points - its log says why"]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_receiver_refuses_is_refused(receiver: Receiver, sink: OtelSink, status: int) -> None:
    receiver.answers = [(status, {}, b"secret words")]
    with pytest.raises(ValueError, match=rf"sink\.otel: 127\.0\.0\.1:\d+: answered {status} ") as caught:
        sink.write([segment()])
    assert not isinstance(caught.value, MonitoringError)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (302, "answered 302 Found - redirects are not followed: give the address that it leads to as url"),
        (401, "answered 401 Unauthorized - give it valid credentials in headers"),
        (403, "answered 403 Forbidden - give it valid credentials in headers"),
        (404, "answered 404 Not Found - correct the path of url: an OTLP receiver has /v1/metrics"),
        (415, "answered 415 Unsupported Media Type - it does not take this encoding: set compression to none"),
        (500, "answered 500 Internal Server Error - look at its log; what it lacks is sent again"),
        (503, "answered 503 Service Unavailable - look at its log; what it lacks is sent again"),
        (599, "answered 599 - look at its log; what it lacks is sent again"),
    ],
)
def test_any_other_answer_is_an_outage_in_one_line(receiver: Receiver, status: int, said: str) -> None:
    sink = OtelSink(url=f"{receiver.url}?key=s3cret", headers={"Authorization": "Bearer s3cret"})
    receiver.answers = [(status, {"Location": "http://s3cret.example/"}, b"s3cret")]
    with pytest.raises(MonitoringError) as caught:
        sink.write([segment(1)])
    assert caught.value.message.startswith(f"sink.otel: 127.0.0.1:{receiver.port}: {said}")
    assert "s3cret" not in caught.value.message
    assert "\n" not in caught.value.message
    sink.write([segment(1)])
    sink.close()
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_us_to_wait_is_left_alone_so_long(receiver: Receiver, sink: OtelSink, status: int) -> None:
    receiver.answers = [(status, {"Retry-After": "1"}, b"")]
    for _ in range(3):
        with pytest.raises(MonitoringError, match=r"answered|asked us to wait 1 s more"):
            sink.write([segment()])
    assert len(receiver.requests) == 1
    time.sleep(1.05)
    sink.write([segment()])
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("told", ["soon", "-5", "", "Wed, 01 Jan 2020 00:00:00 GMT", "1e9"])
def test_a_wait_that_is_none_is_ignored(receiver: Receiver, sink: OtelSink, told: str) -> None:
    receiver.answers = [(503, {"Retry-After": told}, b"")]
    with pytest.raises(MonitoringError):
        sink.write([segment()])
    sink.write([segment()])
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    "told", ["9" * 400, format_datetime(datetime.now(UTC) + timedelta(days=300), usegmt=True)], ids=["seconds", "a date"]
)
def test_a_wait_is_five_minutes_at_most(receiver: Receiver, sink: OtelSink, told: str) -> None:
    receiver.answers = [(503, {"Retry-After": told}, b"")]
    for said in ("answered 503", r"asked us to wait (300|299) s more"):
        with pytest.raises(MonitoringError, match=said):
            sink.write([segment()])


def test_a_server_that_is_down_is_an_outage_and_comes_back(receiver: Receiver) -> None:
    sink = OtelSink(url="http://127.0.0.1:9/v1/metrics")
    with pytest.raises(MonitoringError, match=r"^sink\.otel: 127\.0\.0\.1:9: nobody listens there - start it, or correct url$"):
        sink.write([segment()])
    sink.close()


def test_a_server_that_does_not_answer_is_given_up_after_the_timeout(receiver: Receiver) -> None:
    receiver.delay = 1.0
    sink = OtelSink(url=receiver.url, send_timeout=0.1)
    began = time.monotonic()
    with pytest.raises(MonitoringError, match=r"no answer within 0\.1 s - is it overloaded"):
        sink.write([segment()])
    assert time.monotonic() - began < 0.9
    receiver.delay = 0.0
    sink.write([segment()])
    sink.close()


def test_a_server_that_speaks_no_http_is_one_line() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail ready\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        sink = OtelSink(url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1/metrics")
        with pytest.raises(MonitoringError, match="answers, but not as HTTP does"):
            sink.write([segment()])
        thread.join()


def test_tls_that_is_none_is_one_line(receiver: Receiver) -> None:
    with pytest.raises(MonitoringError, match="does not speak TLS as expected - is it http and not https"):
        OtelSink(url=receiver.url.replace("http", "https")).write([segment()])


def test_a_proxy_is_used_but_not_to_reach_this_machine(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:s3cret@127.0.0.1:{receiver.port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    far, near = OtelSink(url="http://collector.invalid:4318/v1/metrics"), OtelSink(url=receiver.url)
    for sink in (far, near):
        sink.write([segment()])
        sink.close()
    assert receiver.paths == ["http://collector.invalid:4318/v1/metrics", "/v1/metrics"]
    assert [one.get("Proxy-Authorization") for one in receiver.headers] == ["Basic dXNlcjpzM2NyZXQ=", None]


def test_the_core_catches_up_after_an_outage_and_gives_up_only_what_is_refused(receiver: Receiver, tmp_path: Any) -> None:
    """Through the whole of monitoring: the receiver is busy, refuses once, and then has everything."""
    from mlops_core import ModelMonitoring
    from mlops_core.config.settings import MonitoringSettings, Settings, Use
    from mlops_core.stack import compose

    settings = Settings(tenant="acme", monitoring=MonitoringSettings(sinks=(Use("otel", {"url": receiver.url}, key="monitoring.sinks"),)))
    stack = compose(settings, tmp_path)
    receiver.answers = [(503, {}, b""), (500, {}, b"")]
    with ModelMonitoring(stack=stack) as monitoring:
        for number in range(10):
            monitoring.track_prediction("tickets", 0.1, number > 0, None if number else "Timeout")
        monitoring.flush(20)
    stack.parts.close()
    assert len(receiver.requests) >= 3
    del receiver.requests[:2]
    assert sum(point.as_int for point in receiver.metrics()["mlops.predictions"]) == 10
    assert sum(point.as_int for point in receiver.metrics()["mlops.prediction.errors"]) == 1


# --- options


def test_is_found_under_its_name() -> None:
    (entry,) = entry_points(group="mlops_core.sink", name="otel")
    assert entry.load().mlops_monitor_sink() is OtelSink


def test_the_hook_loads_no_protobuf_before_it_is_called() -> None:
    program = "import sys, mlops_sink_otel; print('google.protobuf' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_secrets_are_in_no_repr() -> None:
    sink = OtelSink(url="http://h.example/v1/metrics?key=s3cret", headers={"Authorization": "s3cret"})
    assert "s3cret" not in repr(sink)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "collector:4318"}, "url: expected an http or https address"),
        ({"url": "ftp://h.example/"}, "url: expected an http or https address"),
        ({"url": "http://h.example/a b"}, "url: expected an http or https address"),
        ({"url": "http://h.example:99999999/"}, "url: expected an http or https address"),
        ({"url": "http://me:s3cret@h.example/"}, "url: holds a user or a password - give them in headers"),
        ({"url": "http://h.example/#s3cret"}, "url: what stands after # is never sent"),
        ({"headers": {"a b": "s3cret"}}, "headers: 'a b' is no name of a header"),
        ({"headers": {"Content-Type": "s3cret"}}, "headers: Content-Type is set by the sink itself"),
        ({"headers": {"X-Key": "s3cret\n"}}, "headers: the value of X-Key is not one line of ASCII"),
        ({"resource": {"": "x"}}, "resource: an attribute has no name"),
    ],
)
def test_options_that_cannot_be_are_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(MonitoringError) as caught:
        OtelSink(**options)
    assert caught.value.message.startswith(said)
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("options", [{"compression": "zstd"}, {"send_timeout": 0.0}, {"send_timeout": 1e9}, {"service": ""}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        OtelSink(**options)
