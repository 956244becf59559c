from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import VersioningError
from mlops_core.records import LineageLink
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import AT, put, sample_entry, sample_version
from mlops_core.versioning.lineage import Lineage, LineageNode, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.versioning import ModelVersioning

DATA = LineageLink("data", "tickets", "d" * 64)
ENVIRONMENT = LineageLink("environment", "here", "e" * 64)


def add(store: MemoryRegistry, version: str, *parents: LineageLink, model: str = "m", **more: Any) -> LineageLink:
    """A version made of these; answers the link to it."""
    stored = store.add_version(sample_version(version, model=model, parents=parents, **more))
    return LineageLink("model", f"{model}:{version}", stored.digest)


def traced(store: MemoryRegistry, version: str, model: str = "m") -> Lineage:
    found = store.get_version("acme", model, version)
    assert found is not None
    return trace(store, found)


def names(nodes: tuple[LineageNode, ...]) -> list[Any]:
    return [
        f"{node.model} {node.version}" if not node.further else [f"{node.model} {node.version}", *names(node.further)] for node in nodes
    ]


def test_parents_and_children_are_followed_to_the_end() -> None:
    store = MemoryRegistry()
    base = add(store, "1", DATA, model="base")
    old = add(store, "1.0", base)
    middle = add(store, "1.1", old, DATA)
    new = add(store, "1.2", middle)
    add(store, "9", new, model="distilled")
    lineage = traced(store, "1.1")
    assert names(lineage.upstream) == [["m 1.0", "base 1"]]
    assert names(lineage.downstream) == [["m 1.2", "distilled 9"]]
    assert lineage.data == (DATA,)
    assert lineage.upstream[0].further[0].links == (DATA,)


def test_a_diamond_is_shown_once() -> None:
    store = MemoryRegistry()
    top = add(store, "top")
    left, right = add(store, "left", top), add(store, "right", top)
    add(store, "bottom", left, right)
    upstream = traced(store, "bottom").upstream
    assert names(upstream) == [["m left", "m top"], ["m right", "m top"]]
    assert [node.further[0].note for node in upstream] == ["", "shown above"]
    assert names(traced(store, "top").downstream) == [["m left", "m bottom"], ["m right", "m bottom"]]


def test_deleted_and_missing_parents_are_said() -> None:
    store = MemoryRegistry()
    old = add(store, "1.0", DATA)
    add(store, "1.1", old, LineageLink("model", "elsewhere:3", "f" * 64))
    store.retire_version("acme", "m", "1.0", sample_entry("retired"))
    upstream = traced(store, "1.1").upstream
    assert [(node.model, node.version, node.note) for node in upstream] == [
        ("m", "1.0", "deleted"),
        ("elsewhere", "3", "not in this registry"),
    ]
    assert upstream[0].links == (DATA,)


def test_a_child_of_another_content_is_none() -> None:
    """A version of the same name in another registry has another digest."""
    store = MemoryRegistry()
    add(store, "1.0")
    add(store, "1.1", LineageLink("model", "m:1.0", "0" * 64))
    assert traced(store, "1.0").downstream == ()


def test_another_tenants_versions_are_none() -> None:
    store = MemoryRegistry()
    link = add(store, "1.0")
    store.add_version(sample_version("1.1", tenant="rival", parents=(link,)))
    assert traced(store, "1.0").downstream == ()


def test_what_was_made_of_a_deleted_child_is_followed() -> None:
    store = MemoryRegistry()
    middle = add(store, "1.1", add(store, "1.0"))
    add(store, "1.2", middle)
    store.retire_version("acme", "m", "1.1", sample_entry("retired"))
    downstream = traced(store, "1.0").downstream
    assert names(downstream) == [["m 1.1", "m 1.2"]]
    assert downstream[0].note == "deleted"


def test_a_chain_that_is_cut_off_says_so() -> None:
    store = MemoryRegistry()
    link = add(store, "v0")
    for i in range(1, 80):
        link = add(store, f"v{i}", link)
    more = "more behind it: ask for its own lineage"
    assert notes(traced(store, "v79").upstream) == [""] * 50 + [more]
    assert notes(traced(store, "v0").downstream) == [""] * 50 + [more]
    assert notes(traced(store, "v51").upstream) == [""] * 51  # to the very end
    store.retire_version("acme", "m", "v28", sample_entry("retired"))
    assert notes(traced(store, "v79").upstream)[-1] == f"deleted, {more}"


