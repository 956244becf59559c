"""Where a version comes from, and which versions come from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from mlops_core.records import Comparison, LineageLink, ModelVersion, Query, Record
from mlops_core.versioning.drawing import draw

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore

__all__ = ["Lineage", "LineageNode", "parent_name", "trace"]

_DEEPEST = 50
_MARKS = str.maketrans({"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"})  # else "#lt;" in a name is a "<"
_Tree = tuple[str, list[Any]]


@frozen
class LineageNode(Record):
    """A related version. ``links`` are its parents that are no versions; ``further`` the next ones in the same direction.

    ``note`` says what the tree does not: the version was deleted, is shown elsewhere in the tree, is not in this registry, or has more
    behind it than the tree goes deep.
    """

    model: str
    version: str
    digest: str = ""
    links: tuple[LineageLink, ...] = ()
    further: tuple[LineageNode, ...] = ()
    note: str = ""


@frozen
class Lineage(Record):
    """The lineage of a version: what it was made of (``upstream`` versions and ``links``) and the versions made of it (``downstream``)."""

    tenant: str
    model: str
    version: str
    digest: str
    created: datetime
    run_id: str | None = None
    metadata: Mapping[str, Any] = field(factory=dict)
    links: tuple[LineageLink, ...] = ()
    upstream: tuple[LineageNode, ...] = ()
    downstream: tuple[LineageNode, ...] = ()

    @property
    def data(self) -> tuple[LineageLink, ...]:
        """The data it was trained on."""
        return self._of("data")

    @property
    def code(self) -> tuple[LineageLink, ...]:
        """The commit."""
        return self._of("code")

    @property
    def params(self) -> tuple[LineageLink, ...]:
        """The parameters."""
        return self._of("params")

    @property
    def environment(self) -> tuple[LineageLink, ...]:
        """Python and what was installed."""
        return self._of("environment")

    def _of(self, kind: str) -> tuple[LineageLink, ...]:
        return tuple(link for link in self.links if link.kind == kind)

    def to_text(self) -> str:
        """A tree of one line per fact."""
        made_of = [*map(_link_tree, self.links), *map(_node_tree, self.upstream)]
        if self.run_id:
            made_of.append((f"run {self.run_id}", []))
        parts: list[_Tree] = [("made of", made_of)] if made_of else []
        if self.metadata:
            parts.append(("metadata", [(f"{name} = {_short(value)}", []) for name, value in sorted(self.metadata.items())]))
        if self.downstream:
            parts.append(("used by", [_node_tree(node) for node in self.downstream]))
        created = self.created.isoformat(timespec="seconds")
        return "\n".join([f"{self.model} {self.version}  {_digest(self.digest)}  {created}", *_lines(parts, "")])

    def to_mermaid(self) -> str:
        """A Mermaid flow chart: arrows go from what was used to what was made of it."""
        chart = _Chart()
        here = chart.box(f"{self.model} {self.version}")
        chart.links(self.links, here)
        if self.run_id:
            chart.arrow(chart.box(f"run {self.run_id}"), here)
        for node in self.upstream:
            chart.add(node, here, upwards=True)
        for node in self.downstream:
            chart.add(node, here, upwards=False)
        return "\n".join(["flowchart LR", *chart.lines])

    def to_svg(self) -> str:
        """A picture: one SVG document that needs nothing else. A pointer that rests on a box is shown the whole of its text."""
        return draw(self)

    def __str__(self) -> str:
        return self.to_text()


def parent_name(model: str, version: str) -> str:
    """How a link names a version."""
    return f"{model}:{version}"


def trace(store: RegistryStore, version: ModelVersion) -> Lineage:
    """Follow the parents of a version up and its children down."""
    seen = {(version.model, version.version)}
    return Lineage(
        version.tenant,
        version.model,
        version.version,
        version.digest,
        version.created,
        version.run_id,
        version.metadata,
        _links(version),
        _further(version, lambda one: _parents(store, one), set(seen), 0),
        _further(version, lambda one: _children(store, one), set(seen), 0),
    )


Related = tuple[str, str, ModelVersion | None]


def _further(
    version: ModelVersion, related: Callable[[ModelVersion], Iterator[Related]], seen: set[tuple[str, str]], depth: int
) -> tuple[LineageNode, ...]:
    nodes = []
    for model, name, found in related(version):
        node = LineageNode(model, name)
        if found is None:
            node = evolve(node, note="not in this registry")
        elif (model, name) in seen:
            node = evolve(node, digest=found.digest, note="shown above")
        else:
            seen.add((model, name))
            notes = ["deleted"] if found.retired else []
            further: tuple[LineageNode, ...] = ()
            if depth < _DEEPEST:
                further = _further(found, related, seen, depth + 1)
            elif next(related(found), None) is not None:
                notes.append("more behind it: ask for its own lineage")
            node = LineageNode(model, name, found.digest, _links(found), further, ", ".join(notes))
        nodes.append(node)
    return tuple(nodes)


def _parents(store: RegistryStore, version: ModelVersion) -> Iterator[Related]:
    for link in version.parents:
        if link.kind == "model":
            model, _, name = link.name.partition(":")
            yield model, name, store.get_version(version.tenant, model, name)


def _children(store: RegistryStore, version: ModelVersion) -> Iterator[Related]:
    field_name = f"parents.model.{parent_name(version.model, version.version)}"
    for child in store.find_versions(version.tenant, Query(Comparison(field_name, "=", version.digest)), retired=True).items:
        yield child.model, child.version, child


def _links(version: ModelVersion) -> tuple[LineageLink, ...]:
    return tuple(link for link in version.parents if link.kind != "model")


def _link_tree(link: LineageLink) -> _Tree:
    return f"{link.kind} {link.name}" + (f"  {_digest(link.digest)}" if link.digest else ""), []


def _node_tree(node: LineageNode) -> _Tree:
    facts = [f"{node.model} {node.version}", _digest(node.digest) if node.digest else "", f"({node.note})" if node.note else ""]
    return "  ".join(filter(None, facts)), [*map(_link_tree, node.links), *map(_node_tree, node.further)]


def _digest(digest: str) -> str:
    return f"sha256:{digest[:12]}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004  a terminal's line


def _one_line(text: str) -> str:
    """A fact on its own line, whatever a name holds: no line that looks like another fact, and nothing that a terminal obeys."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


