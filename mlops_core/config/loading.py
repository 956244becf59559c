"""``mlops.yaml`` and its overlay to settings, with every mistake of the files in one error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from mlops_core.config.alerts import alert_problems
from mlops_core.config.document import DocumentError, Table, merged, parse, places, values
from mlops_core.config.forms import settings_structurer, wrong_references
from mlops_core.config.origin import Origin
from mlops_core.config.settings import SIGN, PipelineSettings, Settings, Use
from mlops_core.exceptions import ConfigError
from mlops_core.names import is_name
from mlops_core.structure import Misfit, Problem, key_text, named, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FILE", "VERSION", "documents_of", "examine", "find", "load", "read"]

FILE: Final = "mlops.yaml"
VERSION: Final = 1


def find(start: str | os.PathLike[str]) -> Path | None:
    """The nearest ``mlops.yaml`` in a folder or above it."""
    folder = Path(start).absolute()
    return next((place / FILE for place in (folder, *folder.parents) if (place / FILE).is_file()), None)


def load(path: str | os.PathLike[str], profile: str | None = None, defaults: Settings | None = None) -> Settings:
    """The settings of a file and the overlay of a profile. What they leave out is taken from ``defaults``.

    Raises:
        ConfigError: One line for each mistake, ``file:line:column: key: what is wrong - the remedy``.
    """
    return read(documents_of(path, profile), defaults)[0]


def documents_of(path: str | os.PathLike[str], profile: str | None = None) -> list[tuple[str, str]]:
    """Name and text of the file and of the profile's overlay beside it; raises ``ConfigError``."""
    file = Path(path)
    files = [file]
    if profile is not None:
        overlay = file.parent / f"{file.stem}.{profile}{file.suffix}"
        if not is_name(profile) or not overlay.is_file():
            known = sorted(one.name.split(".")[-2] for one in file.parent.glob(f"{file.stem}.*{file.suffix}"))
            raise ConfigError(f"profile {profile!r}: there is no {file.stem}.{profile}{file.suffix} - {nearest(profile, known)}")
        files.append(overlay)
    return [(_shown(one), _text(one)) for one in files]


def read(documents: Sequence[tuple[str, str]], defaults: Settings | None = None) -> tuple[Settings, Origin]:
    """Settings of (name, text), the overlay last, and where each key stands.

    Raises:
        ConfigError: One line for each mistake.
    """
    settings, origin, wrong = examine(documents, defaults)
    if settings is None or wrong:
        raise ConfigError(*wrong)
    return settings, origin


def examine(documents: Sequence[tuple[str, str]], defaults: Settings | None = None) -> tuple[Settings | None, Origin, list[str]]:
    """As ``read``, but mistakes are answered: one line each, beside the settings without what is wrong (None: nothing is left)."""
    tree, wrong, repeated = None, list[str](), list[str]()
    for name, text in documents:
        twice = list[DocumentError]()
        try:
            node = parse(text, name, twice)
        except DocumentError as error:
            wrong += _told(name, *twice, error)
            continue
        repeated += _told(name, *twice)
        if node is not None and not isinstance(node, Table):
            wrong.append(f"{node.at}: expected a mapping of settings, got {named(values(node))}")
            continue
        tree = merged(tree, node)
    tree = tree or Table({}, f"{documents[0][0] if documents else FILE}:1:1")
    origin = Origin(tuple((name, text) for name, text in documents), dict(places(tree)))
    if wrong:
        return None, origin, [*repeated, *wrong]
    settings, problems = _settings(values(tree), origin, defaults or Settings())
    return settings, origin, origin.ordered([*repeated, *origin.lines(Misfit(*problems))])


def _told(name: str, *errors: DocumentError) -> list[str]:
    return [f"{name}:{error.line}:{error.column}: {error.message}" for error in errors]


def _settings(found: dict[str, Any], origin: Origin, defaults: Settings) -> tuple[Settings | None, list[Problem]]:
    problems = [*_version(found), *wrong_references(found), *_signing(found)]
    channels = found.get("channels", defaults.channels)
    settings, misfits, kept = _fitted(found)
    if misfits:
        problems += misfits[0].problems
    if settings is None:
        return None, problems
    if isinstance(channels, Mapping):
        problems += alert_problems(settings, channels, kept.places("monitoring.alerts", len(settings.monitoring.alerts)))
    return _placed(_filled(settings, found, defaults), origin, kept), problems


def _fitted(found: dict[str, Any]) -> tuple[Settings | None, list[Misfit], _Kept]:
    """The settings, at the first attempt or after what is wrong was taken out: then only the first finding counts."""
    structurer, misfits, kept = settings_structurer(), list[Misfit](), _Kept()
    while True:
        try:
            return structurer.fit(found, Settings, also=("version",)), misfits, kept
        except Misfit as misfit:
            misfits.append(misfit)
            if not kept.prune(found, misfit.problems):
                return None, misfits, kept


