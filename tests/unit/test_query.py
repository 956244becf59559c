"""The filter grammar: what parses, what it finds, and what each mistake is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import ExperimentError, QueryError
from mlops_core.query import parse
from mlops_core.records import And, Comparison, Not, Or, OrderBy, Query

ROW = {"name": "a", "tags.team": "x y", "metrics.accuracy": 0.9, "params.depth": "10", "metadata.gpu": True, "tags.data.version": "v2"}


def find(text: str, row: dict[str, Any] | None = None, default: str = "tags") -> bool:
    return parse(text, default=default, attributes=("name", "status")).matches(ROW if row is None else row)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "team = 'x y'",
        "tags.team = 'x y'",
        "team=='x y'",
        "name = 'a'",
        "metrics.accuracy >= 0.9 AND metrics.accuracy < 1",
        "metrics.accuracy > .5 and metrics.accuracy < 1e3",
        "params.depth = '10'",
        "params.depth > 9",
        "params.depth in (9, 10)",
        "params.depth in ('9', '10')",
        "metadata.gpu = true",
        "not metadata.gpu = false",
        "team like 'x%'",
        "team like '%y'",
        "team like 'x_y'",
        "team not like 'y%'",
        "team not in ('p', 'q')",
        "team = 'q' or (name = 'a' and not name = 'b')",
        "team = 'q' or name = 'a' and metrics.accuracy > 0.5",
        "tags.data.version = 'v2'",
        "`data.version` = 'v2'",
        "tags.`data.version` = 'v2'",
        "name != 'b' order by metrics.accuracy desc, name",
        "order by name",
    ],
)
def test_finds_the_row(text: str) -> None:
    assert find(text)


@pytest.mark.parametrize(
    "text",
    [
        "team = 'X Y'",
        "missing = 'x'",
        "not missing = 'x'",
        "missing != 'x'",
        "missing not in ('x')",
        "metrics.accuracy = '0.9'",
        "name > 3",
        "metadata.gpu = 1",
        "team like 'x'",
        "(team = 'x y' or name = 'a') and metrics.accuracy > 0.95",
        "params.depth = 11",
        "params.depth in (11, 12)",
    ],
)
def test_does_not_find_the_row(text: str) -> None:
    assert not find(text)


def test_a_bare_name_takes_the_default_prefix_and_an_attribute_none() -> None:
    assert parse("model_type='classification'", default="tags").where == Comparison("tags.model_type", "=", "classification")
    assert parse("accuracy >= 0.9", default="metadata").where == Comparison("metadata.accuracy", ">=", 0.9)
    assert parse("status = 'failed'", default="tags", attributes=["status"]).where == Comparison("status", "=", "failed")


def test_and_binds_tighter_than_or() -> None:
    a, b, c = (Comparison(f"tags.{name}", "=", 1) for name in "abc")
    assert parse("a = 1 or b = 1 and not c = 1", default="tags").where == Or((a, And((b, Not(c)))))


def test_order_and_page_reach_the_query() -> None:
    query = parse("order by metrics.loss desc, name asc", default="tags", attributes=["name"], limit=5, cursor="10")
    assert query == Query(None, (OrderBy("metrics.loss", descending=True), OrderBy("name")), 5, "10")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("team", "column 5: found the end, expected = != < <= > >= like or in"),
        ("team = ", "expected a number, true, false or text in quotes"),
        ("team = x", "column 8: found 'x', expected a number"),
        ("= 3", "column 1: found '=', expected the name of a field"),
        ("team = 'x' team", "column 12: found 'team', expected 'and', 'or'"),
        ("team = 'x", 'column 8: found "\'"'),
        ("(team = 'x'", "expected ')'"),
        ("team in 'x'", "expected '(' and a list"),
        ("team in ('x'", "expected ',' or ')'"),
        ("team in ()", "expected a number"),
        ("team like 3", "column 11: found '3', expected a quoted pattern"),
        ("team not = 3", "expected 'like' or 'in'"),
        ("metric.loss < 1", "did you mean 'metrics'?"),
        ("data.version = 'x'", "goes in backquotes: `data.version`"),
        ("order name", "expected 'by'"),
        ("order by 3", "expected the name of a field"),
        ("team = 1e999", "too large"),
        ("team = " + "9" * 5000, "too large"),
        ("a = 1; drop table runs", "column 6: found ';'"),
        ("(" * 200 + "a = 1" + ")" * 200, "nests deeper than 100"),
        ("not " * 200 + "a = 1", "nests deeper than 100"),
        ("x" * 10_001, "longer than the 10000"),
    ],
)
def test_a_mistake_is_one_line_with_its_column(text: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, default="tags")
    assert says in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"text": 3}, "expected text, got int"),
        ({"text": "", "limit": 0}, "limit 0"),
        ({"text": "", "limit": True}, "limit True"),
        ({"text": "", "limit": 1.5}, "limit 1.5"),
        ({"text": "", "cursor": "x"}, "'x' is no cursor"),
    ],
)
def test_wrong_arguments_are_the_facades_error(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ExperimentError, match=says):
        parse(**arguments, default="tags", error=ExperimentError)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_a_query_error(text: str) -> None:
    try:
        parse(text, default="tags").matches(ROW)
    except QueryError as error:
        assert "\n" not in error.message or "\n" in text  # noqa: PT017  both outcomes are right


@given(st.text(max_size=30))
def test_quoted_text_comes_back_unchanged(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    assert parse(f"team = {quoted}", default="tags").where == Comparison("tags.team", "=", text)


@given(st.lists(st.none() | st.integers(0, 9), max_size=20), st.integers(1, 7), st.booleans())
def test_pages_joined_are_the_whole_in_order_with_missing_last(values: list[int | None], limit: int, descending: bool) -> None:  # noqa: FBT001  drawn by hypothesis
    order = f"order by metrics.v {'desc' if descending else 'asc'}"

    def fields(value: int | None) -> dict[str, Any]:
        return {} if value is None else {"metrics.v": value}

    joined: list[int | None] = []
    cursor = None
    while True:
        page = parse(order, default="tags", limit=limit, cursor=cursor).apply(values, fields)
        joined += page.items
        cursor = page.cursor
        if cursor is None:
            break
    known = sorted((value for value in values if value is not None), reverse=descending)
    assert joined == [*known, *[None] * values.count(None)]