def notes(nodes: tuple[LineageNode, ...]) -> list[str]:
    found = []
    while nodes:
        found.append(nodes[0].note)
        nodes = nodes[0].further
    return found


def test_the_tree_says_what_is_known() -> None:
    store = MemoryRegistry()
    blob = put(store, b"x")
    old = add(store, "1.0", DATA)
    middle = add(store, "1.1", old, LineageLink("code", "git abc"), ENVIRONMENT, run_id="r1", metadata={"b": "x" * 100, "a": blob.size})
    add(store, "1.2", middle)
    store.retire_version("acme", "m", "1.0", sample_entry("retired"))
    first, second, third = (store.get_version("acme", "m", name) for name in ("1.0", "1.1", "1.2"))
    assert first
    assert second
    assert third
    expected = f"""\
m 1.1  sha256:{second.digest[:12]}  2024-05-01T12:30:15+00:00
├── made of
│   ├── code git abc
│   ├── environment here  sha256:eeeeeeeeeeee
│   ├── m 1.0  sha256:{first.digest[:12]}  (deleted)
│   │   └── data tickets  sha256:dddddddddddd
│   └── run r1
├── metadata
│   ├── a = 1
│   └── b = {"x" * 77}...
└── used by
    └── m 1.2  sha256:{third.digest[:12]}"""
    lineage = trace(store, second)
    assert str(lineage) == lineage.to_text() == expected
    assert (lineage.code[0].name, lineage.environment, lineage.params) == ("git abc", (ENVIRONMENT,), ())


def test_a_version_of_which_nothing_is_known_is_one_line() -> None:
    store = MemoryRegistry()
    add(store, "1.0")
    assert str(traced(store, "1.0")).count("\n") == 0


def test_the_chart_draws_each_thing_once_with_arrows_to_what_was_made() -> None:
    store = MemoryRegistry()
    odd = LineageLink("data", 'the "odd" <one> & more')
    old = add(store, "1.0", odd)
    middle = add(store, "1.1", old, odd, run_id="r1")
    add(store, "1.2", middle, odd)
    assert (
        traced(store, "1.1").to_mermaid()
        == """\
flowchart LR
    n0["m 1.1"]
    n1["data the #quot;odd#quot; #lt;one#gt; #amp; more"]
    n1 --> n0
    n2["run r1"]
    n2 --> n0
    n3["m 1.0"]
    n3 --> n0
    n1 --> n3
    n4["m 1.2"]
    n0 --> n4
    n1 --> n4"""
    )


def test_a_lineage_is_a_record() -> None:
    store = MemoryRegistry()
    link = add(store, "1.0", DATA)
    add(store, "1.1", link)
    lineage = traced(store, "1.1")
    assert Lineage.from_dict(lineage.to_dict()) == lineage
    assert lineage["created"] == AT


def test_the_facade_pins_parents_and_where_it_was_made(versioning: ModelVersioning, register: Callable[..., str]) -> None:
    register("1.0")
    register("1.0", model="base")
    register("1.1", parents=["1.0", "base:1.0", LineageLink("model", "m:1.0"), DATA])
    made, parent = versioning.get_version("m", "1.1"), versioning.get_version("m", "1.0")
    base = versioning.get_version("base", "1.0")
    assert made.parents[:4] == (
        LineageLink("model", "m:1.0", parent.digest),
        LineageLink("model", "base:1.0", base.digest),
        LineageLink("model", "m:1.0", parent.digest),
        DATA,
    )
    assert [link.kind for link in made.parents[4:]] == ["environment"]
    with pytest.raises(VersioningError, match=r"'m:1\.0' is another content than the link's digest says"):
        register("1.2", parents=[LineageLink("model", "m:1.0", base.digest)])
    register("1.2", parents=[ENVIRONMENT, LineageLink("code", "svn 7")])
    assert [link.name for link in versioning.get_version("m", "1.2").parents] == ["here", "svn 7"]


def test_no_name_makes_a_line_of_its_own_or_a_mark_of_the_chart() -> None:
    store = MemoryRegistry()
    add(store, "1.0", LineageLink("data", 'x\n└── signed by root\x1b[2J #lt;img src="y"#gt;'), metadata={"note": "a\nb"})
    text, chart = traced(store, "1.0").to_text(), traced(store, "1.0").to_mermaid()
    assert "data x\ufffd└── signed by root\ufffd[2J" in text
    assert "note = a\ufffdb" in text
    assert "data x\ufffd└── signed by root\ufffd[2J #35;lt;img src=#quot;y#quot;#35;gt;" in chart
    assert len(chart.splitlines()) == 4
