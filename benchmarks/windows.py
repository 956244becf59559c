"""What it takes to answer a window of the past, and how much room a series takes.

    python benchmarks/windows.py [--rounds 100] [--small] [--json] [--check]

A series of 278 predictions a second for 30 days lies in the SQLite sink as the roll-up leaves it: its last two minutes as they were
written, by the tenth of a second, its last hour, a million predictions, by the second, its last day by ten seconds, the rest by the minute.
Windows whose bounds lie within buckets are read from end to end (``get_metrics``) and from the sink alone: wall time, medians of rounds in
which they take turns. Room is the size of a file that holds one day by the minute. ``--check`` exits 1 where a goal is missed; ``--small``
tries everything in seconds, and checks nothing.
"""

from __future__ import annotations

import math
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from _lines import Line, answer, at_most, parser
from _turns import in_turn, seconds

from mlops_core import Project
from mlops_core.records import Segment, SeriesKey, Window
from mlops_core.records.histogram import histogram_of
from mlops_sink_sql.sqlite import SqliteSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlops_core.monitoring import ModelMonitoring
    from mlops_core.roles import MonitorSink

    Part = tuple[datetime, datetime, timedelta]

RATE: Final = 1_000_000 / 3600  # predictions a second
ROOM: Final = 2.2  # MB
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
NOW: Final = datetime(2024, 5, 31, 12, 34, 56, 789000, tzinfo=UTC)
BATCH: Final = 500  # segments, as a delivery brings them at most
DISTRIBUTIONS: Final = ("motadata-mlops-core", "motadata-mlops-sink-sql", "sqlalchemy")
CONFIG: Final = "version: 1\ntracker: []\nmonitoring: {sinks: [{use: sqlite, path: monitoring.db}]}\n"


def segments(series: SeriesKey, parts: Sequence[Part]) -> Iterator[Segment]:
    """Of each part of the time, segments of its width: latencies around 50 ms, lognormal, and a failure in a thousand predictions."""
    random = np.random.default_rng(0)
    usual = histogram_of(random.lognormal(-3, 0.5, 100_000).tolist())
    shares = np.array(list(usual.values())) / 100_000
    sequence = 0
    for first, last, width in parts:
        count = math.ceil(RATE * width.total_seconds())
        for number in range((last - first) // width):
            sequence += 1
            start = first + number * width
            found = dict(zip(usual, random.multinomial(count, shares).tolist(), strict=True))
            errors = int(random.binomial(count, 0.001))
            yield Segment(
                series,
                start,
                start + width,
                "bench",
                sequence,
                total=count,
                errors=errors,
                errors_by_type={"Timeout": errors} if errors else {},
                latency_sum=0.05 * count,
                histogram={place: counted for place, counted in found.items() if counted},
            )


def fill(sink: MonitorSink, series: SeriesKey, parts: Sequence[Part]) -> int:
    """Write segments as long as the resolution that each part has by now; answers how many predictions those are.

    What is not rolled up yet is written one by one, as it is by a process that serves.
    """
    total, batch = 0, []
    for one in segments(series, parts):
        total += one.total
        batch.append(one)
        if len(batch) == BATCH or one.end - one.start < SECOND:
            sink.write(batch)
            batch = []
    sink.write(batch)
    return total


def reads(monitoring: ModelMonitoring, sink: MonitorSink, series: SeriesKey, length: timedelta) -> dict[str, Callable[[], float]]:
    """Rounds of one window: seconds of an answer."""

    def whole() -> object:
        found = monitoring.get_metrics("m", length, end=NOW)
        return found.p50_latency, found.p99_latency

    def alone() -> object:
        return Window.merge(sink.read(series, NOW - length, NOW, merged=True)).p99_latency

    return {"end to end": lambda: seconds(whole), "sink alone": lambda: seconds(alone)}


def windows(place: Path, rounds: int, days: int) -> list[Line]:
    """The lines of the long series."""
    file = place / "mlops.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    minute = NOW.replace(second=0, microsecond=0)
    parts = [
        (minute - days * DAY, minute - DAY, 60 * SECOND),
        (minute - DAY, minute - HOUR, 10 * SECOND),
        (minute - HOUR, minute - 60 * SECOND, SECOND),
        (minute - 60 * SECOND, NOW, SECOND / 10),
    ]
    lengths = {"1 h": (HOUR, 2.0), "1 d": (DAY, 0.0), f"{days} d": (days * DAY, 20.0)}
    with Project.open(file) as project, closing(SqliteSink(path=place / "monitoring.db")) as sink:
        monitoring = project.monitoring
        series = SeriesKey(monitoring.tenant_id, "default", "m", "1")
        total = fill(sink, series, parts)
        monitoring.roll_up(NOW)
        counted = monitoring.get_metrics("m", (days + 1) * DAY, end=NOW).total_predictions
        if counted != total:
            raise SystemExit(f"windows: {counted} predictions are counted of {total}")
        sides = {
            f"{name}, {side}": act for name, (length, _) in lengths.items() for side, act in reads(monitoring, sink, series, length).items()
        }
        took = in_turn(sides, rounds)
    goals = {f"{name}, end to end": goal for name, (_, goal) in lengths.items()}
    return [at_most(name, found * 1000, "ms", goals.get(name, 0)) for name, found in took.items()]


def room(place: Path, days: int) -> Line:
    """Of days by the minute, with everything that lies beside their segments."""
    series = SeriesKey("acme", "default", "m", "1")
    begin = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - days * DAY
    file = place / "room.db"
    with closing(SqliteSink(path=file)) as sink:
        fill(sink, series, [(begin, begin + days * DAY, 60 * SECOND)])
        for hour in range(0, 24 * days, 8):
            start = begin + hour * HOUR
            sink.replace(series, start, start + 8 * HOUR, 60 * SECOND, lambda found: found)
    return at_most("a day by the minute", file.stat().st_size / 1e6 / days, "MB", ROOM)


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=100, help="turns of each side (100)")
    asked = options.parse_args()
    rounds, days = (2, 2) if asked.small else (asked.rounds, 30)
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        lines = [*windows(Path(place), rounds, days), room(Path(place), 2)]
    return answer(asked, lines, DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
