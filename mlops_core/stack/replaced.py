"""Some parts given as instances, the others as composed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from mlops_core.exceptions import ConfigError
from mlops_core.stack.parts import Parts

__all__ = ["ReplacedParts"]

_REPLACEABLE: Final = ("trackers", "registry", "environments", "sinks", "formats", "channels", "drift_tests")


@define(eq=False)
class ReplacedParts:
    """Delegates to ``others`` what ``given`` does not hold. The given instances belong to whoever made them, and are closed with this."""

    others: Parts
    given: Mapping[str, Any] = field()

    @given.validator
    def _check(self, _: object, given: Mapping[str, Any]) -> None:
        for name in given:
            if name not in _REPLACEABLE:
                raise ConfigError(f"stack: {name!r} cannot be replaced - replaceable are {', '.join(_REPLACEABLE)}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.given[name] if name in self.given else getattr(self.others, name)

    def drift_test(self, name: str) -> Any:
        """A given test, else one of the others."""
        given = self.given.get("drift_tests", {})
        return given[name] if name in given else self.others.drift_test(name)

    def unportable(self) -> str | None:
        """The first part that was given."""
        return next((f"{name}: given as an object" for name in self.given), None) or self.others.unportable()

    def close(self) -> None:
        """Close what was given, and the others."""
        for part in self.given.values():
            for backend in part.values() if hasattr(part, "values") else (part,):
                backend.close()
        self.others.close()