@frozen
class _Kept:
    """What is wrong taken out, so that the rest can be looked at: which items of each list are left, by their place as written."""

    left: dict[str, list[int]] = field(factory=dict)

    def prune(self, found: dict[str, Any], problems: Sequence[Problem]) -> bool:
        """Take out the wrong values of mappings and items of lists; answers whether anything was."""
        lists = dict[str, tuple[list[Any], set[int]]]()
        pruned = False
        for problem in problems:
            cut = next((place for place, step in reversed(list(enumerate(problem.path))) if isinstance(step, int)), len(problem.path) - 1)
            path, last = problem.path[:cut], problem.path[cut] if problem.path else None
            holder = _below(found, path)
            if isinstance(holder, dict) and last in holder:
                del holder[last]
                pruned = True
            elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
                lists.setdefault(key_text(path), (holder, set()))[1].add(last)
        for key, (items, wrong) in lists.items():
            places = self.places(key, len(items))
            self.left[key] = [place for number, place in enumerate(places) if number not in wrong]
            items[:] = [item for number, item in enumerate(items) if number not in wrong]
        return pruned or bool(lists)

    def places(self, key: str, count: int) -> Sequence[int]:
        """Where the items of a list stood as it was written."""
        return self.left.get(key, range(count))


def _below(found: Any, path: Sequence[str | int]) -> Any:
    """What a path leads to, None where it ends before."""
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def _version(found: dict[str, Any]) -> list[Problem]:
    if "version" not in found:
        return [Problem((), f"missing key 'version' - write 'version: {VERSION}'")]
    version = found.pop("version")
    if version == VERSION and type(version) is int:
        return []
    newer = isinstance(version, int) and version > VERSION
    remedy = "install a newer motadata-mlops-core" if newer else f"write 'version: {VERSION}'"
    return [Problem(("version",), f"expected {VERSION}, got {named(version)} - {remedy}")]


def _signing(found: dict[str, Any]) -> list[Problem]:
    """Take the core's part out of the registry's options, to a key of its own; raised there, it is placed as it was written."""
    wrong = [Problem((SIGN,), "no key - write it as 'sign' under 'registry'", on_key=True)] if found.pop(SIGN, None) is not None else []
    registry = found.get("registry")
    if isinstance(registry, dict) and "sign" in registry:
        found[SIGN] = registry.pop("sign")
    return wrong


def _filled(settings: Settings, found: Mapping[str, Any], defaults: Settings) -> Settings:
    """What the file leaves out, from the defaults; an empty list is not left out."""
    keys = {"tracker": "trackers", "registry": "registry", "environments": "environments", "channels": "channels"}
    missing = {name: getattr(defaults, name) for key, name in keys.items() if key not in found}
    if "sinks" not in (found.get("monitoring") or {}):
        missing["monitoring"] = evolve(settings.monitoring, sinks=defaults.monitoring.sinks)
    if "tests" not in (found.get("drift") or {}):
        missing["drift"] = evolve(settings.drift, tests=defaults.drift.tests)
    return evolve(settings, **missing)


def _placed(settings: Settings, origin: Origin, kept: _Kept) -> Settings:
    """Every plugin told where it stands, for the messages of whoever builds it."""

    def one(use: Use, key: str) -> Use:
        written = f"{key}.use" if f"{key}.use" in origin.places else key
        return evolve(use, key=key, at=origin.place(written) if written in origin.places or not use.at else use.at)

    def many(uses: tuple[Use, ...], key: str) -> tuple[Use, ...]:
        listed = f"{key}[0]" in origin.places
        places = kept.places(key, len(uses))
        return tuple(one(use, f"{key}[{place}]" if listed else key) for place, use in zip(places, uses, strict=True))

    pipeline = settings.pipeline
    return evolve(
        settings,
        trackers=many(settings.trackers, "tracker"),
        registry=settings.registry and one(settings.registry, "registry"),
        environments={
            name: evolve(environment, deployer=one(environment.deployer, f"environments.{name}"))
            for name, environment in settings.environments.items()
        },
        channels={name: one(use, f"channels.{name}") for name, use in settings.channels.items()},
        monitoring=evolve(settings.monitoring, sinks=many(settings.monitoring.sinks, "monitoring.sinks")),
        drift=evolve(settings.drift, tests=many(settings.drift.tests, "drift.tests")),
        observers=many(settings.observers, "observers"),
        formats=many(settings.formats, "formats") if "formats" in origin.places else settings.formats,
        pipeline=pipeline and _placed_stages(pipeline, origin, one),
    )


def _placed_stages(pipeline: PipelineSettings, origin: Origin, one: Any) -> PipelineSettings:
    stages = []
    for stage in pipeline.stages:
        key = f"pipeline.stages.{stage.name}"
        stages.append(evolve(stage, use=stage.use and one(stage.use, key), at=origin.place(key, on_key=True)))
    return evolve(pipeline, stages=tuple(stages))


def _shown(file: Path) -> str:
    """The file as seen from the current folder, where that is shorter."""
    try:
        relative = os.path.relpath(file)
    except ValueError:  # pragma: no cover  another system's branch: the file is on another drive
        return str(file)
    return min(relative, str(file), key=len)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{_shown(file)}: not UTF-8 at byte {error.start} - save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{_shown(file)}: cannot be read: {error.strerror or error}") from error
