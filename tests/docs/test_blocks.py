"""Every fenced block of README.md files and docs/ does what the page says.

The blocks of a page run in order, in one private folder, in one namespace:

- ``python`` is executed, and its ``>>>`` examples must print what they show;
- ``console`` is run line by line; ``$`` begins a command, the lines below it are its expected output (``...`` stands for
  anything); ``pip install NAME`` is checked against the distributions of this repository instead;
- ``yaml`` is written to ``mlops.yaml`` and must pass ``mlops check``; an excerpt without ``version:`` is completed first;
- ``toml`` and ``json`` must parse; ``text`` and ``mermaid`` are pictures.

A comment on the line before a block says more: ``<!-- file: NAME -->`` writes the block to a file of the folder (and
checks it when it is a configuration), ``<!-- exits: 2 -->`` expects a failure, ``<!-- not run: REASON -->`` leaves the
block out, is counted and printed. Files below ``fixtures/PAGE/`` lie in the folder from the start.
"""

import doctest
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
    *sorted(ROOT.glob("examples/**/README.md")),
]
TWO_COMMANDS = "Two commands"  # the section whose blocks .ci/run runs
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*) *$")
COMMENT = re.compile(r"^ *<!-- (?P<key>file|exits|not run): (?P<value>.+?) -->$")
EXAMPLES = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
EXCERPT = "version: 1\nproject: excerpt\n"


@attrs.frozen
class Block:
    """One fenced block and what the comments before it say."""

    language: str
    text: str
    line: int
    section: str
    marks: dict[str, str]


def blocks_of(page: str, text: str) -> Iterator[Block]:
    """The blocks of a page; a mark that precedes no block is an error of the page."""
    section, marks, lines = "", dict[str, str](), iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if fence := FENCE.match(line):
            indent, inside = len(fence["indent"]), list[str]()
            for _, row in lines:
                if row.strip() == "```":
                    break
                inside.append(row[indent:])
            yield Block(fence["language"], "\n".join(inside) + "\n", number, section, marks)
            marks = {}
        elif comment := COMMENT.match(line):
            marks = {**marks, comment["key"]: comment["value"]}
        elif marks:
            pytest.fail(f"{page}:{number}: a mark must stand on the line before its block")
        elif line.startswith("#"):
            section = line.lstrip("#").strip()


