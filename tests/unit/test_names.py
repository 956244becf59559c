"""The one name rule, and the one path resolver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import NameRuleError, VersioningError
from mlops_core.names import check_name, inside, is_name

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["a", "1.0.0", "ticket_classifier", "A-b.c_9", "x" * 128])
def test_names(name: str) -> None:
    assert check_name(name, "model") == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-a", "_a", "a b", "a/b", "../../etc", "a\0", "a\n", "a\u0430", "\uff41", "x" * 129, "x" * 1_000_000]
)
def test_what_is_no_name_is_one_short_line(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(VersioningError) as caught:
        check_name(name, "model", VersioningError)
    assert caught.value.message.startswith("model: ")
    assert "use 1 to 128 of" in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 250


@pytest.mark.parametrize("value", [None, 3, b"a", ["a"], ...])
def test_what_is_no_text(value: object) -> None:
    with pytest.raises(NameRuleError, match=r"tenant: expected text, got \w+ - give a name"):
        check_name(value, "tenant")


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True))
def test_every_name_of_the_rule_passes(name: str) -> None:
    assert is_name(name)


def test_paths_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    assert inside(tmp_path, "a/b", "file") == tmp_path.resolve() / "a" / "b"
    assert inside(tmp_path, "a/../b", "file") == tmp_path.resolve() / "b"
    assert inside(tmp_path, ".", "file") == tmp_path.resolve()
    for outside in ("..", "../x", "/etc/passwd", "a/../../x", "link/passwd"):
        with pytest.raises(NameRuleError, match=r"file: .* leaves its folder"):
            inside(tmp_path, outside, "file")
    with pytest.raises(VersioningError, match="NUL"):
        inside(tmp_path, "a\0b", "file", VersioningError)
