"""The suite itself: a format that breaks a rule fails the test of that rule."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import define, field

from mlops_core.builtin.json_format import JsonFormat
from mlops_core.testing.format_suite import FormatSuite, foreign_files
from mlops_core.testing.hostile import hostile_pickles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mlops_core.roles import Format


class Inherited(JsonFormat):
    """Leaves the contract to its parent."""


@define(eq=False)
class Unexplained(JsonFormat):
    contract: ClassVar[int] = 1

    indent: int = field(default=1)


class Greedy(JsonFormat):
    contract: ClassVar[int] = 1

    def accepts(self, value: Any) -> bool:
        return True

    def sniff(self, path: Path) -> bool:
        return True

    def write(self, value: Any, path: Path) -> None:
        path.write_text(str(value))


class Forgetful(JsonFormat):
    contract: ClassVar[int] = 1

    def read(self, path: Path) -> Any:
        return None


class Hungry(JsonFormat):
    contract: ClassVar[int] = 1

    def sniff(self, path: Path) -> bool:
        with path.open("rb") as stream:
            return stream.read(64 << 20)[:1] in (b"{", b"[")


class Careless(JsonFormat):
    contract: ClassVar[int] = 1

    def sniff(self, path: Path) -> bool:
        try:
            return pickle.loads(path.read_bytes()) is not None  # noqa: S301  the careless format that the suite has to catch
        except Exception:  # noqa: BLE001  as above
            return False

    def read(self, path: Path) -> Any:
        return eval(path.read_text())  # noqa: S307  as above


def suite_of(kind: type[Format]) -> FormatSuite:
    class Suite(FormatSuite):
        def format(self) -> Format:
            return kind()

        def values(self) -> Sequence[Any]:
            return [{"a": [1.5, "x"]}]

    return Suite()


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        (Inherited, lambda suite, _: suite.test_declares_itself()),
        (Unexplained, lambda suite, _: suite.test_declares_itself()),
        (Greedy, lambda suite, path: suite.test_sniff_refuses_other_formats(path)),
        (Greedy, lambda suite, path: suite.test_refuses_what_it_cannot_hold(path)),
        (Forgetful, lambda suite, path: suite.test_round_trip(path)),
        (Forgetful, lambda suite, path: suite.test_damage_is_an_artifact_error(path)),
        (Hungry, lambda suite, path: suite.test_sniff_is_bounded(path)),
        (Careless, lambda suite, path: suite.test_sniff_executes_nothing(path)),
        (Careless, lambda suite, path: suite.test_damage_is_an_artifact_error(path)),
    ],
)
def test_a_broken_rule_fails_its_test(kind: type[Format], broken: Callable[[FormatSuite, Path], None], tmp_path: Path) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, SyntaxError)):
        broken(suite_of(kind), tmp_path)


def test_the_hostile_files_run_where_they_are_unpickled(tmp_path: Path) -> None:
    """They are no blanks: plain pickle runs each of those that it can read."""
    marker = tmp_path / "marker"
    for name, content in hostile_pickles(marker).items():
        if not name.startswith("packed "):
            pickle.loads(content)  # noqa: S301  to show that they are hostile
            assert marker.exists(), name
            marker.rmdir()


def test_every_kind_of_foreign_file_is_another(tmp_path: Path) -> None:
    contents = list(foreign_files().values())
    assert len(set(contents)) == len(contents) >= 12
