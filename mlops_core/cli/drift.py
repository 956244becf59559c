"""``mlops drift``: two files, or a file and a version's reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mlops_core.cli.options import Session, project_options
from mlops_core.cli.tables import read_table
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from mlops_core.drift.results import DataDrift

__all__ = ["command"]

_DRIFT = 3
_FORMS: Final = {".html": "to_html", ".md": "to_markdown", ".json": "to_json"}
_SHOWN = 10  # comparisons without drift that are worth a look


@click.command("drift")
@click.argument("reference", type=click.Path(path_type=Path), required=False)
@click.argument("current", type=click.Path(path_type=Path), required=False)
@click.option("--model", help="Compare one file with the reference of this model's version instead.")
@click.option("--version", "model_version", help="The version; @ALIAS works. Default: the newest.")
@click.option("--columns", help="Only these columns, separated by commas.")
@click.option("--schema", help="Kinds of columns that are not those of their values, such as comment=text,zip=category.")
@click.option("--tests", help="Tests, separated by commas. Default: the configured ones.")
@click.option("--threshold", type=float, help="Largest adjusted p-value that counts as drift. Default: drift.alpha.")
@click.option("--min-effect", type=float, help="Smallest effect size that counts. Default: drift.min_effect.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a report: a page (.html), .md or .json by its name.")
@click.option("--all", "everything", is_flag=True, help="Show every comparison. Default: those with drift, and the ten nearest to it.")
@project_options
def command(session: Session, reference: Path | None, current: Path | None, model: str | None, report: Path | None, **asked: Any) -> int:
    """Compare two CSV, Parquet or Arrow files column by column. Exits 0 without drift, 3 with drift."""
    if report is not None and report.suffix.lower() not in _FORMS:
        raise click.UsageError(f"--report: {report.name!r} ends with none of {', '.join(_FORMS)} - give a name such as drift.html")
    given = [path for path in (reference, current) if path is not None]
    if len(given) != (1 if model else 2):
        raise click.UsageError("give two files, or --model MODEL and one file")
    columns = asked["columns"].split(",") if asked["columns"] else None
    tests = asked["tests"].split(",") if asked["tests"] else None
    options = {"threshold": asked["threshold"], "columns": columns, "min_effect": asked["min_effect"], "schema": _kinds(asked["schema"])}
    detector = session.project.drift
    if model:
        found = detector.check_version(model, asked["model_version"], read_table(given[0], session.project.stack), tests=tests, **options)
    else:
        found = detector.detect_data_drift(
            read_table(given[0], session.project.stack), read_table(given[1], session.project.stack), tests=tests, **options
        )
    if report is not None:
        _write(report, getattr(found, _FORMS[report.suffix.lower()])())
    _show(session, found, everything=asked["everything"])
    return _DRIFT if found.drift_detected else 0


def _kinds(given: str | None) -> dict[str, Any] | None:
    """``name=kind`` pairs, separated by commas; a name may hold an equals sign, a kind holds none."""
    pairs = [one.rpartition("=") for one in (given or "").split(",") if one]
    wrong = next((kind for name, _, kind in pairs if not name), None)
    if wrong is not None:
        raise click.UsageError(f"--schema: {wrong!r} is not written COLUMN=KIND - give pairs such as comment=text")
    return {name: kind for name, _, kind in pairs} or None


def _write(report: Path, text: str) -> None:
    try:
        report.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DriftDetectionError(f"drift: --report: {report} cannot be written: {error.strerror or error} - give another file") from error


def _show(session: Session, found: DataDrift, *, everything: bool) -> None:
    session.out.record(found)
    ranked = sorted(found.outcomes, key=lambda one: (not one.drifted, one.adjusted_p_value, -one.effect_size))
    shown = ranked if everything else ranked[: sum(one.drifted for one in ranked) + _SHOWN]
    rows = [
        (one.column, one.test, one.statistic, one.p_value, one.adjusted_p_value, one.effect_size, "drift" if one.drifted else None)
        for one in shown
    ]
    session.out.table("Columns", ("column", "test", "statistic", "p", "adjusted p", "effect", "verdict"), rows)
    if len(shown) < len(ranked):
        session.out.line(f"{len(ranked) - len(shown)} more without drift - `--all` shows them")
    untested = (*found.new_columns, *found.missing_columns, *found.untested_columns)
    if untested:
        session.out.line(f"not compared: {', '.join(untested)}", style="yellow", wrap=True)
    verdict = f"drift in {', '.join(found.drifted_columns)}" if found.drift_detected else "no drift"
    session.out.line(f"{verdict}: smallest adjusted p {found.p_value:.3g}, threshold {found.threshold:g}", wrap=True)
