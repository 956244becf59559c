"""Stages of this example: a function is one, and so is a class with options."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path  # noqa: TC003  the type of an option is asked for at run time
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from attrs import define, field

from mlops_core.exceptions import PipelineError
from mlops_core.roles import Help, Stage

if TYPE_CHECKING:
    from mlops_core.roles import StageContext


def collect(
    context: StageContext, *, path: Annotated[Path, Help("the file of tickets, with the columns text and team")]
) -> list[dict[str, str]]:
    """Read the tickets."""
    with (context.root / path).open(newline="", encoding="utf-8") as stream:
        tickets = list(csv.DictReader(stream))
    if not tickets:
        raise PipelineError(f"collect: {path.name} holds no ticket - give a file with at least one")
    context.log_metrics({"tickets": len(tickets)})
    return tickets


@define(eq=False)
class Deduplicate(Stage):
    """Keeps the first of several tickets with the same text."""

    contract: ClassVar[int] = 1
    outputs: ClassVar[tuple[str, ...]] = ("tickets", "dropped")

    ignore_case: bool = field(default=False, metadata={"help": "whether capital letters make no difference"})

    def run(self, context: StageContext, data_collection: Any) -> Any:
        """Compare texts with their spaces made even."""
        kept: dict[str, dict[str, str]] = {}
        dropped = []
        for ticket in data_collection:
            text = " ".join(ticket["text"].split())
            key = text.casefold() if self.ignore_case else text
            if key in kept:
                dropped.append(ticket["text"])
            kept.setdefault(key, {**ticket, "text": text})
        context.log_metrics({"dropped": len(dropped)})
        return {"tickets": list(kept.values()), "dropped": dropped}


def train(context: StageContext, tickets: Any, *, held_out: Annotated[float, Help("share of the tickets to measure on")] = 0.25) -> Any:
    """Count the words of each team, and measure on tickets that were not counted."""
    order = context.rng.permutation(len(tickets))
    split = round(len(tickets) * held_out)
    measured, learnt = [tickets[i] for i in order[:split]], [tickets[i] for i in order[split:]]
    words: dict[str, Counter[str]] = {}
    for ticket in learnt:
        words.setdefault(ticket["team"], Counter()).update(ticket["text"].lower().split())
    model = {team: dict(found) for team, found in sorted(words.items())}
    right = sum(team_of(model, ticket["text"]) == ticket["team"] for ticket in measured)
    context.log_params({"held_out": held_out})
    context.log_metrics({"accuracy": right / len(measured)})
    return model


def team_of(model: dict[str, dict[str, int]], text: str) -> str:
    """The team whose tickets use the words most often."""
    totals = {team: sum(found.values()) for team, found in model.items()}
    scores = {team: sum(found.get(word, 0) / totals[team] for word in text.lower().split()) for team, found in model.items()}
    return max(scores, key=lambda team: scores[team])
