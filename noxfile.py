"""Sessions of the project: `nox -l` lists them, CONTRIBUTING.md says when each is of use.

Every session installs the built distributions (wheels, never the checkout) and the pinned tools of constraints.txt.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox
import uv

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "docs", "tests"]

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
STRANGERS = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))  # examples of other people's plugins
SCRIPTS = sorted({path.parent for path in (*ROOT.glob("examples/*/run.py"), *ROOT.glob("benchmarks/*.py"))})  # run where they lie
EXTRAS = ("plot", "quickstart", "servers", "sign", "testing")
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHON = "3.11"


@functools.cache
def index() -> Mapping[str, str]:
    """A person who told pip where the package index is means uv as well."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # empty where there is no pip
    meant = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
    found = {}
    for line in reversed(told.splitlines()):  # sorted by origin: what the environment says comes first, and wins
        key, _, value = line.partition("=")
        found[meant.get(key.rpartition(".")[2], "")] = value.strip("'")
    found.pop("", None)
    return {name: value for name, value in found.items() if name not in os.environ}


def further_pythons() -> Mapping[str, str]:
    """Further versions of Python on this machine that start, on the path or kept by pyenv, with their program."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in (f"3.{minor}" for minor in range(12, 20)):
        on_path = shutil.which(f"python{version}")
        programs = [*([on_path] if on_path else []), *map(str, kept.glob(f"{version}.*/bin/python{version}"))]
        for program in programs:
            if subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
                found[version] = program
                break
    return found


def group(*names: str) -> Sequence[str]:
    """Requirements of these dependency groups of pyproject.toml."""
    return nox.project.dependency_groups(PROJECT, *names)


def install(session: nox.Session, *requirements: str) -> None:
    """Install with the exact versions of constraints.txt."""
    session.install("--constraint", str(CONSTRAINTS), *requirements, env=index())


@functools.cache
def build_wheels() -> Mapping[Path, Path]:
    """Build the wheels of all distributions, once for all sessions of this call, and return them by source folder."""
    folder = ROOT / ".nox" / "wheels"
    shutil.rmtree(folder, ignore_errors=True)

    def build_wheel(source: Path) -> Path:
        into = folder / source.relative_to(ROOT)
        build_one(source, "--wheel", into=into)
        return next(into.glob("*.whl"))

    sources = (ROOT, *PLUGINS, *STRANGERS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(sources, pool.map(build_wheel, sources), strict=True))


def build_one(source: Path, *options: str, into: Path) -> None:
    """Build the distribution of one folder with pinned build tools."""
    command = [uv.find_uv_bin(), "build", "--quiet", "--no-sources", "--build-constraints", str(CONSTRAINTS), *options]
    subprocess.run([*command, "--out-dir", str(into), str(source)], env={**os.environ, **index()}, check=True)


def install_project(session: nox.Session, *groups: str, extras: Sequence[str] = EXTRAS) -> None:
    """Install the wheels of the core and of every plugin (for tests also the examples), with the tools of these groups.

    With tools the plugins come with all of their extras, since they are to be looked at as a whole.
    """
    core = requirement(ROOT, extras)
    plugins = [requirement(source, extras_of(source) if groups else ()) for source in PLUGINS]
    strangers = [requirement(source) for source in STRANGERS if "test" in groups]
    install(session, "--no-sources", core, *plugins, *strangers, *group(*groups))


def requirement(source: Path, extras: Sequence[str] = ()) -> str:
    """The wheel of a distribution, as pip takes it."""
    name = nox.project.load_toml(source / "pyproject.toml")["project"]["name"]
    return f"{name}[{','.join(extras)}] @ {build_wheels()[source].as_uri()}"


def extras_of(source: Path) -> Sequence[str]:
    """The extras that a distribution offers."""
    return sorted(nox.project.load_toml(source / "pyproject.toml")["project"].get("optional-dependencies", ()))


def run_pytest(session: nox.Session, *arguments: str, env: Mapping[str, str] | None = None) -> None:
    """Run pytest from a private folder, so that nothing there or in a child process imports the checkout."""
    private = Path(session.virtualenv.location).resolve() / "work"
    private.mkdir(exist_ok=True)
    with session.chdir(private):
        command = ("pytest", f"--config-file={ROOT / 'pyproject.toml'}", f"--rootdir={ROOT}", *arguments)
        session.run(*command, env={"MLOPS_TESTS_INSTALLED": "1", **(env or {})})


@nox.session(python=PYTHON)
def quickstart(session: nox.Session) -> None:
    """Install the quickstart's working set and run the main job on real data."""
    install_project(session, extras=["quickstart"])
    session.run("python", str(ROOT / "examples" / "quickstart" / "run.py"), *session.posargs)


