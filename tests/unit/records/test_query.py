import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records import And, Comparison, Not, Or, OrderBy, Query

ROW = {"name": "a", "params.depth": "10", "params.kind": "rf", "metrics.acc": 0.9, "metadata.gpu": True, "tags.team": "x", "number": 3}
ROW |= {"params.shuffle": "True", "tags.final": "false"}


@pytest.mark.parametrize(
    ("name", "operator", "value", "truth"),
    [
        ("name", "=", "a", True),
        ("name", "!=", "a", False),
        ("name", "<", "b", True),
        ("metrics.acc", ">=", 0.9, True),
        ("metrics.acc", ">", 1, False),
        ("number", "<=", 3, True),
        ("number", "in", (1, 3), True),
        ("number", "in", (), False),
        ("number", "in", (1, 2), False),
        ("number", "in", ("a", 2), None),
        ("number", "in", ("a", 3), True),
        ("missing", "=", 1, None),
        ("missing", "!=", 1, None),
        ("missing", "in", (1,), None),
        ("name", "=", 1, None),
        ("name", "<", 1, None),
        ("params.depth", "=", "10", True),
        ("params.depth", ">", 9, True),
        ("params.depth", "in", (9, 10), True),
        ("params.depth", "in", ("a", 10), True),
        ("params.depth", "in", (10, "a"), True),
        ("params.depth", "in", ("10", 11), True),
        ("params.kind", ">", 9, None),
        ("params.shuffle", "=", True, True),
        ("params.shuffle", "!=", True, False),
        ("params.shuffle", "in", (3, True), True),
        ("tags.final", "=", False, True),
        ("params.kind", "=", True, None),
        ("params.depth", "=", True, None),
        ("metadata.gpu", "=", True, True),
        ("metadata.gpu", "=", 1, None),
        ("number", "=", True, None),
        ("name", "like", "a%", True),
        ("number", "like", "3", None),
    ],
)
def test_a_comparison_is_true_false_or_unknown(name: str, operator: Any, value: Any, truth: bool | None) -> None:  # noqa: FBT001  a column of the table
    assert Comparison(name, operator, value).truth(ROW) is truth


YES, NO, UNKNOWN = Comparison("name", "=", "a"), Comparison("name", "=", "b"), Comparison("missing", "=", 1)


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        (And((YES, YES)), True),
        (And((YES, NO)), False),
        (And((YES, UNKNOWN)), None),
        (And((NO, UNKNOWN)), False),
        (And(()), True),
        (Or((NO, YES)), True),
        (Or((NO, UNKNOWN)), None),
        (Or((YES, UNKNOWN)), True),
        (Or(()), False),
        (Not(YES), False),
        (Not(UNKNOWN), None),
    ],
)
def test_logic_has_three_values_as_in_sql(condition: Any, truth: bool | None) -> None:  # noqa: FBT001  a column of the table
    assert condition.truth(ROW) is truth
    assert Query(condition).matches(ROW) is (truth is True)


conditions = st.recursive(
    st.sampled_from([YES, NO, UNKNOWN]),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, max_size=3).map(lambda terms: And(tuple(terms))),
        st.lists(inner, max_size=3).map(lambda terms: Or(tuple(terms))),
    ),
    max_leaves=8,
)


@given(st.lists(conditions, max_size=4))
def test_de_morgan(terms: list[Any]) -> None:
    assert Not(And(tuple(terms))).truth(ROW) is Or(tuple(Not(term) for term in terms)).truth(ROW)


@given(conditions)
def test_twice_not_is_nothing(condition: Any) -> None:
    assert Not(Not(condition)).truth(ROW) is condition.truth(ROW)


def test_everything_matches_no_condition() -> None:
    assert Query().matches({})


def rows(*values: Any) -> list[dict[str, Any]]:
    return [{"n": value, "id": index} for index, value in enumerate(values)]


def ids(found: Any) -> list[int]:
    return [row["id"] for row in found.items]


def test_missing_values_come_last_in_either_direction() -> None:
    data = rows(2, None, 1)
    assert ids(Query(order_by=(OrderBy("n"),)).apply(data, dict)) == [2, 0, 1]
    assert ids(Query(order_by=(OrderBy("n", descending=True),)).apply(data, dict)) == [0, 2, 1]


def test_nan_comes_last_in_either_direction_and_disorders_nothing() -> None:
    data = rows(3, math.nan, 1, None, math.nan, 2)
    assert ids(Query(order_by=(OrderBy("n"),)).apply(data, dict)) == [2, 5, 0, 1, 3, 4]
    assert ids(Query(order_by=(OrderBy("n", descending=True),)).apply(data, dict)) == [0, 5, 2, 1, 3, 4]


def test_a_mixed_column_still_sorts_and_equal_rows_keep_their_order() -> None:
    assert ids(Query(order_by=(OrderBy("n"),)).apply(rows("b", 2, "a", 1, 2), dict)) == [3, 1, 4, 2, 0]


def test_later_keys_decide_among_equals() -> None:
    data = [{"a": 1, "n": 2, "id": 0}, {"a": 0, "n": 1, "id": 1}, {"a": 1, "n": 1, "id": 2}]
    assert ids(Query(order_by=(OrderBy("a", descending=True), OrderBy("n"))).apply(data, dict)) == [2, 0, 1]


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 7))
def test_pages_put_together_are_the_whole(values: list[int], limit: int) -> None:
    data, found, cursor = rows(*values), list[int](), None
    while True:
        page = Query(order_by=(OrderBy("n"),), limit=limit, cursor=cursor).apply(data, dict)
        assert len(page.items) <= limit
        found += ids(page)
        cursor = page.cursor
        if cursor is None:
            break
    assert found == ids(Query(order_by=(OrderBy("n"),)).apply(data, dict))


def test_the_last_full_page_has_no_cursor() -> None:
    page = Query(limit=2).apply(rows(1, 2, 3, 4), dict)
    assert (ids(page), page.cursor) == ([0, 1], "2")
    last = Query(limit=2, cursor=page.cursor).apply(rows(1, 2, 3, 4), dict)
    assert (ids(last), last.cursor) == ([2, 3], None)


def test_a_limit_of_nothing_is_an_empty_page() -> None:
    assert Query(limit=0).apply(rows(1), dict).items == ()


@given(st.text("ab%_", max_size=12), st.text("ab", max_size=8))
def test_like_is_what_a_regular_expression_would_find(pattern: str, text: str) -> None:
    expression = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)
    wanted = re.fullmatch(expression, text, re.DOTALL) is not None
    assert Comparison("t", "like", pattern).truth({"t": text}) is wanted


def test_a_hostile_pattern_is_no_work() -> None:
    assert Comparison("t", "like", "%a" * 200 + "b").truth({"t": "a" * 20_000}) is False


def test_a_list_of_values_is_kept_as_a_tuple() -> None:
    assert Comparison("a", "in", [1, 2]) == Comparison("a", "in", (1, 2))
    assert hash(Comparison("a", "in", [1, 2])) == hash(Comparison("a", "in", (1, 2)))
