"""``mlops check``: everything that can be known about a configuration before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from mlops_core.config.origin import Origin
from mlops_core.config.settings import Use
from mlops_core.exceptions import ConfigError, MLOpsError
from mlops_core.plugins import Catalogue, Loader, is_inline
from mlops_core.stack.assembly import Assembly
from mlops_core.stack.composed import named_uses
from mlops_core.stack.locating import examined
from mlops_core.structure import Misfit, Problem, duration_text, nearest, one_line

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mlops_core.config.settings import Settings
    from mlops_core.roles import Backend, Deployer
    from mlops_core.stack.composed import ComposedParts
    from mlops_core.stack.stack import Stack

__all__ = ["check"]


def check(
    path: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    *,
    connect: bool = False,
    further: Callable[[Stack], Iterable[str]] | None = None,
    attach: Callable[[Stack, str, Deployer], object] | None = None,
) -> list[str]:
    """Every mistake of a configuration, one line each; empty if there is none.

    Reads the files, imports the plugins that they name, checks their options (a reference that cannot be resolved yet fits any) and what
    is asked of their capabilities. Nothing is connected to.

    Args:
        path: As for ``locate``.
        profile: The overlay.
        connect: Also resolve every reference and reach every backend.
        further: What floors above this one know; called with the composed stack once everything here is right.
        attach: Hands a deployer the ports of its environment; deployers are reached only with it.
    """
    try:
        stack, wrong = examined(path, profile)
    except MLOpsError as error:
        return _lines(error)
    if stack is None:
        return wrong
    parts: ComposedParts = stack.parts  # type: ignore[assignment]  # it was composed just now
    found = [*wrong, *_plugins(parts), *_observers(parts), *_formats(parts), *_executors(parts)]
    if not found:
        found = [*_capabilities(parts), *(further(stack) if further is not None else ())]
    if connect and not found:
        found = [*_unusable_keys(stack), *_unreachable(parts), *_unreachable_environments(stack, attach)]
    parts.close()
    return (parts.origin or Origin()).ordered(found)


def _plugins(parts: ComposedParts) -> Iterator[str]:
    for role, use in parts.uses():
        if role == "observer":
            continue
        try:
            parts.assembly.try_options(role, use)
        except MLOpsError as error:
            yield from _lines(error)


def _observers(parts: ComposedParts) -> Iterator[str]:
    """Observers are registered as well, which shows what is wrong with their hooks; apart from the stack's, which hears of nothing."""
    apart = Assembly(Loader(parts.root, parts.assembly.loader.catalogue), parts.root)
    for name, use in named_uses(parts.settings.observers).items():
        try:
            apart.observe(name, use, parts.assembly.try_options("observer", use))
        except MLOpsError as error:
            yield from _lines(error)


def _formats(parts: ComposedParts) -> Iterator[str]:
    for use in parts.assembly.format_uses(parts.settings.formats):
        try:
            parts.assembly.try_options("format", use)
        except MLOpsError as error:
            yield from _lines(error)
    try:
        parts.assembly.formats(parts.settings.formats)
    except MLOpsError as error:
        yield from _lines(error)
    names = {one.use for one in parts.settings.formats}
    known = {*names, *Catalogue().names("format")}
    for index, name in enumerate(parts.settings.models.trust):
        if name not in known and not any(map(is_inline, names)):
            yield from _at(parts, ("models", "trust", index), f"there is no format {name!r} - {nearest(name, sorted(known))}")


def _executors(parts: ComposedParts) -> Iterator[str]:
    for key, name in _executor_names(parts.settings):
        try:
            parts.assembly.try_options("executor", Use(name))
        except MLOpsError as error:
            yield from _at(parts, key, error.message)


