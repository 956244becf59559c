"""``mlops monitor outcomes``: bring what turned out to be right, from a file."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, TextIO

import click

from mlops_core.cli.options import Session, project_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["command"]


@click.command("outcomes")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.option("--model", help="The model, where predictions of several may have one id. Default: all that have.")
@click.option("--id", "name_column", default="prediction_id", show_default=True, help="The column of prediction ids.")
@click.option("--label", "label_column", default="label", show_default=True, help="The column of labels.")
@click.option("--row", "row_column", default="row", show_default=True, help="The column of rows within a request, where there is one.")
@project_options
def command(session: Session, file: TextIO, model: str | None, name_column: str, label_column: str, row_column: str) -> None:
    """Record the outcomes in FILE, CSV with a header or JSON lines; - reads standard input. A file may be brought again."""
    outcomes: dict[tuple[str, int], Any] = {}
    for place, found in _rows(file):
        for column in (name_column, label_column):
            if found.get(column) in (None, ""):
                raise click.UsageError(f"{place}: there is no {column!r} - name the columns with --id and --label")
        row = found.get(row_column)
        number = 0 if row in (None, "") else _whole(row, f"{place}: {row_column!r}")
        outcomes.setdefault((str(found[name_column]), number), found[label_column])  # the first one counts
    logged = session.project.monitoring.record_outcomes(outcomes, model_id=model)
    session.out.record({"outcomes": len(outcomes), "logged": logged})
    session.out.line(f"{len(outcomes)} outcomes, {logged} of predictions that are logged")


def _rows(file: TextIO) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows by column, with where they stand. What is a number in CSV is written as JSON writes it: 007 is text."""
    text = file.read()
    lines = text.splitlines()
    if text.lstrip().startswith("{"):
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield f"{file.name}:{number}", _mapping(line, f"{file.name}:{number}")
        return
    reader = csv.DictReader(lines)
    for row in reader:
        yield f"{file.name}:{reader.line_num}", {str(name): _value(value) for name, value in row.items() if name is not None}


def _mapping(line: str, place: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise click.UsageError(f"{place}: {error} - write one JSON object a line") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{place}: it is no JSON object - write one a line")
    return found


def _value(text: Any) -> Any:
    """Numbers, and true and false in any case; everything else is text."""
    try:
        found = json.loads(text.lower() if text.lower() in {"true", "false"} else text)
    except (ValueError, AttributeError):
        return text
    return found if isinstance(found, int | float) else text


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise click.UsageError(f"{what}: {value!r:.40} is no row of a request - write its place, from 0")
    return value
