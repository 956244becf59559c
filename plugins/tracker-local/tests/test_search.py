"""Whatever runs there are and whatever is asked: SQLite answers what the core's own evaluation answers."""

from __future__ import annotations

import itertools
import math
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mlops_core.query import parse
from mlops_core.records import And, Comparison, Metric, Not, Or, OrderBy, Query, RunKey, RunStart, RunStatus, TrackBatch
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_tracker_local import LocalTracker
from mlops_tracker_local.search import search_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.roles import Tracker

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
NAMES = st.sampled_from(["a", "ü.1"])
TEXTS = st.one_of(
    st.sampled_from(
        ["", "3", "3.0", " 3 ", "1_0", "1e1", "nan", "-inf", "0x3", "True", "false", "٣", "a", "A", "ab", "é", "z", "\U0001f600", "\uffff"]
    ),
    st.text("ab%_é\x00", max_size=3),
)
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**70, -(10**400), 0.1, -0.0, math.inf, -math.inf, math.nan]),
    st.floats(),
)
PLAIN = st.one_of(st.integers(-3, 3), TEXTS, st.booleans(), st.sampled_from([0.1, -0.0, math.inf]))
VALUES = st.one_of(PLAIN, PLAIN, NUMBERS, st.none(), st.just("\ud800"))
FIELDS = st.one_of(
    st.sampled_from(["name", "status", "run_id", "experiment", "started", "missing", "params", "metadata.a", "params.", "."]),
    st.builds("{}.{}".format, st.sampled_from(["params", "tags", "metrics"]), NAMES),
)
COMPARISONS = st.one_of(
    st.builds(Comparison, FIELDS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), VALUES),
    st.builds(Comparison, FIELDS, st.just("like"), st.one_of(st.text("ab%_é3", max_size=3), VALUES)),
    st.builds(Comparison, FIELDS, st.just("in"), st.lists(VALUES, max_size=3).map(tuple)),
)
CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)
QUERIES = st.builds(
    Query,
    st.one_of(st.none(), CONDITIONS),
    st.lists(st.builds(OrderBy, FIELDS, descending=st.booleans()), max_size=3).map(tuple),
    st.one_of(st.none(), st.integers(0, 4)),
    st.one_of(st.none(), st.integers(0, 3).map(str)),
)
RUNS = st.lists(
    st.fixed_dictionaries(
        {
            "experiment": st.sampled_from(["e", "f"]),
            "tenant": st.sampled_from(["acme", "acme", "other"]),
            "name": TEXTS,
            "second": st.integers(0, 2),
            "params": st.dictionaries(NAMES, TEXTS, max_size=2),
            "tags": st.dictionaries(NAMES, TEXTS, max_size=2),
            "metrics": st.dictionaries(NAMES, st.floats() | st.integers(-3, 3).map(float), max_size=2),
            "ends": st.booleans(),
        }
    ),
    max_size=6,
)


def fill(tracker: Tracker, runs: list[dict[str, Any]]) -> None:
    for number, run in enumerate(runs):
        key = RunKey(run["tenant"], run["experiment"], f"r{number}")
        at = AT + timedelta(seconds=run["second"] / 2)
        tracker.start_run(RunStart(key, run["name"], at))
        metrics = tuple(Metric(name, value, 0, at) for name, value in run["metrics"].items())
        tracker.write(key, TrackBatch("w", 1, params=run["params"], tags=run["tags"], metrics=metrics))
        if run["ends"]:
            tracker.end_run(key, RunStatus.FINISHED, at)


def told(tracker: Tracker, query: Query) -> list[str]:
    """All that is known of the runs found, in their order; the id that a backend gives is its own, and SQLite knows no negative zero."""
    return [
        repr(
            {
                **run.to_dict(),
                "native_id": "",
                "tags": sorted(run.tags.items()),
                "metrics": {name: value + 0.0 for name, value in run.metrics.items()},
            }
        )
        for run in tracker.find_runs("acme", query)
    ]


def ordered(run: dict[str, Any]) -> dict[str, Any]:
    return {**run, **{kind: dict(sorted(run[kind].items())) for kind in ("params", "tags", "metrics")}}


