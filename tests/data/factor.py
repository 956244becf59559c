"""A model that multiplies, as a file: ``factor N``."""

from pathlib import Path
from typing import Any, ClassVar

from attrs import define

from mlops_core.roles import Format


class Multiplier:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def predict(self, columns: Any) -> Any:
        return {"product": columns["x"] * self.factor}


@define
class Factor(Format):
    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})
    name: ClassVar[str] = "factor"
    runs_code: ClassVar[bool] = False

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Multiplier)

    def sniff(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes()[:7] == b"factor "

    def write(self, value: Any, path: Path) -> None:
        path.write_text(f"factor {value.factor}")

    def read(self, path: Path) -> Any:
        return Multiplier(int(path.read_text().split()[1]))

    def predictor(self, value: Any, schema: Any) -> Any:
        return value
