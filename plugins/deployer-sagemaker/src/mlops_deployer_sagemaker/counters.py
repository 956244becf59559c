"""How often each variant answered and failed, from CloudWatch's minutes.

A minute belongs to a routing revision if it lies within the time in which that revision, and nothing else, held. Any other has requests of
two sets of routes in it and is left out. All is counted anew at each look, so figures that CloudWatch has late come in at the next.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.records import VariantCount
from mlops_deployer_sagemaker.record import KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlops_deployer_sagemaker.aws import Aws
    from mlops_deployer_sagemaker.record import Span

__all__ = ["count_requests", "whole_minutes"]

_MINUTE: Final = timedelta(minutes=1)
_METRICS: Final = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
_MOST: Final = 500  # queries of one request

Minutes = dict[datetime, float]


def whole_minutes(begun: datetime, ended: datetime) -> tuple[datetime, datetime]:
    """The minutes within a time: from the first that begins in it to the last that ends in it."""
    first = begun.replace(second=0, microsecond=0)
    return first if first == begun else first + _MINUTE, ended.replace(second=0, microsecond=0)


def count_requests(aws: Aws, endpoint: str, spans: Sequence[Span], now: datetime) -> tuple[VariantCount, ...]:
    """Totals per version and revision. A request that the model's server called the client's mistake, 4XX, is counted in neither figure."""
    kept = [(span, *whole_minutes(max(span.begun, now - KEPT), span.ended)) for span in spans]
    kept = [one for one in kept if one[1] < one[2]]
    if not kept:
        return ()
    names = sorted({variant.name for span, _, _ in kept for variant in span.variants})
    minutes = _minutes(aws, endpoint, names, min(one[1] for one in kept), max(one[2] for one in kept))
    sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for span, first, last in kept:
        for variant in span.variants:
            asked, mistaken, failed = (_within(minutes[variant.name, metric], first, last) for metric in _METRICS)
            sums[variant.version, span.revision][0] += max(0, asked - mistaken)
            sums[variant.version, span.revision][1] += failed
    return tuple(VariantCount(version, revision, total, errors) for (version, revision), (total, errors) in sorted(sums.items()))


def _within(minutes: Minutes, first: datetime, last: datetime) -> int:
    return round(sum(value for at, value in minutes.items() if first <= at < last))


def _minutes(aws: Aws, endpoint: str, names: Sequence[str], first: datetime, last: datetime) -> Mapping[tuple[str, str], Minutes]:
    wanted = [(name, metric) for name in names for metric in _METRICS]
    found: dict[tuple[str, str], Minutes] = defaultdict(dict)
    for start in range(0, len(wanted), _MOST):
        queries = [_query(f"q{at}", endpoint, *wanted[at]) for at in range(start, min(start + _MOST, len(wanted)))]
        for page in _pages(aws, MetricDataQueries=queries, StartTime=first, EndTime=last, ScanBy="TimestampAscending"):
            for result in page["MetricDataResults"]:
                minutes = found[wanted[int(result["Id"][1:])]]
                minutes.update((at.astimezone(UTC), value) for at, value in zip(result["Timestamps"], result["Values"], strict=True))
    return found


def _pages(aws: Aws, **asked: Any) -> Iterator[Any]:
    with aws.errors("cloudwatch:GetMetricData"):
        while True:
            answer = aws.call("cloudwatch", "get_metric_data", **asked)
            yield answer
            if not (token := answer.get("NextToken")):
                return
            asked["NextToken"] = token


def _query(name: str, endpoint: str, variant: str, metric: str) -> dict[str, Any]:
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    stat = {"Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions}, "Period": 60, "Stat": "Sum"}
    return {"Id": name, "MetricStat": stat}
