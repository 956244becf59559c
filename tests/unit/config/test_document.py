import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.config.document import DocumentError, Many, Table, merged, parse, places, values


def read(text: str) -> Any:
    return values(parse(text, "m.yaml"))


def test_the_core_schema_of_yaml_1_2() -> None:
    text = "a: NO\nb: 12:30\nc: 1.10\nd: 2024-01-15\ne: 0o17\nf: '5'\ng: \"x\"\nh:\ni: !!str 5\nj: |\n  two\n  lines\n"
    assert read(text) == {
        "a": "NO",
        "b": "12:30",
        "c": 1.1,
        "d": "2024-01-15",
        "e": 15,
        "f": "5",
        "g": "x",
        "h": None,
        "i": "5",
        "j": "two\nlines\n",
    }


def test_keys_are_text_whatever_they_look_like() -> None:
    assert read("1: a\ntrue: b\nnull: c\n") == {"1": "a", "true": "b", "null": "c"}


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "~", "---\n", "null"])
def test_an_empty_document_is_none(text: str) -> None:
    assert parse(text, "m.yaml") is None


def test_anchors_are_resolved() -> None:
    assert read("a: &x {k: 1}\nb: *x\nc: [*x, *x]\n") == {"a": {"k": 1}, "b": {"k": 1}, "c": [{"k": 1}, {"k": 1}]}


def test_every_key_and_value_has_its_place() -> None:
    node = parse("# c\na:\n  b: [1, x]\n", "m.yaml")
    assert node is not None
    assert dict(places(node)) == {
        "": ("m.yaml:2:1", "m.yaml:2:1"),
        "a": ("m.yaml:2:1", "m.yaml:3:3"),
        "a.b": ("m.yaml:3:3", "m.yaml:3:6"),
        "a.b[0]": ("m.yaml:3:7", "m.yaml:3:7"),
        "a.b[1]": ("m.yaml:3:10", "m.yaml:3:10"),
    }


BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

WRONG = {
    "a key that is there twice": ("a: 1\nb: 2\na: 3\n", 3, 1, "the key 'a' is here twice, first in line 1"),
    "a key that is there twice, deep": ("x:\n  a: 1\n  'a': 3\n", 3, 3, "the key 'a' is here twice, first in line 2"),
    "a tag that makes an object": (
        "a: !!python/object/apply:os.system [x]\n",
        1,
        4,
        "the tag tag:yaml.org,2002:python/object/apply:os.system is not",
    ),
    "a tag of one's own": ("a: !secret x\n", 1, 4, "the tag !secret is not accepted - write plain values"),
    "a tag on a mapping": ("a: !!omap {b: 1}\n", 1, 4, "the tag tag:yaml.org,2002:omap is not accepted"),
    "an alias to nothing": ("a: *x\n", 1, 4, "*x refers to no anchor above it"),
    "an alias to what contains it": ("a: &x [*x]\n", 1, 8, "*x contains itself"),
    "an alias bomb": (BOMB, 6, None, "more than 200000 values, aliases included"),
    "a merge key": ("a: &x {b: 1}\nc: {<<: *x}\n", 2, 5, "merge keys '<<' are no part of YAML 1.2"),
    "a key that is a list": ("? [a]\n: 1\n", 1, 3, "a key must be a plain word"),
    "a second document": ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here"),
    "deep nesting": ("[" * 60, 1, 52, "nested deeper than 50 levels"),
    "a tab": ("a:\n\tb: 1\n", 2, 1, "not YAML: "),
    "an open bracket": ("a: [1\nb: 2\n", 2, 2, "not YAML: while parsing a flow sequence"),
    "a colon too many": ("a: b: c\n", 1, 5, "not YAML: mapping values are not allowed here"),
    "a control character": ("a: 1\nb: \x00\n", 2, 4, "not YAML: "),
    "a file that is too long": ("#" + "x" * (1 << 20), 1, 1, "the file has 1048577 characters"),
}


@pytest.mark.parametrize(("text", "line", "column", "cause"), WRONG.values(), ids=WRONG)
def test_what_is_no_configuration_is_refused_with_its_place(text: str, line: int, column: int | None, cause: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text, "m.yaml")
    assert caught.value.message.startswith(cause)
    assert "\n" not in caught.value.message
    assert caught.value.line == line
    assert column in {caught.value.column, None}


