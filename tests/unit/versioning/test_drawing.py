from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from mlops_core.records import LineageLink
from mlops_core.testing.registry_samples import AT
from mlops_core.versioning.lineage import Lineage, LineageNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.versioning import ModelVersioning

SVG = "{http://www.w3.org/2000/svg}"
ODD = "a <b> & \"c\" 'd' \x00 \x1b ]]> \ud800 模型"


def lineage(
    *links: LineageLink, upstream: tuple[LineageNode, ...] = (), downstream: tuple[LineageNode, ...] = (), run: str | None = None
) -> Lineage:
    return Lineage("acme", "m", "2", "f" * 64, AT, run, {}, links, upstream, downstream)


def drawn(one: Lineage) -> ET.Element:
    return ET.fromstring(one.to_svg().encode())  # noqa: S314  our own text


def texts(root: ET.Element) -> list[str]:
    return [str(one.text) for one in root.iter(f"{SVG}text")]


def tips(root: ET.Element) -> list[str]:
    return [str(one.text) for one in root.iter(f"{SVG}title")]


def test_boxes_say_what_they_are() -> None:
    node = LineageNode("embedding", "3", "e" * 64, (LineageLink("data", "flights"),))
    root = drawn(lineage(LineageLink("code", "git abc", "1" * 40), upstream=(node,), downstream=(LineageNode("n", "1"),), run="run-7"))
    assert texts(root) == [
        *("this version · ffffffff", "m 2", "run", "run-7", "code · 11111111", "git abc"),
        *("model · eeeeeeee", "embedding 3", "data", "flights", "model", "n 1"),
    ]
    assert tips(root)[0] == "Lineage of m 2"
    assert f"embedding 3\nsha256:{'e' * 64}" in tips(root)
    assert len(list(root.iter(f"{SVG}path"))) == 1 + 5  # the arrow's head, and arrows


def test_one_thing_is_one_box_however_often_it_is_used() -> None:
    shared = LineageLink("environment", "python")
    again = LineageNode("base", "1", "b" * 64, note="shown above")
    upstream = (LineageNode("x", "1", further=(LineageNode("base", "1", "b" * 64, (shared,)),)), LineageNode("y", "1", further=(again,)))
    root = drawn(lineage(shared, upstream=upstream))
    assert len(texts(root)) == 2 * 5
    assert all("shown above" not in text for text in (*texts(root), *tips(root)))


def test_links_of_one_name_and_another_content_are_two_boxes() -> None:
    assert len(texts(drawn(lineage(LineageLink("data", "flights", "1" * 64), LineageLink("data", "flights", "2" * 64))))) == 2 * 3


@pytest.mark.parametrize("note", ["deleted", "not in this registry"])
def test_what_the_tree_notes_is_noted(note: str) -> None:
    root = drawn(lineage(upstream=(LineageNode("gone", "1", note=note),)))
    assert f"model · {note}" in texts(root)
    assert any("gone" in str(one.get("class")).split() for one in root.iter(f"{SVG}rect"))


def test_text_of_any_kind_is_drawn_and_nothing_of_it_is_markup() -> None:
    root = drawn(lineage(LineageLink("data", ODD), LineageLink("data", "</text><script>alert(1)</script>")))
    assert [one.tag.removeprefix(SVG) for one in root.iter() if one.tag.endswith("script")] == []
    assert "a <b> & \"c\" 'd' \ufffd \ufffd ]]> \ufffd 模型" in texts(root)


@pytest.mark.parametrize(
    ("name", "shown"), [("x" * 33, "x" * 31 + "…"), ("x" * 32, "x" * 32), ("模" * 17, "模" * 15 + "…"), ("a\n b", "a b")]
)
def test_a_long_name_is_cut_and_shown_whole_to_a_pointer(name: str, shown: str) -> None:
    root = drawn(lineage(LineageLink("data", name)))
    assert shown in texts(root)
    assert f"data {name}" in tips(root)


def test_it_needs_nothing_else_and_follows_light_and_dark() -> None:
    text = lineage().to_svg()
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in text
    light, dark = text.split("@media")
    for style in ("ground", "box", "model", "here", "name", "kind", "on-here", "arrow", "head"):
        assert light.count(f".lineage .{style} ") == dark.count(f".lineage .{style} ") == 1


def test_the_same_lineage_gives_the_same_picture(register: Callable[..., str], versioning: ModelVersioning) -> None:
    register("1.0")
    for number in range(30):
        register(f"2.{number}", parents=["1.0"])
    found = versioning.get_lineage("m", "1.0")
    assert found.to_svg() == versioning.get_lineage("m", "1.0").to_svg()
    assert len(list(drawn(found).iter(f"{SVG}g"))) >= 31
