"""Names become keys and come back, in an order that is their own."""

from __future__ import annotations

import re

import hypothesis.strategies as st
from hypothesis import given

from mlops_registry_s3.keys import journal_name, journal_part, number_key, number_of, part

PARTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)
JOURNALS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(PARTS)
def test_a_name_that_follows_the_rule_stays(name: str) -> None:
    assert part(name) == name


@given(st.text(max_size=10), st.text(max_size=10))
def test_any_other_name_is_one_part_of_its_own(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._%-]*", part(one))
    assert not part(one).startswith(".")
    assert (part(one) == part(other)) == (one == other)


@given(JOURNALS, JOURNALS)
def test_journals_sort_as_their_names_do(one: str, other: str) -> None:
    assert journal_name(journal_part(one)) == one
    assert "/" not in journal_part(one)
    assert (journal_part(one) < journal_part(other)) == (one < other)
    assert journal_part(one).startswith(journal_part(other)) == one.startswith(other)


@given(st.integers(1, 10**12 - 1), st.integers(1, 10**12 - 1))
def test_the_newest_number_comes_first(one: int, other: int) -> None:
    assert number_of(f"acme/j/a/{number_key(one)}") == one
    assert (number_key(one) < number_key(other)) == (one > other)
