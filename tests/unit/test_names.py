from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import ExperimentError, NameRuleError, VersioningError
from mlops_core.names import check_name, inside, is_name


@pytest.mark.parametrize("name", ["a", "tenant_123", "v1.2.3-rc1", "0", "A" * 128, "a..b"])
def test_a_name_that_follows_the_rule(name: str) -> None:
    assert is_name(name)
    assert check_name(name, "model") == name


WRONG = [
    "",
    " ",
    "../../etc",
    "a/b",
    "a\\b",
    "a b",
    "-a",
    ".a",
    "_a",
    "a\n",
    "a\0",
    "A" * 129,
    "\u0430dmin",
    "\u00e9t\u00e9",
    "\uff41",
    "a\u200b",
    "C:x",
    "a%2e",
]


@pytest.mark.parametrize("name", WRONG)
def test_a_name_that_breaks_the_rule_is_one_line(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(NameRuleError, match=r"model: .* is not a name - use 1 to 128 of A-Z a-z 0-9 \. _ -") as caught:
        check_name(name, "model")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("value", [None, 5, b"name", ["a"], True])
def test_what_is_no_text_is_no_name(value: object) -> None:
    assert not is_name(value)
    with pytest.raises(VersioningError, match=f"version: expected text, got {type(value).__name__}"):
        check_name(value, "version", VersioningError)


@pytest.mark.parametrize(
    ("name", "told"),
    [("p\u0430ypal", "cyrillic small letter a, U+0430"), ("a\u200b", "zero width space, U+200B"), ("a\x85", "a character, U+0085")],
)
def test_a_character_that_looks_like_another_is_called_by_its_name(name: str, told: str) -> None:
    with pytest.raises(NameRuleError) as caught:
        check_name(name, "model")
    assert caught.value.message.endswith(f"begin with a letter or digit (it has {told})")


@pytest.mark.parametrize("letter", ["\U000e0001", "\ud800", "\0", "\n", "\\", "\u0430"])
@pytest.mark.parametrize("count", [1, 40, 1_000_000])
def test_any_name_is_shown_in_one_short_line(letter: str, count: int) -> None:
    with pytest.raises(NameRuleError) as caught:
        check_name(letter * count, "model")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


def test_a_megabyte_is_shown_in_a_line() -> None:
    with pytest.raises(ExperimentError) as caught:
        check_name("x" * 1_000_000, "experiment", ExperimentError)
    assert len(caught.value.message) < 200
    assert "(1000000 characters)" in caught.value.message


@given(st.text(max_size=140))
def test_the_rule_is_the_whole_rule(text: str) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    wanted = 1 <= len(text) <= 128 and text[0] in letters and all(char in letters + "._-" for char in text)
    assert is_name(text) is wanted


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"))
def test_every_name_is_a_safe_file_name(name: str) -> None:
    assert is_name(name)
    assert Path("/root", name).parent == Path("/root")


def test_a_path_inside_its_folder(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b", "artifact") == (tmp_path / "a" / "b").resolve()
    assert inside(tmp_path, "a/../b", "artifact") == (tmp_path / "b").resolve()
    assert inside(tmp_path, ".", "artifact") == tmp_path.resolve()


@pytest.mark.parametrize("relative", ["..", "../x", "a/../../x", "/etc/passwd", "a\0b"])
def test_a_path_that_leaves_its_folder_is_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(NameRuleError, match=r"artifact: .* - give a "):
        inside(tmp_path, relative, "artifact")


def test_a_link_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(VersioningError, match="leaves its folder"):
        inside(tmp_path, "link/passwd", "artifact", VersioningError)
    (tmp_path / "within").symlink_to(tmp_path / "a")
    assert inside(tmp_path, "within", "artifact") == (tmp_path / "a").resolve()


def test_a_folder_that_merely_begins_alike_is_another(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root-2").mkdir()
    with pytest.raises(NameRuleError, match="leaves its folder"):
        inside(tmp_path / "root", "../root-2", "artifact")
