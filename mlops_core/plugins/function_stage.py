"""A plain function as a pipeline stage, and keyword-only parameters of ``run`` as options."""

from __future__ import annotations

import inspect
import typing
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final

import attrs

from mlops_core.exceptions import PluginError
from mlops_core.plugins.contract import option_fields
from mlops_core.roles import Stage
from mlops_core.roles.stage import Help
from mlops_core.structure.problems import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["class_of", "options_of", "parameters_of", "stage_class", "with_run_options"]

_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_LEADING: Final = (Parameter("__self", Parameter.POSITIONAL_ONLY), Parameter("__context", Parameter.POSITIONAL_ONLY))


def stage_class(function: Callable[..., Any], where: str) -> type[Stage]:
    """A stage of the current contract around ``function``.

    Positional parameters are inputs by name, keyword-only ones options with ``Annotated[int, Help("...")]`` as their help. A first
    parameter called ``context`` receives the stage's context. Several outputs: a function attribute ``outputs``, a tuple of names.

    Raises:
        PluginError: A parameter has no name to pass it by, or its annotation cannot be resolved.
    """
    parameters = parameters_of(function, where)
    positional = [one for one in parameters if one.kind in _POSITIONAL]
    takes_context = bool(positional) and positional[0].name == "context"
    options = tuple(one.name for one in parameters if one.kind is Parameter.KEYWORD_ONLY)

    def run(self: Any, context: Any, /, *inputs: Any, **named: Any) -> Any:
        given = (context, *inputs) if takes_context else inputs
        return function(*given, **named, **{name: getattr(self, name) for name in options})

    _sign(run, positional[1:] if takes_context else positional)
    body = {"contract": 1, "run": run, "outputs": tuple(getattr(function, "outputs", ())), "__wrapped__": staticmethod(function)}
    return typing.cast("type[Stage]", class_of(function, options_of(function, parameters, where), (Stage,), body))


def with_run_options(cls: type[Stage], where: str) -> type[Stage]:
    """The same stage with the keyword-only parameters of its ``run`` as fields, so that both kinds of option are set alike."""
    parameters = parameters_of(cls.run, where)[1:]
    options = tuple(one.name for one in parameters if one.kind is Parameter.KEYWORD_ONLY)
    if not options:
        return cls
    twice = sorted({str(one.alias) for one in option_fields(cls)} & set(options))
    if twice:
        raise PluginError(f"{where}: option {twice[0]!r} of {cls.__name__} is both a field and a parameter of run - keep one of them")

    def run(self: Any, context: Any, /, *inputs: Any, **named: Any) -> Any:
        return cls.run(self, context, *inputs, **named, **{name: getattr(self, name) for name in options})

    _sign(run, [one for one in parameters if one.kind in _POSITIONAL][1:])
    body = {"contract": vars(cls).get("contract"), "run": run, "__wrapped__": cls}
    return typing.cast("type[Stage]", class_of(cls, options_of(cls.run, parameters, where), (cls,), body))


def parameters_of(function: Callable[..., Any], where: str) -> list[Parameter]:
    """The parameters of a function, each of which has a name; raises ``PluginError``."""
    parameters = list(inspect.signature(function).parameters.values())
    for one in parameters:
        if one.kind in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}:
            stars = "*" if one.kind is Parameter.VAR_POSITIONAL else "**"
            name = getattr(function, "__qualname__", "it")
            raise PluginError(f"{where}: {stars}{one.name} of {name} has no names to pass values by - name each input and option")
    return parameters


def options_of(function: Callable[..., Any], parameters: Sequence[Parameter], where: str) -> dict[str, Any]:
    """Its keyword-only parameters as fields by name; raises ``PluginError``."""
    fields = {}
    for one in parameters:
        if one.kind is not Parameter.KEYWORD_ONLY:
            continue
        kind, text = _annotation(function, one, where)
        default = attrs.NOTHING if one.default is Parameter.empty else one.default
        fields[one.name] = attrs.field(default=default, type=kind, metadata={"help": text}, kw_only=True, alias=one.name)
    return fields


def _annotation(function: Callable[..., Any], parameter: Parameter, where: str) -> tuple[Any, str]:
    """The type and the help; each annotation on its own, since those of inputs may name modules that are loaded for type checks only."""
    if parameter.annotation is Parameter.empty:
        return Any, f"option {parameter.name} of {getattr(function, '__name__', 'the stage')}"
    holder = type("Holder", (), {"__annotations__": {parameter.name: parameter.annotation}})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        kind = typing.get_type_hints(holder, globalns=names, include_extras=True)[parameter.name]
    except Exception as error:
        raise PluginError(f"{where}: the type of option {parameter.name!r} cannot be resolved: {one_line(error)}") from error
    notes = kind.__metadata__ if typing.get_origin(kind) is typing.Annotated else ()
    text = next((note.text for note in notes if isinstance(note, Help)), "")
    return kind, text or f"option {parameter.name} of {getattr(function, '__name__', 'the stage')}"


def _sign(run: Any, inputs: Sequence[Parameter]) -> None:
    """Say which inputs it takes by name: the runner reads the signature."""
    run.__signature__ = inspect.Signature([*_LEADING, *inputs])


def class_of(source: Any, fields: dict[str, Any], bases: tuple[type, ...], body: dict[str, Any]) -> Any:
    """A class with these fields that is known by the name and the text of its source."""
    made = attrs.make_class(source.__name__, fields, bases=bases, class_body=body, slots=False, eq=False)
    made.__doc__, made.__module__, made.__qualname__ = source.__doc__, source.__module__, source.__qualname__
    return made
