"""A check as Markdown, for a comment or a log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mlops_core.drift.report.words import change, findings, level, remarks, verdict, whole_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.drift.report.words import Finding
    from mlops_core.drift.results import DataDrift

__all__ = ["markdown"]

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~])")


def markdown(drift: DataDrift) -> str:
    """The verdict, what changed, every comparison, and what was not compared."""
    found = findings(drift)
    changed = [f"- **{_text(whole_table(one.column))}**: {_text(change(one)) or 'see below.'}" for one in found if one.drifted]
    lines = [
        f"**{_text(verdict(drift))}**",
        *(["", *changed] if changed else []),
        "",
        "| column | test | statistic | p | adjusted p | effect | verdict |",
        "|---|---|---:|---:|---:|---:|---|",
        *(row for one in found for row in _rows(one)),
        "",
        f"Correction: {drift.correction}. Effect sizes are in each test's own unit.",
        *(line for remark in remarks(drift) for line in ("", _text(remark))),
    ]
    return "\n".join(lines) + "\n"


def _rows(found: Finding) -> Iterator[str]:
    for one in found.outcomes:
        figures = f"{one.statistic:.4g} | {level(one.p_value)} | {level(one.adjusted_p_value)} | {one.effect_size:.3g}"
        yield f"| {_text(whole_table(one.column))} | {_text(one.test)} | {figures} | {'drift' if one.drifted else ''} |"


def _text(text: str) -> str:
    """On one line, with nothing that Markdown would obey."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
