"""What the documentation lists is what there is: commands, public names, plugins, pages, links."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mlops_core.cli.app import COMMANDS, app
from mlops_core.plugins import Catalogue
from mlops_core.project import Project

ROOT = Path(__file__).parents[2]
CLI = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
PYTHON = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
    *sorted(ROOT.glob("examples/**/README.md")),
]
COMMON = {"--project", "--profile", "--tenant", "--json", "--debug"}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def section(page: str, heading: str) -> str:
    """The text below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}.*?\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def first_column(text: str) -> set[str]:
    """Names in backquotes in the first column of every table, without what follows a name."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {re.match(r"[\w.]+", name)[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell)}  # type: ignore[index]  # each is a name


def leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command, or all of its subcommands, by its words."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for one in command.list_commands(click.Context(command)):
        below = command.get_command(click.Context(command), one)
        assert below is not None
        yield from leaves(f"{name} {one}", below)


def usage(name: str, command: click.Command) -> str:
    pieces = command.collect_usage_pieces(click.Context(command))
    return " ".join([f"mlops {name}", *(piece for piece in pieces if piece != "[OPTIONS]")])


def options(command: click.Command) -> set[str]:
    return {one for parameter in command.params if isinstance(parameter, click.Option) for one in parameter.opts} - COMMON


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_documented_with_its_arguments_and_options(name: str) -> None:
    command = app.get_command(click.Context(app), name)
    assert command is not None
    whole = dict(leaves(name, command))
    heading = usage(name, command) if name in whole else f"mlops {name}"
    text = section(CLI, f"`{heading}`")
    rows = {word for line in text.splitlines() if line.startswith("| `--") for word in OPTION.findall(line.split("|")[1])}
    existing = options(command).union(*map(options, whole.values()))

    assert [usage(below, one) for below, one in whole.items() if below != name and f"`{usage(below, one)}`" not in text] == []
    assert rows == existing
    assert set(OPTION.findall(text)) <= existing | COMMON


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert re.findall(r"^## `mlops (\w+)", CLI, re.MULTILINE) == list(COMMANDS)


def test_the_common_options_are_documented() -> None:
    assert set(re.findall(r"^\| `(--[a-z]+)", section(CLI, "Options of every command"), re.MULTILINE)) == COMMON


@pytest.mark.parametrize("name", ["mlops_core", "mlops_core.functions", "mlops_core.exceptions", "mlops_core.roles", "mlops_core.records"])
def test_public_names_documented_are_those_that_exist(name: str) -> None:
    assert sorted(first_column(section(PYTHON, f"`{name}`"))) == sorted(importlib.import_module(name).__all__)


def test_what_a_project_gives_is_documented() -> None:
    public = {name for name, _ in inspect.getmembers(Project) if not name.startswith("_")}
    assert {name.removeprefix("Project.") for name in first_column(section(PYTHON, "`Project`"))} == public


def test_modules_of_the_kit_documented_are_those_that_exist() -> None:
    existing = {path.stem for path in (ROOT / "mlops_core/testing").glob("*.py")}
    documented = first_column(section(PYTHON, "`mlops_core.testing`"))
    parts_of_the_registry_suite = {"registry_artifact_suite", "registry_journal_suite", "registry_version_suite", "registry_samples"}

    assert documented == existing - parts_of_the_registry_suite - {"sink_log_suite", "__init__"}


def test_the_error_tree_of_the_page_is_that_of_the_module() -> None:
    exceptions = importlib.import_module("mlops_core.exceptions")
    drawn = re.search(r"```text\n(MLOpsError\n.*?)```", PYTHON, re.DOTALL)
    assert drawn
    assert drawn[1].strip() in inspect.cleandoc(exceptions.__doc__ or "").replace("\n    ", "\n")


def test_plugins_of_the_readme_are_those_that_are_installed() -> None:
    told = {
        (plugin, distribution)
        for line in section(README, "Plugins").splitlines()
        if (row := re.match(r"\| (`[^|]+) \| `([\w-]+)` \|", line))
        for plugin, distribution in ((name, row[2]) for name in re.findall(r"`([\w.-]+)`", row[1]))
    }
    installed = {(one.plugin, one.distribution) for one in Catalogue() if one.distribution.startswith("motadata-mlops-")}
    assert told == installed


def test_the_map_of_the_documentation_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w/.-]+\.md)\)", (ROOT / "docs/index.md").read_text(encoding="utf-8")))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")} - {"index.md"}
    assert {name for name in linked if not name.startswith("../")} == pages


def anchors(page: Path) -> set[str]:
    """Fragments that a page answers to, as code hosts make them of headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", FENCED.sub("", page.read_text(encoding="utf-8"))):
        path, _, fragment = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (fragment and place.suffix == ".md" and fragment not in anchors(place)):
            broken.append(target)
    assert broken == []
