"""A plugin that the configuration names becomes a backend: load, resolve references, structure the options, build."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from mlops_core.config.origin import Origin
from mlops_core.config.references import Resolver
from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import ConfigError, PluginError
from mlops_core.plugins import GROUPS, Loader, is_inline
from mlops_core.structure import Misfit, Structurer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlops_core.plugins import Loaded
    from mlops_core.roles import Backend, Format

__all__ = ["Assembly"]


@define(eq=False)
class Assembly:
    """Makes backends. Errors point to the line of the configuration and show no secret."""

    loader: Loader
    root: Path
    origin: Origin | None = None
    _resolver: Resolver = field(init=False)
    _structurer: Structurer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._resolver = Resolver(self.root)
        self._structurer = Structurer(self.root)

    def load(self, role: str, use: Use) -> Loaded:
        """The checked class.

        Raises:
            PluginError: With the place of its name in the configuration.
        """
        with _placed(use):
            return self.loader.load(role, use.use)

    def build(self, role: str, use: Use) -> Backend:
        """The backend.

        Raises:
            ConfigError: One line for each option that is wrong, or the reference that cannot be resolved.
            PluginError: The plugin cannot be loaded.
        """
        loaded = self.load(role, use)
        return self._fitted(loaded, use, self._resolver.resolved(use.options, use.key, use.at))

    def observe(self, name: str, use: Use, observer: Any) -> None:
        """Register an observer.

        Raises:
            PluginError: A hook of it is wrong; with the place of its name in the configuration.
        """
        with _placed(use):
            self.loader.observe(name, observer)

    def try_options(self, role: str, use: Use) -> Backend:
        """A backend to check the options, without needing the secrets: a reference that cannot be resolved yet fits any option.

        Raises:
            ConfigError: One line for each option that is wrong.
            PluginError: The plugin cannot be loaded.
        """
        return self._fitted(self.load(role, use), use, self._resolver.tried(use.options))

    def formats(self, uses: tuple[Use, ...]) -> Mapping[str, Use]:
        """Formats by the name that stored values carry.

        Raises:
            ConfigError: One is named twice: the options of the first would count for nothing.
        """
        named: dict[str, Use] = {}
        for use in self.format_uses(uses):
            name = self._format_name(use) if is_inline(use.use) else use.use
            if name in named:
                where = ": ".join(part for part in (use.at, use.key) if part)
                raise ConfigError(f"{where}: the format {name!r} is there already - name it once, with its options")
            named[name] = use
        return named

    def format_uses(self, uses: tuple[Use, ...]) -> list[Use]:
        """Formats to compose; of the default list, which no file wrote, those that are installed."""
        if uses == Settings().formats:
            there = self.loader.catalogue.names("format")
            uses = tuple(use for use in uses if use.use in there)
        return [evolve(use, key=use.key or "formats") for use in uses]

    def _format_name(self, use: Use) -> str:
        cls: type[Format] = self.load("format", use).cls  # type: ignore[assignment]  # the loader checked the role
        return cls.name

    def _fitted(self, loaded: Loaded, use: Use, options: Mapping[str, Any]) -> Backend:
        try:
            return self._structurer.fit(options, loaded.cls, GROUPS[loaded.role].keys)
        except Misfit as misfit:
            lines = (self.origin or Origin()).lines(misfit, use.key or f"{loaded.role}.{use.use}", use.at)
            raise ConfigError(*lines) from None


@contextmanager
def _placed(use: Use) -> Iterator[None]:
    """Errors of the loader, with the place of the plugin's name in the configuration."""
    try:
        yield
    except PluginError as error:
        raise type(error)(": ".join(part for part in (use.at, use.key, error.message) if part)) from error
