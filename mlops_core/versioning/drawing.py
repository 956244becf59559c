"""A lineage as one SVG picture that needs nothing else: what was used stands left of what was made of it."""

from __future__ import annotations

import html
import itertools
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from mlops_core.versioning.layering import Spot, arrange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.records import LineageLink
    from mlops_core.versioning.lineage import Lineage, LineageNode

__all__ = ["draw"]

_MARGIN: Final = 20.0
_BOX: Final = 46.0
_PADDING: Final = 12.0
_LETTER: Final = 7.4  # the mean width of a letter in the font below
_SMALL: Final = 6.4
_LONGEST: Final = 32  # letters
_NARROWEST: Final = 12
_ELSEWHERE: Final = "shown above"
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLE: Final = """
.lineage { font: 13px system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif }
.lineage .ground { fill: #ffffff }
.lineage .box { fill: #f3f5f8; stroke: #8a94a3 }
.lineage .model { fill: #e6effc; stroke: #3d6fb5 }
.lineage .here { fill: #3d6fb5; stroke: #274d82 }
.lineage .gone { stroke-dasharray: 4 3 }
.lineage .name { fill: #17202c }
.lineage .kind { fill: #55606e; font-size: 11px }
.lineage .on-here { fill: #ffffff }
.lineage .arrow { fill: none; stroke: #8a94a3; stroke-width: 1.3 }
.lineage .head { fill: #8a94a3 }
@media (prefers-color-scheme: dark) {
.lineage .ground { fill: #14181f }
.lineage .box { fill: #232a34; stroke: #6c7889 }
.lineage .model { fill: #1d3350; stroke: #6d9ee0 }
.lineage .here { fill: #6d9ee0; stroke: #a9c8f2 }
.lineage .name { fill: #e8ecf2 }
.lineage .kind { fill: #a7b1be }
.lineage .on-here { fill: #0d1320 }
.lineage .arrow { stroke: #7f8b9b }
.lineage .head { fill: #7f8b9b }
}
"""


@frozen
class _Box:
    """Two lines of text, and what a pointer is shown."""

    name: str
    kind: str
    style: str
    tip: str

    @property
    def size(self) -> tuple[float, float]:
        letters = max(_NARROWEST * _LETTER, _length(_cut(self.name)) * _LETTER, _length(_cut(self.kind)) * _SMALL)
        return letters + 2 * _PADDING, _BOX


@define
class _Graph:
    """Boxes by what they stand for: one version, or one link, is one box."""

    boxes: dict[str, _Box] = field(factory=dict)
    edges: list[tuple[str, str]] = field(factory=list)

    def version(self, model: str, version: str, digest: str, note: str, style: str) -> str:
        key = f"model\0{model}\0{version}"
        shown = "" if note == _ELSEWHERE else note
        if key not in self.boxes:
            kind = " · ".join(filter(None, ("this version" if style == "here" else "model", digest[:8], shown)))
            tip = "\n".join(filter(None, (f"{model} {version}", f"sha256:{digest}" if digest else "", shown)))
            self.boxes[key] = _Box(f"{model} {version}", kind, f"{style} gone" if shown else style, tip)
        return key

    def links(self, links: Sequence[LineageLink], target: str) -> None:
        for link in links:
            key = f"{link.kind}\0{link.name}\0{link.digest}"
            kind = f"{link.kind} · {link.digest[:8]}" if link.digest else link.kind
            tip = f"{link.kind} {link.name}" + (f"\n{link.digest}" if link.digest else "")
            self.boxes.setdefault(key, _Box(link.name, kind, "", tip))
            self.edges.append((key, target))

    def add(self, node: LineageNode, other: str, *, upwards: bool) -> None:
        here = self.version(node.model, node.version, node.digest, node.note, "model")
        self.edges.append((here, other) if upwards else (other, here))
        self.links(node.links, here)
        for further in node.further:
            self.add(further, here, upwards=upwards)


def draw(lineage: Lineage) -> str:
    """The whole SVG document. It follows the reader's light or dark colours where the program that shows it does."""
    graph = _Graph()
    here = graph.version(lineage.model, lineage.version, lineage.digest, "", "here")
    if lineage.run_id:
        graph.boxes[f"run\0{lineage.run_id}"] = _Box(lineage.run_id, "run", "", f"run {lineage.run_id}")
        graph.edges.append((f"run\0{lineage.run_id}", here))
    graph.links(lineage.links, here)
    for upwards, nodes in ((True, lineage.upstream), (False, lineage.downstream)):
        for node in nodes:
            graph.add(node, here, upwards=upwards)
    layout = arrange({key: box.size for key, box in graph.boxes.items()}, graph.edges)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    title = _text(f"Lineage of {lineage.model} {lineage.version}")
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" role="img" aria-label="{title}"'
            f' width="{width:.0f}" height="{height:.0f}" viewBox="{-_MARGIN:g} {-_MARGIN:g} {width:.1f} {height:.1f}">'
        ),
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        (
            '<defs><marker id="lineage-head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path class="head" d="M0 0.5 L8 4 L0 7.5 z"/></marker></defs>'
        ),
        f'<rect class="ground" x="{-_MARGIN:g}" y="{-_MARGIN:g}" width="{width:.1f}" height="{height:.1f}"/>',
        *_arrows(layout.routes),
        *(line for key, box in graph.boxes.items() for line in _drawn(box, layout.spots[key])),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _drawn(box: _Box, spot: Spot) -> Iterator[str]:
    on_here = " on-here" if box.style == "here" else ""
    x = spot.x + _PADDING
    yield f"<g><title>{_text(box.tip)}</title>"
    yield (f'<rect class="box {box.style}" x="{spot.x:.1f}" y="{spot.y:.1f}" width="{spot.width:.1f}" height="{spot.height:.1f}" rx="6"/>')
    yield f'<text class="kind{on_here}" x="{x:.1f}" y="{spot.y + 17:.1f}">{_text(_cut(box.kind))}</text>'
    yield f'<text class="name{on_here}" x="{x:.1f}" y="{spot.y + 35:.1f}">{_text(_cut(box.name))}</text></g>'


def _arrows(routes: Sequence[Sequence[Spot]]) -> Iterator[str]:
    """From the right side of a box to the left side of another; straight through a column that is passed, and each piece once."""
    seen = set()
    for left, right in itertools.chain.from_iterable(map(itertools.pairwise, routes)):
        if (id(left), id(right)) in seen:
            continue
        seen.add((id(left), id(right)))
        start, end = left.x + left.width, right.x
        bend = (start + end) / 2
        curve = f"M{start:.1f} {left.middle:.1f} C{bend:.1f} {left.middle:.1f} {bend:.1f} {right.middle:.1f} {end:.1f} {right.middle:.1f}"
        if right.name:
            yield f'<path class="arrow" marker-end="url(#lineage-head)" d="{curve}"/>'
        else:
            yield f'<path class="arrow" d="{curve} H{right.x + right.width:.1f}"/>'


def _cut(text: str) -> str:
    """What fits into a box; the whole of it is what a pointer is shown."""
    line = " ".join(text.split())
    if _length(line) <= _LONGEST:
        return line
    shown, length = "", 0
    for letter in line:
        length += _length(letter)
        if length > _LONGEST - 1:
            break
        shown += letter
    return f"{shown.rstrip()}…"


def _length(text: str) -> int:
    """In letters; those of East Asian scripts are as wide as two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _text(text: str) -> str:
    """Text as XML takes it: marks escaped, and what no XML document may hold replaced."""
    return html.escape(_ILLEGAL.sub("\ufffd", text))
