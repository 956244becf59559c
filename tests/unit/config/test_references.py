from pathlib import Path
from typing import Any

import pytest

from mlops_core.config.references import Resolver, has_reference, malformed, resolve
from mlops_core.exceptions import ConfigError
from mlops_core.secrecy import mask
from mlops_core.structure import Deferred, Secret


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${PASSWORD}", "hunter2"),
        ("pg://u:${PASSWORD}@h/${UNSET:-db}", "pg://u:hunter2@h/db"),
        ("${UNSET:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${UNSET:-http://h:1/}", "http://h:1/"),
        ("${file:secret.txt}", "from a file"),
        ("$${PASSWORD} ${PASSWORD}", "${PASSWORD} hunter2"),
    ],
)
def test_references_are_resolved_and_hidden(variables: None, tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / "secret.txt").write_text("from a file\n", encoding="utf-8")
    found = resolve(text, tmp_path)
    assert found == value
    assert isinstance(found, Secret)
    assert repr(found) == "***"
    assert has_reference(text)


@pytest.mark.parametrize(("text", "value"), [("plain", "plain"), ("$5", "$5"), ("a$", "a$"), ("$${X}", "${X}"), ("{X}", "{X}")])
def test_text_without_a_reference_is_no_secret(tmp_path: Path, text: str, value: str) -> None:
    found = resolve(text, tmp_path)
    assert found == value
    assert not isinstance(found, Secret)
    assert not has_reference(text)


def test_a_file_may_be_anywhere(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("run") / "key"
    elsewhere.write_text("k\r\n", encoding="utf-8")
    assert resolve(f"${{file:{elsewhere}}}", tmp_path) == "k"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("${UNSET}", r"\$\{UNSET\}: the variable is not set - set it, or write \$\{UNSET:-default\}"),
        ("${file:nowhere}", r"\$\{file:nowhere\}: the file cannot be read: No such file or directory"),
        ("${file:.}", "the file cannot be read: Is a directory"),
        ("${file:binary}", "the file cannot be read: it is no text"),
        ("${1X}", r"'\$\{1X\}' is no reference - write \$\{NAME\}"),
    ],
)
def test_what_cannot_be_resolved_is_one_line(variables: None, tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=cause) as caught:
        resolve(text, tmp_path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["${1X}", "${}", "${", "a${", "${A-b}", "${A B}", "${file:}", "${\u00e9}", "${A}${"])
def test_what_only_looks_like_a_reference_is_found_before_it_is_needed(text: str) -> None:
    assert "is no reference" in str(malformed(text))


@pytest.mark.parametrize("text", ["${A:-${HOME}}", "${file:/run/${USER}/x}", "b ${A:-${B:-c}}"])
def test_a_reference_in_another_is_found_before_it_is_needed(variables: None, tmp_path: Path, text: str) -> None:
    assert "a reference holds no other - write the default out" in str(malformed(text))
    with pytest.raises(ConfigError, match="a reference holds no other"):
        resolve(text, tmp_path)


@pytest.mark.parametrize("text", ["", "x", "${A}", "${A:-}", "${A:-b c}", "${file:a/b}", "$${", "$${1X}"])
def test_references_that_are_well_formed(text: str) -> None:
    assert malformed(text) is None


def test_options_are_resolved_wherever_text_stands(variables: None, tmp_path: Path) -> None:
    options: dict[str, Any] = {"a": ["${PASSWORD}", 3], "b": {"c": "${PASSWORD}"}, "d": 1.5, "e": None}
    found = Resolver(tmp_path).resolved(options, "registry", "mlops.yaml:3:1")
    assert found == {"a": ["hunter2", 3], "b": {"c": "hunter2"}, "d": 1.5, "e": None}
    assert "hunter2" not in repr(found)


def test_the_error_says_where_the_reference_stands(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^mlops\.yaml:3:1: registry: \$\{UNSET\}: the variable is not set"):
        Resolver(tmp_path).resolved({"url": "${UNSET}"}, "registry", "mlops.yaml:3:1")
    with pytest.raises(ConfigError, match=r"^registry: \$\{UNSET\}"):
        Resolver(tmp_path).resolved({"url": "${UNSET}"}, "registry", "")


def test_what_cannot_be_resolved_yet_waits(variables: None, tmp_path: Path) -> None:
    found = Resolver(tmp_path).tried({"a": "${UNSET}", "b": "${PASSWORD}", "c": ["${UNSET:-x}"]})
    assert isinstance(found["a"], Deferred)
    assert found["b"] == "hunter2"
    assert found["c"] == ["x"]


def test_messages_are_masked(variables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGER", "hunter22")
    monkeypatch.setenv("SHORT", "ab")
    resolver = Resolver(tmp_path)
    for text in ("pg://u:${PASSWORD}@h", "${LONGER}", "${SHORT}", "${UNSET:-default}"):
        resolver.text(text)
    assert mask("pg://u:hunter2@h failed") == "*** failed"
    assert mask("hunter22 and hunter2") == "*** and ***"
    assert mask("by default") == "by default"
    assert mask("a table") == "a table"
    assert "hunter2" not in repr(resolver)