def _lines(trees: list[_Tree], indent: str) -> Iterator[str]:
    for at, (label, inner) in enumerate(trees, 1):
        last = at == len(trees)
        yield f"{indent}{'└── ' if last else '├── '}{_one_line(label)}"
        yield from _lines(inner, indent + ("    " if last else "│   "))


@define
class _Chart:
    """Boxes are named in the order in which they come; one label is one box."""

    lines: list[str] = field(factory=list)
    boxes: dict[str, str] = field(factory=dict)
    arrows: set[tuple[str, str]] = field(factory=set)

    def box(self, label: str) -> str:
        if label not in self.boxes:
            self.boxes[label] = f"n{len(self.boxes)}"
            self.lines.append(f'    {self.boxes[label]}["{_one_line(label).translate(_MARKS)}"]')
        return self.boxes[label]

    def arrow(self, source: str, target: str) -> None:
        if (source, target) not in self.arrows:
            self.arrows.add((source, target))
            self.lines.append(f"    {source} --> {target}")

    def links(self, links: tuple[LineageLink, ...], target: str) -> None:
        for link in links:
            self.arrow(self.box(f"{link.kind} {link.name}"), target)

    def add(self, node: LineageNode, other: str, *, upwards: bool) -> None:
        here = self.box(f"{node.model} {node.version}")
        self.arrow(*((here, other) if upwards else (other, here)))
        self.links(node.links, here)
        for further in node.further:
            self.add(further, here, upwards=upwards)
