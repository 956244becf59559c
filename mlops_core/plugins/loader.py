"""One plugin, loaded by its name and under guard: whatever is wrong with it is one typed line that names it and its distribution."""

from __future__ import annotations

import inspect
import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pluggy
from attrs import define, field, frozen

from mlops_core import hookspecs
from mlops_core.exceptions import PluginError
from mlops_core.plugins.catalogue import Catalogue
from mlops_core.plugins.contract import check_class
from mlops_core.plugins.function_stage import stage_class, with_run_options
from mlops_core.plugins.function_test import drift_test_class
from mlops_core.plugins.groups import GROUPS, group_of
from mlops_core.plugins.inline import inline_object, is_inline
from mlops_core.roles import Backend, Stage
from mlops_core.structure import nearest
from mlops_core.structure.problems import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.plugins.catalogue import Installed
    from mlops_core.plugins.groups import Group
    from mlops_core.roles import Observer

__all__ = ["Loaded", "Loader"]

_ROLE_HOOKS: Final = frozenset(group.hook for group in GROUPS.values())


@frozen
class Loaded:
    """A checked class. ``name`` is as the configuration writes it, ``source`` the distribution with its version, or the module."""

    role: str
    name: str
    cls: type[Backend]
    source: str

    @property
    def where(self) -> str:
        """The plugin and where it comes from, for messages."""
        return f"{self.role}.{self.name} ({self.source})"


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


