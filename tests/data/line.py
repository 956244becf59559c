"""A model ``y = slope * x``, as a file: ``line SLOPE``."""

from pathlib import Path
from typing import Any, ClassVar

from attrs import define

from mlops_core.roles import Format


class Line:
    def __init__(self, slope: float) -> None:
        self.slope = slope

    def predict(self, columns: Any) -> Any:
        return {"y": columns["x"] * self.slope}


@define
class LineFormat(Format):
    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})
    name: ClassVar[str] = "line"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Line)

    def sniff(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes()[:5] == b"line "

    def write(self, value: Any, path: Path) -> None:
        path.write_text(f"line {value.slope}")

    def read(self, path: Path) -> Any:
        return Line(float(path.read_text().split()[1]))

    def predictor(self, value: Any, schema: Any) -> Any:
        return value
