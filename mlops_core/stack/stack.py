"""The stack: a project's composed backends, its settings, and a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from mlops_core.clock import SystemClock
from mlops_core.config.origin import Origin
from mlops_core.config.settings import Settings
from mlops_core.exceptions import ConfigError
from mlops_core.names import check_name
from mlops_core.roles import Clock
from mlops_core.stack.parts import Parts
from mlops_core.stack.signing import Signing

if TYPE_CHECKING:
    from mlops_core.records import StackRef
    from mlops_core.roles import Deployer

__all__ = ["Stack", "User"]


class User:
    """Somebody who holds backends that are shared; gone with the last stack that he has or made of it."""

    __slots__ = ("__weakref__",)


@define(eq=False, kw_only=True)
class Stack:
    """Everything a facade needs. ``workdir`` (``root/.mlops``) is where the project keeps its own files.

    ``origin`` is the text that the settings were read from, if any: it goes to other processes, and errors point into it. ``user`` is for
    whom ``locate`` found it.
    """

    root: Path
    tenant: str
    parts: Parts
    settings: Settings = field(factory=Settings)
    profile: str | None = None
    clock: Clock = field(factory=SystemClock)
    origin: Origin | None = field(default=None, repr=False)
    user: User | None = field(default=None, repr=False)
    _signing: Signing | None = field(default=None, init=False, repr=False)

    @property
    def workdir(self) -> Path:
        """``root/.mlops``; whoever writes there creates it."""
        return self.root / ".mlops"

    @property
    def signing(self) -> Signing:
        """Signs and verifies versions as ``registry.sign`` says."""
        if self._signing is None:
            self._signing = Signing(self.settings.sign, self.root)
        return self._signing

    def for_tenant(self, tenant: str | None) -> Stack:
        """The same backends for another tenant; None keeps this one's.

        Raises:
            NameRuleError: The tenant breaks the name rule.
        """
        return self if tenant is None else evolve(self, tenant=check_name(tenant, "tenant"))

    def environment(self, name: str) -> Deployer:
        """The deployer of an environment (``prod`` is accepted for ``production``).

        Raises:
            ConfigError: No environment of that name.
        """
        there = self.parts.environments
        wanted = "production" if name == "prod" and "prod" not in there else name
        if wanted not in there:
            known = ", ".join(there) or "none"
            raise ConfigError(f"environments: no environment {name!r} (there are: {known}) - add it under 'environments'")
        return there[wanted]

    def replacing(self, **parts: Any) -> Stack:
        """The same stack with instances in place of some backends: ``registry=store``, ``trackers={"mlflow": tracker}``.

        Only what is asked of the new stack meets them; no other process can compose it.
        """
        from mlops_core.stack.replaced import ReplacedParts

        return evolve(self, parts=ReplacedParts(self.parts, parts))

    def resolve(self, text: str) -> str:
        """The text with its ``${...}`` references resolved now; shown as ``***`` if it had any.

        Raises:
            ConfigError: A variable is not set, or a file cannot be read.
        """
        from mlops_core.config.references import resolve

        return resolve(text, self.root)

    def ref(self, pipeline: str = "") -> StackRef:
        """What another process needs to compose this stack; references in it are unresolved.

        Raises:
            ConfigError: A part cannot be composed elsewhere; the message names it.
        """
        from mlops_core.stack.portable import ref_of

        return ref_of(self, pipeline)
