"""``mlops monitor outcomes``: bring what turned out to be right, from a file."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from mlops_core.cli.options import Session, project_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["command"]

_LONGEST_FIELD: Final = 131_072


@click.command("outcomes")
@click.argument("file", type=click.File("rb"))
@click.option("--model", help="The model, where predictions of several may have one id. Default: all that have.")
@click.option("--id", "name_column", default="prediction_id", show_default=True, help="The column of prediction ids.")
@click.option("--label", "label_column", default="label", show_default=True, help="The column of labels.")
@click.option("--row", "row_column", default="row", show_default=True, help="The column of rows within a request, where there is one.")
@project_options
def command(session: Session, file: BinaryIO, model: str | None, name_column: str, label_column: str, row_column: str) -> None:
    """Record the outcomes in FILE, CSV with a header or JSON lines, in UTF-8; - reads standard input. A file may be brought again."""
    outcomes: dict[tuple[str, int], Any] = {}
    unknown = 0
    for place, found in _rows(file):
        for column in (name_column, label_column):
            if column not in found:
                raise click.UsageError(f"{place}: there is no column {column!r} - name the columns with --id and --label")
        name, label = found[name_column], found[label_column]
        if label in (None, ""):
            unknown += 1
            continue
        if not isinstance(name, str) or not name:
            raise click.UsageError(f"{place}: {name_column!r} is {name!r:.40} - write the id of a prediction as text")
        if not isinstance(label, str | int | float) or label != label:  # noqa: PLR0124  only what is no number differs from itself
            raise click.UsageError(f"{place}: {label_column!r} is {label!r:.40} - write a class or a number")
        outcomes.setdefault((name, _row(found.get(row_column), f"{place}: {row_column!r}")), label)  # the first one counts
    if not outcomes and not unknown:
        raise click.UsageError(f"{file.name}: there is no outcome in it - write CSV with a header, or one JSON object a line")
    accepted = session.project.monitoring.record_outcomes(outcomes, model_id=model) if outcomes else 0
    session.out.record({"outcomes": len(outcomes), "accepted": accepted, "without_label": unknown})
    later = f"; {unknown} rows have no label yet" if unknown else ""
    session.out.line(f"{len(outcomes)} outcomes, {accepted} of the share of predictions that is logged{later}")


def _rows(file: BinaryIO) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows by column, with where they stand. What CSV says is text: an id such as 12e45 is no number."""
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file.name}: it is not UTF-8 ({error.reason} at byte {error.start}) - convert it first") from None
    if text.lstrip().startswith(("{", "[")):
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"{file.name}:{number}", _mapping(line, f"{file.name}:{number}")
        return
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            yield f"{file.name}:{reader.line_num}", {str(name): value for name, value in row.items() if name is not None}
    except csv.Error as error:
        raise click.UsageError(f"{file.name}:{reader.line_num}: {error} - fields are at most {_LONGEST_FIELD} characters") from None


def _mapping(line: str, place: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise click.UsageError(f"{place}: {error} - write one JSON object a line") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{place}: it is no JSON object - write one a line")
    return found


def _row(value: Any, what: str) -> int:
    digits = isinstance(value, str) and value.isascii() and value.isdecimal()
    if value in (None, ""):
        return 0
    if isinstance(value, bool) or not (digits or (isinstance(value, int) and value >= 0)):
        raise click.UsageError(f"{what}: {value!r:.40} is no row of a request - write its place, from 0")
    return int(value)