@define(eq=False)
class Loader:
    """The plugins of one stack. ``root`` is where inline files are looked for. Safe from several threads."""

    root: Path
    catalogue: Catalogue = field(factory=Catalogue)
    _plugins: pluggy.PluginManager = field(factory=_manager, init=False)
    _loaded: dict[tuple[str, str], Loaded] = field(factory=dict, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def load(self, role: str, use: str) -> Loaded:
        """The class behind a name of an entry point, ``my_module:Name`` or ``./file.py:Name``; imported at most once.

        Raises:
            PluginNotFoundError: Nothing of that name is installed; with the install command or the nearest name.
            PluginError: It cannot be imported, or what it hands over breaks the contract of the role.
        """
        with self._lock:
            if (role, use) not in self._loaded:
                group = group_of(role)
                self._loaded[role, use] = self._inline(group, use) if is_inline(use) else self._installed(group, use)
            return self._loaded[role, use]

    def observe(self, name: str, observer: Observer) -> None:
        """Register an observer; its hooks and their arguments are checked now.

        Raises:
            PluginError: It has a hook that does not exist, or asks for an argument that the hook does not have.
        """
        with self._lock:
            self._register(observer, name, f"observer.{name}")
            for caller in self._plugins.get_hookcallers(observer) or ():
                wraps = any(one.wrapper or one.hookwrapper for one in caller.get_hookimpls() if one.plugin is observer)
                if wraps or caller.name in _ROLE_HOOKS:
                    self._plugins.unregister(observer)
                    what = "wraps other observers" if wraps else "hands over a class"
                    raise PluginError(f"observer.{name}: its {caller.name} {what} - an observer listens and answers for itself only")

    def listeners(self, hook: str) -> Mapping[str, Any]:
        """Implementations of a lifecycle hook by the name of their observer, as pluggy would call them: the last registered first."""
        found = getattr(self._plugins.hook, hook).get_hookimpls()
        return {one.plugin_name: one for one in reversed(found)}

    def _inline(self, group: Group, use: str) -> Loaded:
        where = f"{group.role} {use!r}"
        found = inline_object(use, self.root, where)
        if group.role == "stage" and inspect.isfunction(found):
            found = stage_class(found, where)
        if group.role == "drift" and inspect.isfunction(found):
            found = drift_test_class(found, where)
        cls = check_class(found, group, where)
        return Loaded(group.role, use, _with_options(cls, group, where), use.rpartition(":")[0])

    def _installed(self, group: Group, name: str) -> Loaded:
        point = self.catalogue.find(group.role, name)
        where = f"{point.plugin} ({point.source})"
        plugin = _imported(point, where)
        self._register(plugin, f"entry-point:{point.target}", where)  # no observer is called so: a colon makes a name an inline plugin's
        cls = check_class(self._handed_over(plugin, group, name, where), group, where, name=name)
        return Loaded(group.role, name, _with_options(cls, group, where), point.source)

    def _register(self, plugin: Any, name: str, where: str) -> None:
        """Register once, whatever number of names it serves; pluggy checks the hooks and their arguments."""
        if any(plugin is known for known in self._registered()):
            return
        try:
            self._plugins.register(plugin, name)
            self._plugins.check_pending()
        except Exception as error:
            if self._plugins.get_plugin(name) is plugin:
                self._plugins.unregister(plugin)
            raise PluginError(f"{where}: {self._mistake(error)}") from error

    def _registered(self) -> list[Any]:
        """What is registered. Pluggy's own ``get_plugins`` makes a set, and an observer that attrs compares by value has no hash."""
        return [plugin for _, plugin in self._plugins.list_name_plugin() if plugin is not None]

    def _mistake(self, error: Exception) -> str:
        """Pluggy's finding, in one line; of a hook that does not exist, with the nearest that does."""
        text = str(error)
        if text.startswith("unknown hook "):
            name = text.split("'")[1]
            return f"there is no hook {name!r} - {nearest(name, hookspecs.__all__)}"
        if text.startswith("Plugin already registered"):
            return "an equal one listens already - name it once, or decorate its class with define(eq=False)"
        return " ".join(text.split()) if isinstance(error, pluggy.PluginValidationError) else one_line(error)

    def _handed_over(self, plugin: Any, group: Group, name: str, where: str) -> Any:
        own = [caller.name for caller in self._plugins.get_hookcallers(plugin) or ()]
        stray = sorted(set(own) - _ROLE_HOOKS)
        if stray:
            raise PluginError(f"{where}: implements {stray[0]} beside its class - lifecycle hooks are methods of an observer's class")
        if group.hook not in own:
            raise PluginError(f"{where}: {_no_hook(plugin, group, own)}")
        others = [one for one in self._registered() if one is not plugin and _hashable(one)]
        hook = self._plugins.subset_hook_caller(group.hook, others)
        try:
            return hook(name=name)
        except (Exception, SystemExit) as error:
            raise PluginError(f"{where}: its hook {group.hook} raised {one_line(error)}") from error


def _imported(point: Installed, where: str) -> Any:
    module = point.target.partition(":")[0].strip()
    try:
        found = EntryPoint(point.name, point.target, "").load()
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == module.partition(".")[0]:
            raise PluginError(f"{where}: its module {error.name!r} is missing - reinstall {point.distribution}") from error
        raise PluginError(
            f"{where}: its dependency {error.name!r} is not installed - install it, or reinstall {point.distribution}"
        ) from error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # an exit, and what test tools raise to skip a module, harm nobody else
        raise PluginError(f"{where}: raises at import: {one_line(error)}") from error
    if inspect.isclass(found):
        raise PluginError(f"{where}: its entry point names the class {found.__name__} - name the module that holds the hook")
    return found


def _no_hook(plugin: Any, group: Group, own: list[str]) -> str:
    if callable(getattr(plugin, group.hook, None)):
        return f"its function {group.hook} is not marked - put @hookimpl above it"
    if own:
        return f"it implements {own[0]} only, which is another role's - implement {group.hook}"
    return f"it implements no hook - write {group.hook}, marked with @hookimpl, that hands over the class"


def _with_options(cls: type[Backend], group: Group, where: str) -> type[Backend]:
    if not issubclass(cls, Stage):
        return cls
    return check_class(with_run_options(cls, where), group, where)


def _hashable(value: object) -> bool:
    return type(value).__hash__ is not None
