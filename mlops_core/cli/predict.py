"""``mlops predict``: send rows to a deployed model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlops_core.cli.options import DURATION, Session, project_options
from mlops_core.cli.tables import read_table
from mlops_core.exceptions import ConfigError

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["command"]


@click.command("predict")
@click.argument("model")
@click.argument("data")
@click.option("--environment", default="production", show_default=True, help="Where to send it.")
@click.option("--unit", help="Who asks: the same unit meets the same variant.")
@click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait for the answer.")
@project_options
def command(session: Session, model: str, data: str, environment: str, unit: str | None, timeout: timedelta) -> None:
    """Send DATA to MODEL: a CSV, Parquet or JSON file, JSON text, or - for JSON on standard input.

    JSON is an object of columns, {"x": [1, 2]}, or a list of rows, [{"x": 1}, {"x": 2}].
    """
    columns = _columns(data, session)
    prediction = session.project.deployment.predict(model, environment, columns, unit=unit, timeout=timeout.total_seconds())
    session.out.record(prediction)
    names = list(prediction.outputs)
    rows = list(zip(*(prediction.outputs[name] for name in names), strict=True))
    session.out.table(f"{model} {prediction.version} ({prediction.prediction_id})", names, rows)


def _columns(data: str, session: Session) -> Any:
    if data == "-":
        return _from_json(sys.stdin.read(), "standard input")
    if data.lstrip().startswith(("{", "[")):
        return _from_json(data, "DATA")
    path = Path(data)
    if path.suffix == ".json" and path.is_file():
        return _from_json(path.read_text(encoding="utf-8"), data)
    return read_table(path, session.project.stack)


def _from_json(text: str, where: str) -> dict[str, list[Any]]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f'{where}: not JSON: {error} - write {{"x": [1, 2]}}') from error
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        names = dict.fromkeys(name for row in value for name in row)
        return {name: [row.get(name) for row in value] for name in names}
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        return value
    raise ConfigError(f'{where}: expected columns {{"x": [1, 2]}} or rows [{{"x": 1}}, {{"x": 2}}]')
