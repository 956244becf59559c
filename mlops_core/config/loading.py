"""``mlops.yaml`` and its overlay to settings, with every mistake of the files in one error."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from mlops_core.config.document import DocumentError, Table, merged, parse, places, values
from mlops_core.config.forms import settings_structurer, unsupported, wrong_references
from mlops_core.config.origin import Origin
from mlops_core.config.settings import PipelineSettings, Settings, Use
from mlops_core.exceptions import ConfigError
from mlops_core.names import is_name
from mlops_core.structure import Misfit, Problem, named, nearest

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
    tree, wrong = None, list[str]()
    for name, text in documents:
        try:
            node = parse(text, name)
        except DocumentError as error:
            wrong.append(f"{name}:{error.line}:{error.column}: {error.message}")
            continue
        if node is not None and not isinstance(node, Table):
            wrong.append(f"{node.at}: expected a mapping of settings, got {named(values(node))}")
            continue
        tree = merged(tree, node)
    tree = tree or Table({}, f"{documents[0][0] if documents else FILE}:1:1")
    origin = Origin(tuple((name, text) for name, text in documents), dict(places(tree)))
    if wrong:
        return None, origin, wrong
    settings, problems = _settings(values(tree), origin, defaults or Settings())
    return settings, origin, origin.lines(Misfit(*problems))


def _settings(found: dict[str, Any], origin: Origin, defaults: Settings) -> tuple[Settings | None, list[Problem]]:
    problems = [*_version(found), *wrong_references(found), *unsupported(found)]
    channels = found.get("channels", defaults.channels)
    settings, misfits = _fitted(found)
    if misfits:
        problems += misfits[0].problems
    if settings is None:
        return None, problems
    if isinstance(channels, Mapping):
        problems += _unknown_channels(settings, channels)
    return _placed(_filled(settings, found, defaults), origin), problems


def _fitted(found: dict[str, Any]) -> tuple[Settings | None, list[Misfit]]:
    """The settings, at the first attempt or after what is wrong was taken out: then only the first finding counts."""
    structurer, misfits = settings_structurer(), list[Misfit]()
    while True:
        try:
            return structurer.fit(found, Settings, also=("version",)), misfits
        except Misfit as misfit:
            misfits.append(misfit)
            if not _prune(found, misfit.problems):
                return None, misfits


def _prune(found: dict[str, Any], problems: Sequence[Problem]) -> bool:
    """Take out what is wrong (of a list, all of it), so that the rest can be looked at; answers whether anything was."""
    pruned = False
    for problem in problems:
        path = list(itertools.takewhile(lambda step: isinstance(step, str), problem.path))
        holder: Any = found
        for step in path[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        if path and isinstance(holder, dict) and path[-1] in holder:
            del holder[path[-1]]
            pruned = True
    return pruned


def _version(found: dict[str, Any]) -> list[Problem]:
    if "version" not in found:
        return [Problem((), f"missing key 'version' - write 'version: {VERSION}'")]
    version = found.pop("version")
    if version == VERSION and type(version) is int:
        return []
    newer = isinstance(version, int) and version > VERSION
    remedy = "install a newer motadata-mlops-core" if newer else f"write 'version: {VERSION}'"
    return [Problem(("version",), f"expected {VERSION}, got {named(version)} - {remedy}")]


def _filled(settings: Settings, found: Mapping[str, Any], defaults: Settings) -> Settings:
    """What the file leaves out, from the defaults; an empty list is not left out."""
    keys = {"tracker": "trackers", "registry": "registry", "environments": "environments", "channels": "channels"}
    missing = {name: getattr(defaults, name) for key, name in keys.items() if key not in found}
    if "sinks" not in (found.get("monitoring") or {}):
        missing["monitoring"] = evolve(settings.monitoring, sinks=defaults.monitoring.sinks)
    if "tests" not in (found.get("drift") or {}):
        missing["drift"] = evolve(settings.drift, tests=defaults.drift.tests)
    return evolve(settings, **missing)


def _placed(settings: Settings, origin: Origin) -> Settings:
    """Every plugin told where it stands, for the messages of whoever builds it."""

    def one(use: Use, key: str) -> Use:
        return evolve(use, key=key, at=origin.place(f"{key}.use") if f"{key}.use" in origin.places else origin.place(key))

    def many(uses: tuple[Use, ...], key: str) -> tuple[Use, ...]:
        listed = f"{key}[0]" in origin.places
        return tuple(one(use, f"{key}[{index}]" if listed else key) for index, use in enumerate(uses))

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
        pipeline=pipeline and _placed_stages(pipeline, origin, one),
    )


def _placed_stages(pipeline: PipelineSettings, origin: Origin, one: Any) -> PipelineSettings:
    stages = []
    for stage in pipeline.stages:
        key = f"pipeline.stages.{stage.name}"
        stages.append(evolve(stage, use=stage.use and one(stage.use, key), at=origin.place(key, on_key=True)))
    return evolve(pipeline, stages=tuple(stages))


def _unknown_channels(settings: Settings, channels: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(("monitoring", "alerts", index, "notify", place), f"no channel {name!r} - {nearest(name, channels)}")
        for index, rule in enumerate(settings.monitoring.alerts)
        for place, name in enumerate(rule.notify)
        if name not in channels
    ]


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