@settings(max_examples=200)
@given(RUNS, st.lists(QUERIES, min_size=1, max_size=8))
def test_the_answers_are_those_of_the_reference(runs: list[dict[str, Any]], queries: list[Query]) -> None:
    in_order = [ordered(run) for run in runs]  # a mapping's order is no promise
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(LocalTracker(path=Path(folder) / "t.db")) as local,
        closing(MemoryTracker()) as memory,
    ):
        fill(local, in_order)
        fill(memory, in_order)
        for query in queries:
            assert told(local, query) == told(memory, query)


MANY = [
    {
        "experiment": "e",
        "tenant": "acme",
        "name": "3",
        "second": 0,
        "params": {"a": "3"},
        "tags": {"a": "x"},
        "metrics": {"a": 3.0},
        "ends": True,
    },
    {
        "experiment": "f",
        "tenant": "acme",
        "name": "x",
        "second": 0,
        "params": {"a": "x"},
        "tags": {"a": "nan"},
        "metrics": {"a": math.nan},
        "ends": False,
    },
    {
        "experiment": "f",
        "tenant": "acme",
        "name": "",
        "second": 1,
        "params": {"a": "true"},
        "tags": {"a": ""},
        "metrics": {"a": math.inf},
        "ends": False,
    },
    {"experiment": "e", "tenant": "acme", "name": "X", "second": 2, "params": {}, "tags": {}, "metrics": {}, "ends": False},
]
ASKED = ["params.a", "tags.a", "metrics.a", "name", "missing"]
WANTED = [3, 3.0, -1, 2**64, math.inf, math.nan, "3", "x", "X", "nan", "", "%", True, False]


def every_comparison() -> Iterator[Comparison]:
    for name, operator, value in itertools.product(ASKED, ("=", "!=", "<", "<=", ">", ">=", "like"), WANTED):
        yield Comparison(name, operator, value)  # type: ignore[arg-type]  # each is one of the operators
    for name, one, other in itertools.product(ASKED, WANTED, WANTED):
        yield Comparison(name, "in", (one, other))


def test_every_kind_of_comparison_is_true_false_or_unknown_where_the_reference_says_so(tmp_path: Path) -> None:
    with closing(LocalTracker(path=tmp_path / "t.db")) as local, closing(MemoryTracker()) as memory:
        fill(local, MANY)
        fill(memory, MANY)
        for compared in every_comparison():
            for condition in (compared, Not(compared)):
                assert told(local, Query(condition)) == told(memory, Query(condition)), condition


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalTracker]:
    with closing(LocalTracker(path=tmp_path / "t.db")) as tracker:
        fill(
            tracker,
            [
                {
                    "experiment": "e",
                    "tenant": "acme",
                    "name": "n",
                    "second": 0,
                    "params": {"a": "3"},
                    "tags": {},
                    "metrics": {},
                    "ends": True,
                }
            ],
        )
        yield tracker


def nested(depth: int) -> str:
    return "not (" * depth + "params.a > 2 and name = 'n'" + ")" * depth


@pytest.mark.parametrize("depth", [0, 4, 8, 20, 21, 48])
def test_a_filter_of_any_depth_is_answered(local: LocalTracker, depth: int) -> None:
    found = list(local.find_runs("acme", parse(nested(depth), default="tags", attributes=("name",))))
    assert len(found) == (depth % 2 == 0)


@pytest.mark.parametrize("word", ["and", "or"])
@pytest.mark.parametrize("count", [400, 440, 460, 600])
def test_a_filter_of_any_length_is_answered(local: LocalTracker, word: str, count: int) -> None:
    query = parse(f" {word} ".join(["a = 3"] * count), default="params")
    assert len(list(local.find_runs("acme", query))) == 1


def test_a_list_of_any_length_is_answered(local: LocalTracker) -> None:
    values = ", ".join(repr(str(number)) for number in range(1000))
    assert len(list(local.find_runs("acme", parse(f"a in ({values})", default="params")))) == 1


def test_what_people_ask_is_asked_of_sqlite() -> None:
    text = "metrics.loss < 0.3 and (team = 'a' or not status like 'fail%') and params.depth in (3, '6') order by metrics.loss desc, started"
    assert search_of(parse(text, default="tags", attributes=("status", "started"))) is not None