def test_keys_that_are_there_twice_are_collected_where_a_list_is_given() -> None:
    twice: list[DocumentError] = []
    assert values(parse("a: 1\nb: {c: 1, c: 2}\na: {d: 1}\n", "m.yaml", twice)) == {"a": 1, "b": {"c": 1}}
    assert [(one.line, one.column) for one in twice] == [(2, 11), (3, 1)]


def test_a_merge_key_in_quotes_is_a_key() -> None:
    assert read("'<<': 1\n") == {"<<": 1}


def test_nothing_is_executed(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(DocumentError):
        parse(f"a: !!python/object/apply:pathlib.Path.touch [{marker}]\n", "m.yaml")
    assert not marker.exists()


@given(st.text(max_size=60))
def test_any_text_is_a_document_or_refused(text: str) -> None:
    with contextlib.suppress(DocumentError):
        parse(text, "m.yaml")


def merge(below: str, above: str) -> Any:
    return values(merged(parse(below, "mlops.yaml"), parse(above, "mlops.x.yaml")))


def test_an_overlay_adds_and_replaces_key_by_key() -> None:
    assert merge("a: {b: 1, c: 2}\nd: [1, 2]\n", "a: {c: 3, e: 4}\nd: [5]\n") == {"a": {"b": 1, "c": 3, "e": 4}, "d": [5]}


def test_an_overlay_that_changes_use_replaces_the_mapping() -> None:
    below = "registry: {use: sqlite, path: a.db}\n"
    assert merge(below, "registry: {use: postgres, url: u}\n") == {"registry": {"use": "postgres", "url": "u"}}
    assert merge(below, "registry: {use: sqlite, busy: 3}\n") == {"registry": {"use": "sqlite", "path": "a.db", "busy": 3}}
    assert merge(below, "registry: {path: b.db}\n") == {"registry": {"use": "sqlite", "path": "b.db"}}
    assert merge(below, "registry: postgres\n") == {"registry": "postgres"}


def test_an_overlay_gives_options_to_the_short_form() -> None:
    assert merge("tracker: mlflow\n", "tracker: {artifacts: x}\n") == {"tracker": {"use": "mlflow", "artifacts": "x"}}
    assert merge("tracker: mlflow\n", "tracker: {use: wandb}\n") == {"tracker": {"use": "wandb"}}


def test_an_empty_overlay_or_document_changes_nothing() -> None:
    assert merge("a: 1\n", "") == {"a": 1}
    assert merge("", "a: 1\n") == {"a": 1}
    assert merged(None, None) is None


def test_places_lead_to_the_file_that_said_it() -> None:
    node = merged(parse("a: {b: 1, c: 2}\n", "mlops.yaml"), parse("a: {c: 3}\n", "mlops.x.yaml"))
    assert node is not None
    found = dict(places(node))
    assert found["a.b"][1].startswith("mlops.yaml:")
    assert found["a.c"][1].startswith("mlops.x.yaml:")


leaves = st.one_of(st.integers(), st.booleans(), st.text("abc", max_size=3))
trees = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)), max_leaves=12
)
tables = st.dictionaries(st.sampled_from("abcd"), trees, max_size=4)


def node_of(value: Any) -> Any:
    from mlops_core.config.document import Leaf

    if isinstance(value, dict):
        return Table({key: ("k", node_of(one)) for key, one in value.items()}, "t")
    return Many(tuple(node_of(one) for one in value), "m") if isinstance(value, list) else Leaf(value, "l")


@given(tables)
def test_an_overlay_on_itself_changes_nothing(table: dict[str, Any]) -> None:
    assert values(merged(node_of(table), node_of(table))) == table


@given(tables, tables)
def test_what_an_overlay_says_holds_and_what_it_leaves_out_stays(below: dict[str, Any], above: dict[str, Any]) -> None:
    found = values(merged(node_of(below), node_of(above)))
    assert set(found) == set(below) | set(above)
    for key, value in below.items():
        if key not in above:
            assert found[key] == value
    for key, value in above.items():
        if not isinstance(value, dict):
            assert found[key] == value
