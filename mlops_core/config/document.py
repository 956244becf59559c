"""YAML text to a tree that knows where each key and value stands.

The core schema of YAML 1.2 from ruamel's events: ``NO`` is text, ``12:30`` is text, ``1.10`` keeps its text. Safe by construction: no tag
makes an object, an alias cannot multiply without bound, a key is there once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from mlops_core.structure.scalars import value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DocumentError", "Leaf", "Many", "Node", "Table", "merged", "parse", "places", "values"]

_DEEPEST: Final = 50
_LARGEST: Final = 1 << 20
_MOST_NODES: Final = 200_000
_STRING: Final = "tag:yaml.org,2002:str"


class DocumentError(Exception):
    """The text is no document that is accepted; ``line`` and ``column`` count from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@frozen
class Leaf:
    """A scalar and its place."""

    value: Any
    at: str
    size: int = 1


@frozen
class Table:
    """A mapping: each key with its place and its node, in the order written."""

    items: Mapping[str, tuple[str, Node]]
    at: str
    size: int = 1


@frozen
class Many:
    """A list."""

    items: tuple[Node, ...]
    at: str
    size: int = 1


Node = Leaf | Table | Many


def parse(text: str, name: str, twice: list[DocumentError] | None = None) -> Node | None:
    """The document, None for an empty one. Places are ``name:line:column``.

    Keys that are there twice are added to ``twice``, so that the rest can be looked at; without it, the first is an error.

    Raises:
        DocumentError: It is no YAML, or more than a configuration needs.
    """
    if len(text) > _LARGEST:
        raise DocumentError(f"the file has {len(text)} characters - a configuration has {_LARGEST} at most")
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _Composer(name, iter(YAML(typ="safe", pure=True).parse(text)), twice).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        cause = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise DocumentError(f"not YAML: {cause}", *((mark.line + 1, mark.column + 1) if mark else ())) from error
    except YAMLError as error:
        before = text[: getattr(error, "position", 0)]  # a character that YAML does not allow is told by its number
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise DocumentError(f"not YAML: {' '.join(str(error).split())[:200]}", *place) from error


def values(node: Node | None) -> Any:
    """The plain values of a tree."""
    if isinstance(node, Table):
        return {key: values(inner) for key, (_, inner) in node.items.items()}
    if isinstance(node, Many):
        return [values(inner) for inner in node.items]
    return node.value if node is not None else None


def places(node: Node, key: str = "", key_at: str = "") -> Iterator[tuple[str, tuple[str, str]]]:
    """Every key path with the places of its key and of its value."""
    yield key, (key_at or node.at, node.at)
    if isinstance(node, Table):
        for name, (at, inner) in node.items.items():
            yield from places(inner, f"{key}.{name}" if key else name, at)
    elif isinstance(node, Many):
        for index, inner in enumerate(node.items):
            yield from places(inner, f"{key}[{index}]", inner.at)


def merged(below: Node | None, above: Node | None) -> Node | None:
    """An overlay on a document: mappings merge key by key, anything else replaces. A changed ``use`` replaces its whole mapping."""
    if below is None or above is None:
        return above or below
    if isinstance(below, Leaf) and isinstance(below.value, str) and isinstance(above, Table):
        below = Table({"use": (below.at, below)}, below.at)  # the short form of a plugin: its name alone
    if not isinstance(below, Table) or not isinstance(above, Table) or _another(below, above):
        return above
    items = dict(below.items)
    for key, (at, node) in above.items.items():
        items[key] = (at, merged(items[key][1], node) or node) if key in items else (at, node)
    return Table(items, above.at, below.size + above.size)


def _another(below: Table, above: Table) -> bool:
    """Whether the overlay names another plugin, whose options have nothing to do with those below."""
    used = (table.items.get("use") for table in (below, above))
    old, new = (values(entry[1]) if entry is not None else None for entry in used)
    return new is not None and new != old


class _Composer:
    """Consumes the events of one document (of ``ruamel.yaml.events``, which is loaded at first use)."""

    def __init__(self, name: str, events: Iterator[Any], twice: list[DocumentError] | None) -> None:
        self.name, self.events, self.twice = name, events, twice
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0

    def document(self) -> Node | None:
        """The first document; a second one is refused."""
        from ruamel.yaml.events import DocumentEndEvent, DocumentStartEvent, StreamEndEvent, StreamStartEvent

        found: list[Node] = []
        for event in self.events:
            if isinstance(event, DocumentStartEvent) and found:
                raise self._error("a second document begins here - a configuration is one", event)
            if not isinstance(event, StreamStartEvent | DocumentStartEvent | DocumentEndEvent | StreamEndEvent):
                found.append(self._node(event, 0))
        return found[0] if found and found[0] != Leaf(None, found[0].at) else None

    def _node(self, event: Any, depth: int) -> Node:
        from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent

        if depth > _DEEPEST:
            raise self._error(f"nested deeper than {_DEEPEST} levels", event)
        if isinstance(event, AliasEvent):
            node = self._alias(event)
        else:
            anchor = event.anchor
            if anchor:
                self._anchors[anchor] = None  # until it is complete, an alias to it would be a circle
            if isinstance(event, ScalarEvent):
                node = Leaf(self._scalar(event), self._at(event))
            else:
                self._no_tag(event)
                node = self._table(event, depth) if isinstance(event, MappingStartEvent) else self._many(event, depth)
            if anchor:
                self._anchors[anchor] = node
        self._nodes += node.size if isinstance(event, AliasEvent) else 1
        if self._nodes > _MOST_NODES:
            raise self._error(f"more than {_MOST_NODES} values, aliases included", event)
        return node

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            known = event.anchor in self._anchors
            raise self._error(f"*{event.anchor} contains itself" if known else f"*{event.anchor} refers to no anchor above it", event)
        return evolve(node, at=self._at(event))

    def _table(self, start: Any, depth: int) -> Table:
        from ruamel.yaml.events import MappingEndEvent, ScalarEvent

        items: dict[str, tuple[str, Node]] = {}
        size = 1
        while not isinstance(event := next(self.events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise self._error("a key must be a plain word", event)
            key = str(event.value)
            if key == "<<" and event.style is None:
                raise self._error("merge keys '<<' are no part of YAML 1.2 - repeat the keys, or use an overlay", event)
            node = self._node(next(self.events), depth + 1)
            size += node.size
            if key not in items:
                items[key] = (self._at(event), node)
                continue
            again = self._error(f"the key {key!r} is here twice, first in line {items[key][0].rsplit(':', 2)[1]}", event)
            if self.twice is None:
                raise again
            self.twice.append(again)
        return Table(items, self._at(start), size)

    def _many(self, start: Any, depth: int) -> Many:
        from ruamel.yaml.events import SequenceEndEvent

        found = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            found.append(self._node(event, depth + 1))
        return Many(tuple(found), self._at(start), 1 + sum(node.size for node in found))

    def _scalar(self, event: Any) -> Any:
        tag = str(event.tag) if event.tag else None
        if tag == _STRING:
            return str(event.value)
        self._no_tag(event)
        return value_of(event.value) if event.style is None else str(event.value)

    def _no_tag(self, event: Any) -> None:
        if event.tag:
            raise self._error(f"the tag {event.tag} is not accepted - write plain values", event)

    def _at(self, event: Any) -> str:
        return f"{self.name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"

    def _error(self, message: str, event: Any) -> DocumentError:
        return DocumentError(message, event.start_mark.line + 1, event.start_mark.column + 1)