def tests(session: nox.Session) -> None:
    """Run the tests of the core, the plugins and the examples against the installed packages."""
    install_project(session, "test")
    if session.posargs:
        run_pytest(session, *(_absolute(argument) for argument in session.posargs))
        return
    everything = [str(ROOT / name) for name in ("tests", "plugins", "examples")]
    data = Path(session.virtualenv.location).resolve() / "coverage"
    run_pytest(
        session,
        *everything,
        f"--ignore={ROOT / 'tests' / 'docs'}",
        "--cov",
        f"--cov-config={ROOT / 'pyproject.toml'}",
        "--cov-report=term",
        env={"COVERAGE_FILE": str(data)},
    )


nox.session(python=PYTHON)(tests)
for version, program in further_pythons().items():
    nox.session(name=f"tests-{version}", python=program, default=False)(tests)


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Check style, floors and declared dependencies."""
    install_project(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")
    session.run("deptry", "mlops_core")
    for source in (*PLUGINS, *STRANGERS):
        with session.chdir(source):
            session.run("deptry", "src")


@nox.session(python=PYTHON)
def types(session: nox.Session) -> None:
    """Check types, strictly: the core with its tests, then each plugin with its own, the examples and the benchmarks."""
    install_project(session, "types", "test", "nox")
    session.run("mypy", "--num-workers=auto", "mlops_core", "tests", "noxfile.py")
    for source in (*PLUGINS, *STRANGERS):
        session.run("mypy", str(source.relative_to(ROOT)), env={"MYPYPATH": os.pathsep.join([str(source / "src"), str(source)])})
    for source in SCRIPTS:
        session.run("mypy", str(source.relative_to(ROOT)), env={"MYPYPATH": str(source)})


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Run every code and config block of README.md and docs/, and draw the changelog."""
    install_project(session, "docs", "test")
    session.run("towncrier", "build", "--draft", silent=True)
    run_pytest(session, str(ROOT / "tests" / "docs"), *session.posargs)


@nox.session(python=PYTHON, default=False)
def bench(session: nox.Session) -> None:
    """Run benchmarks/NAME.py (all without a name) with further arguments passed on: `nox -s bench -- --check` holds all to their goals."""
    install_project(session, "test")
    named = bool(session.posargs) and not session.posargs[0].startswith("-")
    name, arguments = (session.posargs[0], session.posargs[1:]) if named else ("all", session.posargs)
    found = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("[!_]*.py"))}
    if not found or name not in {"all", *found}:
        session.error(f"benchmarks: no {name!r}; there are: {', '.join(found) or 'none'}")
    for path in found.values() if name == "all" else [found[name]]:
        session.run("python", str(path), *arguments)


@nox.session(python=PYTHON, default=False)
def faults(session: nox.Session) -> None:
    """Kill and starve the program at many moments: `nox -s faults -- --fault-rounds 200`; with `long`, at every system call too."""
    install_project(session, "test")
    long = ["--fault-long", "--fault-rounds=200", "--timeout=7200"] if "long" in session.posargs else []
    chosen = [*long, *(argument for argument in session.posargs if argument != "long")]
    places = [ROOT / "tests" / "faults", ROOT / "tests" / "integration" / "test_copy_between_stores.py"]
    run_pytest(session, *map(str, places), *(chosen or ["--fault-rounds=20"]))


@nox.session(python=PYTHON, default=False)
def interop(session: nox.Session) -> None:
    """Run the tests that need another program or installer."""
    install_project(session, "test")
    run_pytest(session, "-m", "interop", str(ROOT / "tests"), str(ROOT / "plugins"), *session.posargs)


@nox.session(python=PYTHON, default=False)
def build(_session: nox.Session) -> None:
    """Build sdist and wheel of every distribution into dist/, each wheel from its sdist."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for source in (ROOT, *PLUGINS):
        build_one(source, into=ROOT / "dist")


@nox.session(python=PYTHON, default=False)
def constraints(session: nox.Session) -> None:
    """Compile constraints.txt anew; `nox -s constraints -- --upgrade` takes the newest versions."""
    projects = [source / "pyproject.toml" for source in (ROOT, *PLUGINS, *STRANGERS)]
    names = [nox.project.load_toml(project)["project"]["name"] for project in projects]
    sources = [str(project.relative_to(ROOT)) for project in projects]
    groups = [option for name in sorted(PROJECT["dependency-groups"]) for option in ("--group", name)]
    hidden = [option for name in names for option in ("--no-emit-package", name)]
    command = ["uv", "pip", "compile", "--quiet", "--universal", f"--python-version={PYTHON}", "--all-extras"]
    output = ["--no-annotate", "--no-header", "--no-emit-index-url", "--output-file", CONSTRAINTS.name]
    session.run(*command, *groups, *hidden, *output, *sources, *session.posargs, external=True, env=index())


def _absolute(argument: str) -> str:
    """A path of the checkout, named from its root, as pytest needs it in a private folder."""
    path = ROOT / argument.partition("::")[0]
    return str(ROOT / argument) if not argument.startswith("-") and path.exists() else argument
