"""A check as a page that needs nothing else, and as the part of it that a notebook shows."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from mlops_core.drift.report.pictures import picture, sketch, text
from mlops_core.drift.report.words import change, findings, level, remarks, share, verdict, whole_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.drift.report.words import Finding
    from mlops_core.drift.results import ColumnOutcome, DataDrift

__all__ = ["fragment", "page"]

_HEADS = ("test", "statistic", "p", "adjusted p", "effect size", "least effect", "rows", "verdict")


def page(drift: DataDrift) -> str:
    """A whole HTML document."""
    title = f"Drift of {drift.model} {drift.version}".rstrip() if drift.model else "Data drift"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{text(title)}</title>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body class="mlops-page">{fragment(drift, title)}</body></html>\n'


def fragment(drift: DataDrift, title: str = "Data drift") -> str:
    """The content with its style; a page of others keeps its own."""
    found = findings(drift)
    parts = [
        f"<style>{_style()}</style>",
        f'<div class="mlops-drift"><h1>{text(title)}</h1>',
        f'<p class="verdict {"found" if drift.drift_detected else "none"}">{text(verdict(drift))}</p>',
        *(f"<p>{text(remark)}</p>" for remark in remarks(drift)),
        '<p class="legend"><span class="key reference"></span>reference <span class="key current"></span>current</p>',
        *_overview(found),
        *(part for place, one in enumerate(found) for part in _section(one, place)),
        *_notes(drift),
        "</div>",
    ]
    return "".join(parts)


def _style() -> str:
    return files(__package__).joinpath("style.css").read_text(encoding="utf-8")


def _overview(found: Sequence[Finding]) -> Iterator[str]:
    """Every column on one line, most drifted first."""
    heads = ("column", "distribution", "adjusted p", "effect size", "missing", "verdict")
    yield f'<table class="overview"><thead><tr>{_cells(heads, "th")}</tr></thead><tbody>'
    for place, one in enumerate(found):
        first = min(one.outcomes, key=lambda outcome: (not outcome.drifted, outcome.adjusted_p_value, -outcome.effect_size))
        drawn = sketch(one.distribution) if one.distribution is not None else ""
        missing = f"{share(first.reference_missing)} → {share(first.current_missing)}" if _any_missing(first) else "none"
        name = text(whole_table(one.column))
        yield f'<tr class="{_mark(drifted=one.drifted)}"><td><a href="#column-{place}">{name}</a></td><td>{drawn}</td>'
        yield _cells((level(one.p_value), f"{first.effect_size:.3g} ({first.test})", missing, _word(drifted=one.drifted))) + "</tr>"
    yield "</tbody></table>"


def _section(one: Finding, place: int) -> Iterator[str]:
    """A column by itself; open where it drifted."""
    yield f'<details id="column-{place}"{" open" if one.drifted else ""}>'
    yield f'<summary class="{_mark(drifted=one.drifted)}">{text(whole_table(one.column))}</summary>'
    told = change(one)
    if told:
        yield f"<p>{text(told)}</p>"
    if one.distribution is not None:
        yield picture(one.distribution)
    yield f"<table><thead><tr>{_cells(_HEADS, 'th')}</tr></thead><tbody>"
    yield from (_row(outcome) for outcome in one.outcomes)
    yield "</tbody></table></details>"


def _row(one: ColumnOutcome) -> str:
    figures = f"{one.statistic:.4g}", level(one.p_value), level(one.adjusted_p_value), f"{one.effect_size:.3g}", f"{one.min_effect:g}"
    cells = _cells((*figures, f"{one.n:,} / {one.m:,}", _word(drifted=one.drifted)))
    return f'<tr class="{_mark(drifted=one.drifted)}"><td title="{text(one.method)}">{text(one.test)}</td>{cells}</tr>'


def _notes(drift: DataDrift) -> Iterator[str]:
    yield "<p class='notes'>A column drifted if an adjusted p-value of it is at most "
    yield f"{drift.threshold:g} and that comparison's effect size is at least the least effect. P-values are adjusted for all "
    yield f"{len(drift.outcomes)} of the check ({text(drift.correction)}). Effect sizes are in each test's own unit. "
    yield "Pictures: shares of the values in bins, the outer bins with all beyond; below, from 5 to 95 % of the values, the middle "
    yield "half and the median.</p>"


def _cells(values: Sequence[object], tag: str = "td") -> str:
    return "".join(f"<{tag}>{text(value)}</{tag}>" for value in values)


def _mark(*, drifted: bool) -> str:
    return "drifted" if drifted else "steady"


def _word(*, drifted: bool) -> str:
    return "drift" if drifted else ""


def _any_missing(one: ColumnOutcome) -> bool:
    return bool(one.reference_missing or one.current_missing)