@attrs.define
class Reader:
    """A person who follows one page: a folder, a namespace and a shell's current directory."""

    page: str
    home: Path
    names: dict[str, Any] = attrs.field(factory=lambda: {"__name__": "__main__"})

    def follow_page(self, text: str) -> tuple[int, list[str]]:
        """Follow the blocks in order; return how many were run, and which were not and why."""
        run, left = 0, []
        for block in blocks_of(self.page, text):
            where = f"{self.page}:{block.line}"
            if self.page == "README.md" and block.section == TWO_COMMANDS:
                left.append(f"{where}: run by .ci/run")
            elif reason := block.marks.get("not run"):
                left.append(f"{where}: {reason}")
            else:
                self._follow(block)
                run += 1
        return run, left

    def _follow(self, block: Block) -> None:
        if name := block.marks.get("file"):
            target = self.home / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
            if target.suffix in {".yaml", ".yml"}:
                self._check_configuration(target, block)
            return
        actions: dict[str, Callable[[Block], object]] = {
            "console": self._console,
            "json": lambda block: json.loads(block.text),
            "mermaid": lambda block: None,
            "python": self._python,
            "text": lambda block: None,
            "toml": lambda block: tomllib.loads(block.text),
            "yaml": self._yaml,
        }
        assert block.language in actions, f"no way to run a block of {block.language!r}; mark it or call it text"
        actions[block.language](block)

    def _python(self, block: Block) -> None:
        where = f"{self.page}:{block.line}"
        if not block.text.startswith(">>> "):
            source = "\n" * block.line + block.text  # so that a traceback shows the line of the page
            exec(compile(source, self.page, "exec", dont_inherit=True), self.names)  # noqa: S102 - the page's own code is what is tested
            return
        test = doctest.DocTestParser().get_doctest(block.text, self.names, where, self.page, block.line)
        report: list[str] = []
        failed = doctest.DocTestRunner(optionflags=EXAMPLES).run(test, out=report.append, clear_globs=False).failed
        self.names.update(test.globs)
        assert not failed, "".join(report)

    def _yaml(self, block: Block) -> None:
        target = self.home / "mlops.yaml"
        whole = re.search(r"^version:", block.text, re.MULTILINE)
        before = target.read_text(encoding="utf-8") if target.exists() else None
        target.write_text(block.text if whole else EXCERPT + block.text, encoding="utf-8")
        self._check_configuration(target, block)
        if not whole:  # an excerpt is looked at, it does not replace the project's configuration
            target.unlink() if before is None else target.write_text(before, encoding="utf-8")

    def _check_configuration(self, target: Path, block: Block) -> None:
        overlay = re.fullmatch(r"mlops(?:\.(\w+))?\.ya?ml", target.name)
        if overlay:
            profile = ["--profile", overlay[1]] if overlay[1] else []
            self._run(shlex.join(["mlops", "check", *profile]), "", block, folder=target.parent)

    def _console(self, block: Block) -> None:
        dialogue = block.text if block.text.startswith("$ ") else re.sub(r"^(?=\S)", "$ ", block.text, flags=re.MULTILINE)
        for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", dialogue, re.MULTILINE):
            if command.startswith("pip install "):
                check_installable(command)
            else:
                self._run(command, shown, block, folder=self.home)

    def _run(self, command: str, shown: str, block: Block, *, folder: Path) -> None:
        """Run a command with the programs of this environment, and compare what the page shows of its output."""
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        answer = subprocess.run(  # noqa: S602 - a page is written for a shell
            command,
            shell=True,
            cwd=folder,
            env={**os.environ, "PATH": programs, "NO_COLOR": "1", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert answer.returncode == int(block.marks.get("exits", "0")), f"{command}\n{answer.stdout}"
        if shown.strip():
            same = doctest.OutputChecker().check_output(shown.rstrip() + "\n", answer.stdout.rstrip() + "\n", EXAMPLES)
            assert same, f"{command}\nthe page shows:\n{shown}\nbut it printed:\n{answer.stdout}"


def check_installable(command: str) -> None:
    """What a page tells people to install is a distribution of this repository, with extras that it has."""
    for word in shlex.split(command)[2:]:
        if word.startswith("-"):
            continue
        wanted = Requirement(word)
        extras = set(metadata.distribution(wanted.name).metadata.get_all("Provides-Extra") or ())
        assert wanted.name.startswith("motadata-mlops-"), f"{command}: not a distribution of this repository"
        assert wanted.extras <= extras, f"{command}: there are the extras {sorted(extras)}"


def left_running(folder: Path) -> dict[int, str]:
    """Processes whose command line names the folder (where the system shows it)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended while we looked
            continue
        if str(folder) in words and int(path.parent.name) != os.getpid():
            found[int(path.parent.name)] = words
    return found


@pytest.mark.timeout(900)  # a page starts as many programs as its reader, and the machine may be busy
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_block_of_the_page_works(page: Path, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    name = page.relative_to(ROOT).as_posix()
    if (FIXTURES / name).is_dir():
        shutil.copytree(FIXTURES / name, tmp_path, dirs_exist_ok=True)
    run, left = Reader(name, tmp_path).follow_page(page.read_text(encoding="utf-8"))
    record_property("blocks run", run)
    for line in left:
        record_property("block not run", line)

    still = left_running(tmp_path)
    for process in still:
        os.kill(process, signal.SIGKILL)
    assert still == {}, "the page does not stop what it starts"


def test_the_readme_promises_two_commands_of_one_line_each() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    promised = [block for block in blocks_of("README.md", text) if block.section == TWO_COMMANDS]

    assert [block.language for block in promised] == ["console", "console"]
    assert [block.text.count("\n") for block in promised] == [1, 1]
    assert [block.text.startswith("$ ") for block in promised] == [False, False]
    quickstart, tests = (block.text for block in promised)
    assert "nox -s quickstart" in quickstart
    assert all(session in tests for session in ("lint", "types", "docs", "tests"))


WRONG = {
    "python that raises": ("```python\nint('x')\n```\n", "invalid literal"),
    "an example that prints something else": ("```python\n>>> 1 + 1\n3\n```\n", "Expected:\n +3"),
    "a command that fails": ('```console\n$ python -c "raise SystemExit(3)"\n```\n', "SystemExit"),
    "a command that prints something else": ('```console\n$ python -c "print(1)"\n2\n```\n', "but it printed:"),
    "a failure that does not come": ('<!-- exits: 2 -->\n```console\n$ python -c ""\n```\n', "python -c"),
    "a configuration that is wrong": ("```yaml\nversion: 1\nproject: x\ntracler: y\n```\n", "unknown key 'tracler'"),
    "a distribution of somebody else": ("```console\npip install attrs\n```\n", "not a distribution of this"),
    "an extra that does not exist": ("```console\npip install motadata-mlops-core[all]\n```\n", "there are the extras"),
    "toml that does not parse": ("```toml\na =\n```\n", "Invalid value"),
    "json that does not parse": ("```json\n{\n```\n", "Expecting property name"),
    "a language that nothing runs": ("```cobol\nSTOP RUN.\n```\n", "no way to run"),
    "no language": ("```\nx\n```\n", "no way to run"),
    "a mark without its block": ("<!-- not run: because -->\nwords\n", "must stand on the line before"),
}


@pytest.mark.parametrize(("text", "cause"), WRONG.values(), ids=WRONG)
def test_a_page_that_is_wrong_is_found(text: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception), match=cause):
        Reader("wrong.md", tmp_path).follow_page(text)
