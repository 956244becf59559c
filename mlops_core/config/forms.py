"""The shapes that the configuration allows beside plain mappings: short forms of plugins, environments and stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from mlops_core.config import rules
from mlops_core.config.references import has_reference, malformed
from mlops_core.config.settings import EnvironmentSettings, StageSettings, Use
from mlops_core.structure import Misfit, Problem, Structurer, key_of, nearest

__all__ = ["settings_structurer", "wrong_references"]

_USES: Final = tuple[Use, ...]
_STAGES: Final = tuple[StageSettings, ...]


def settings_structurer() -> Structurer:
    """A structurer that knows the short forms."""
    made = Structurer()
    made.add(lambda kind: kind is Use, lambda value, _: _use(value))
    made.add(lambda kind: kind == _USES, lambda value, _: _uses(made, value))
    made.add(lambda kind: kind is EnvironmentSettings, lambda value, _: _environment(made, value))
    made.add(lambda kind: kind == _STAGES, lambda value, _: _stages(made, value))
    return made


def wrong_references(value: Any, path: tuple[str | int, ...] = ()) -> list[Problem]:
    """Answer a problem for each text with something that looks like a reference and is none."""
    if isinstance(value, str):
        wrong = malformed(value)
        return [Problem(path, wrong)] if wrong else []
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [problem for step, inner in parts for problem in wrong_references(inner, (*path, step))]


def _use(value: Any) -> Use:
    if isinstance(value, Use):
        return value
    if isinstance(value, str):
        return Use(_plugin(value))
    if not isinstance(value, Mapping):
        raise Misfit.of("expected the name of a plugin, or a mapping with 'use' and its options")
    if "use" not in value:
        hint = nearest("use", value, "there are") if value else "write {use: NAME}"
        raise Misfit.of(f"names no plugin: the key 'use' is missing - {hint}")
    if not isinstance(value["use"], str):
        raise Misfit(Problem(("use",), "expected the name of a plugin"))
    try:
        name = _plugin(value["use"])
    except Misfit as misfit:
        raise Misfit(*misfit.below("use")) from misfit
    return Use(name, {key: inner for key, inner in value.items() if key != "use"})


def _plugin(name: str) -> str:
    if has_reference(name):
        raise Misfit.of("references are for options of plugins and for 'tokens' - write the name, or use a profile")
    if not name.strip() or name != name.strip() or "\0" in name:
        raise Misfit.of(f"expected the name of a plugin, got {name[:40]!r}")
    return name


def _uses(structurer: Structurer, value: Any) -> tuple[Use, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        return (structurer.one(value, Use),)
    return tuple(structurer.one(value, list[Use]))


def _environment(structurer: Structurer, value: Any) -> EnvironmentSettings:
    own = {key_of(one) for one in attrs.fields(EnvironmentSettings)} - {"deployer"}
    if not isinstance(value, Mapping):
        return EnvironmentSettings(_use(value))
    core = {key: inner for key, inner in value.items() if key in own}
    problems: tuple[Problem, ...] = ()
    use = Use("")
    try:
        use = _use({key: inner for key, inner in value.items() if key not in own})
    except Misfit as misfit:
        problems = misfit.problems
    try:
        made = structurer.fit({**core, "deployer": use}, EnvironmentSettings)
    except Misfit as misfit:
        raise Misfit(*problems, *misfit.problems) from misfit
    if problems:
        raise Misfit(*problems)
    return made


def _stages(structurer: Structurer, value: Any) -> tuple[StageSettings, ...]:
    if not isinstance(value, Mapping):
        raise Misfit.of("expected a mapping of stages by name, such as {training: {use: sklearn}}")
    made, problems = [], list[Problem]()
    for name, inner in value.items():
        try:
            made.append(_stage(structurer, name, inner))
        except Misfit as misfit:
            problems += misfit.below(name)
    if problems:
        raise Misfit(*problems)
    return tuple(made)


def _stage(structurer: Structurer, name: str, value: Any) -> StageSettings:
    rules.name(name)
    value = {"use": value} if isinstance(value, str) else {} if value is None else value
    if not isinstance(value, Mapping):
        raise Misfit.of("expected the name of a plugin, or a mapping of the stage's options")
    own = {key_of(one) for one in attrs.fields(StageSettings)} - {"name", "use", "options", "at"}
    options = {key: inner for key, inner in value.items() if key not in own and key != "use"}
    problems = [Problem(("name",), "a stage is named by its key - remove it", on_key=True)] if "name" in options else []
    use = None
    if "use" in value:
        try:
            use = _use({**options, "use": value["use"]})
        except Misfit as misfit:
            problems += misfit.problems
    core = {key: inner for key, inner in value.items() if key in own}
    try:
        made = structurer.fit({**core, "name": name, "use": use}, StageSettings)
    except Misfit as misfit:
        raise Misfit(*problems, *misfit.problems) from misfit
    if problems:
        raise Misfit(*problems)
    return attrs.evolve(made, options=options)  # as written: a number that an option takes as text keeps its spelling