def _executor_names(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("executor",), settings.executor
    stages = settings.pipeline.stages if settings.pipeline is not None else ()
    yield from ((("pipeline", "stages", one.name, "executor"), one.executor) for one in stages if one.executor is not None)


def _capabilities(parts: ComposedParts) -> Iterator[str]:
    settings, load = parts.settings, parts.assembly.load
    for stage in settings.pipeline.stages if settings.pipeline is not None else ():
        executor = stage.executor or settings.executor
        if stage.timeout is not None and "kill" not in load("executor", Use(executor)).cls.capabilities:
            message = f"the executor {executor!r} cannot end a stage that hangs - use one that can, such as 'executor: process'"
            yield from _at(parts, ("pipeline", "stages", stage.name, "timeout"), message)
    for key, name in _executor_names(settings):
        part = parts.unportable() if "remote" in load("executor", Use(name)).cls.capabilities else None
        if part is not None:
            yield from _at(parts, key, f"the executor {name!r} runs stages in other processes, but {part} - use 'executor: inline'")
    yield from _environments(parts)
    yield from _first_answers(parts, "tracker", settings.trackers, "search", "tracker")
    yield from _first_answers(parts, "sink", settings.monitoring.sinks, "read", "monitoring.sinks")
    readers = [use for use in settings.monitoring.sinks if "read" in load("sink", use).cls.capabilities]
    if settings.monitoring.alerts and not readers:
        yield from _at(parts, ("monitoring", "alerts"), "no sink can be read, so no rule can be judged - add one such as sqlite")
    yield from _rows_kept(parts, readers)
    yield from _schedule(parts)
    if settings.drift.schedule is not None and not readers:
        yield from _at(parts, ("drift", "schedule"), "no sink can be read, so there is nothing to check - add one such as sqlite")


def _rows_kept(parts: ComposedParts, readers: list[Use]) -> Iterator[str]:
    """Sinks that would keep what is to be erased, or lose what is to be kept."""
    settings = parts.settings.monitoring
    for use in readers:
        if "log" in parts.assembly.load("sink", use).cls.capabilities:
            continue
        if settings.sample is not None:
            message = f"the sink {use.use!r} cannot erase what was sampled when its retention ends - use one that can, such as sqlite"
            yield from _at(parts, ("monitoring", "sample"), message)
        if settings.ground_truth is not None and use == readers[0]:
            message = f"the sink {use.use!r} keeps no prediction log - put one first that does, such as sqlite"
            yield from _at(parts, ("monitoring", "ground_truth"), message)
    if settings.ground_truth is not None and not readers:
        yield from _at(parts, ("monitoring", "ground_truth"), "no sink keeps a prediction log - add one that does, such as sqlite")


def _schedule(parts: ComposedParts) -> Iterator[str]:
    """Checks that could never find anything."""
    drift, sample = parts.settings.drift, parts.settings.monitoring.sample
    if drift.schedule is None:
        return
    if sample is None:
        message = "nothing is sampled, so there is nothing to check - name columns in monitoring.sample"
        yield from _at(parts, ("drift", "schedule"), message)
    elif (window := drift.schedule.window or drift.schedule.every) > sample.retention:
        message = (
            f"it looks back over {duration_text(window)}, and monitoring.sample keeps {duration_text(sample.retention)} - keep it longer"
        )
        yield from _at(parts, ("drift", "schedule"), message)
    level = drift.schedule.level(drift.alpha)
    for use in drift.tests:
        cls = parts.assembly.load("drift", use).cls
        fields: Mapping[str, Any] = attrs.fields_dict(cls) if attrs.has(cls) else {}
        permutations = use.options.get("permutations", getattr(fields.get("permutations"), "default", None))
        if getattr(cls, "scope", "") == "table" and isinstance(permutations, int) and 1 / (1 + permutations) > level:
            told = f"test {use.use!r} answers at least {1 / (1 + permutations):.2g}, and a check needs {level:.2g}"
            yield from _at(parts, ("drift", "schedule"), f"{told} - raise its permutations, or check less often")


def _environments(parts: ComposedParts) -> Iterator[str]:
    written = (parts.origin or Origin()).places
    for name, environment in parts.settings.environments.items():
        use = environment.deployer
        serves = "process" in parts.assembly.load("deployer", use).cls.capabilities
        if environment.watch and not serves:
            message = f"the deployer {use.use!r} has no serving process to watch beside - run 'mlops watch' instead"
            yield from _at(parts, ("environments", name, "watch"), message)
        part = parts.unportable() if serves and f"environments.{name}" in written else None  # a default may never be used
        if part is not None:
            message = f"the deployer {use.use!r} serves from another process, but {part} - use parts that keep it elsewhere"
            yield from _at(parts, ("environments", name), message)


def _first_answers(parts: ComposedParts, role: str, uses: tuple[Use, ...], capability: str, key: str) -> Iterator[str]:
    """The first of several answers: it must be able to, if another is."""
    able = [use for use in uses if capability in parts.assembly.load(role, use).cls.capabilities]
    if able and able[0] is not uses[0]:
        message = f"{uses[0].use!r} stands first but cannot {capability} - put {able[0].use!r} first"
        yield from _at(parts, (key,), message)


def _unusable_keys(stack: Stack) -> Iterator[str]:
    parts: ComposedParts = stack.parts  # type: ignore[assignment]  # composed parts, as in check
    try:
        stack.signing.check_keys()
    except MLOpsError as error:
        key, _, said = error.message.partition(": ")  # each names its key first
        yield from _at(parts, (key,), said)
    try:
        stack.resolve(stack.settings.drift.hash_key or "")
    except MLOpsError as error:
        yield from _at(parts, ("drift", "hash_key"), error.message)


def _unreachable(parts: ComposedParts) -> Iterator[str]:
    named: list[tuple[str, Use]] = [one for one in parts.uses() if one[0] != "deployer"]
    for role, use in [*named, *(("format", use) for use in parts.assembly.format_uses(parts.settings.formats))]:
        try:
            backend = parts.assembly.build(role, use)
        except MLOpsError as error:
            yield from _lines(error)
        else:
            yield from _silence(backend, use, backend.check)


def _unreachable_environments(stack: Stack, attach: Callable[[Stack, str, Deployer], object] | None) -> Iterator[str]:
    for name, environment in stack.settings.environments.items() if attach is not None else ():
        try:
            deployer = stack.parts.environments[name]
        except MLOpsError as error:
            yield from _lines(error)
            continue

        def reach(name: str = name, deployer: Deployer = deployer) -> None:
            if attach is not None:
                attach(stack, name, deployer)
            deployer.check()

        yield from _silence(deployer, environment.deployer, reach)


def _silence(backend: Backend, use: Use, reach: Callable[[], None]) -> list[str]:
    """What keeps a backend from answering, if anything does."""
    try:
        reach()
    except Exception as error:  # noqa: BLE001  a backend that raises something else is a finding too
        said = error.message if isinstance(error, MLOpsError) else one_line(error)
        return [": ".join(part for part in (use.at, use.key, said) if part)]
    finally:
        backend.close()
    return []


def _at(parts: ComposedParts, path: tuple[str | int, ...], message: str) -> list[str]:
    return (parts.origin or Origin()).lines(Misfit(Problem(path, message)))


def _lines(error: MLOpsError) -> list[str]:
    return list(error.problems) if isinstance(error, ConfigError) else [error.message]
