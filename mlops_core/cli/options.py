"""Options that every command of a project takes, and the project they lead to."""

from __future__ import annotations

import functools
import os
import sys
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import define, field

from mlops_core.cli.output import Output
from mlops_core.exceptions import ConfigError
from mlops_core.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta


__all__ = ["DEADLINE", "DURATION", "MOMENT", "SHARE", "Session", "patience", "project_options", "shares_of"]


class _Duration(click.ParamType["timedelta"]):
    """A duration as the configuration writes it: ``5m``, ``1h30m``, ``30d``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse, or say what was expected."""
        from mlops_core.structure.problems import Misfit
        from mlops_core.structure.scalars import duration

        try:
            return duration(value)
        except Misfit as error:
            self.fail(str(error), param, ctx)


class _Share(click.ParamType[float]):
    """A fraction as the configuration writes it: ``5%`` or 0.05."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse, or say what was expected."""
        from mlops_core.structure.problems import Misfit
        from mlops_core.structure.scalars import share, value_of

        try:
            return share(value_of(value) if isinstance(value, str) else value)
        except Misfit as error:
            self.fail(str(error), param, ctx)


class _Moment(click.ParamType["datetime | timedelta"]):
    """A time with a zone, in ISO 8601, or how far it is from now: ``30d``; ``side`` says on which side."""

    name = "time"

    def __init__(self, side: str) -> None:
        self.side = side

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """Parse, or say what was expected."""
        from mlops_core.structure.problems import Misfit
        from mlops_core.structure.scalars import duration

        with suppress(Misfit):
            return duration(value.strip().removesuffix(self.side))
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected a time, got {value[:60]!r} - write 2024-05-01T12:00Z, or 30d for 30 days {self.side}", param, ctx)
        if at.tzinfo is None:
            self.fail(
                f"{value} has no time zone - write {at.isoformat(timespec='minutes')}Z for UTC, or an offset such as +02:00", param, ctx
            )
        return at


DURATION: Final = _Duration()
MOMENT: Final = _Moment("ago")
DEADLINE: Final = _Moment("from now")
SHARE: Final = _Share()

patience = click.option(
    "--timeout", type=DURATION, default="5m", show_default=True, help="How long a load, and new routes until they hold, may take."
)


@define
class Session:
    """What a command was called with. ``project`` is composed at its first use and closed when the command ends."""

    path: Path | None
    profile: str | None
    tenant: str | None
    out: Output
    _project: Project | None = field(default=None, init=False)

    @property
    def project(self) -> Project:
        """The project; raises ``ConfigError``."""
        if self._project is None:
            from mlops_core.project import Project

            self._project = Project.open(self.path, self.profile, self.tenant)
        return self._project

    def told_of_default(self) -> bool:
        """Say so where nobody wrote a configuration and the embedded default stands in; answers whether it does."""
        from mlops_core.config.loading import FILE, find

        if self.path is not None or os.environ.get("MLOPS_PROJECT") or find(Path.cwd()) is not None:
            return False
        self.out.line(f"no {FILE} here or above: the default stack in .mlops is meant - `mlops init` makes a project", style="yellow")
        return True

    def close(self) -> None:
        """Close what was opened."""
        if self._project is not None:
            self._project.close()


_OPTIONS = (
    click.option("--project", "path", type=click.Path(path_type=Path), help="The project's folder or file. Default: found upwards."),
    click.option("--profile", help="An overlay: mlops.PROFILE.yaml beside mlops.yaml."),
    click.option("--tenant", help="The tenant. Default: the project's."),
    click.option("--json", "as_json", is_flag=True, help="Print records as JSON."),
    click.option("--debug", is_flag=True, help="Show tracebacks and the log."),
)


@contextmanager
def _log_shown(*, debug: bool) -> Iterator[None]:
    """Warnings as plain lines on standard error, since whoever typed a command sees no log; with ``debug`` everything, everybody's."""
    import logging

    if debug:
        logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s")
        yield
        return
    ours, shown = logging.getLogger("mlops_core"), logging.StreamHandler(sys.stderr)
    shown.setLevel(logging.WARNING)
    shown.setFormatter(logging.Formatter("warning: %(message)s"))
    ours.addHandler(shown)
    try:
        yield
    finally:
        ours.removeHandler(shown)


def project_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the common options to a command; it is called with a ``Session`` first."""

    @functools.wraps(command)
    def call(*args: Any, path: Path | None, profile: str | None, tenant: str | None, as_json: bool, debug: bool, **options: Any) -> Any:
        session = Session(path, profile, tenant, Output(as_json=as_json))
        with _log_shown(debug=debug), closing(session):
            return command(session, *args, **options)

    for option in reversed(_OPTIONS):
        call = option(call)
    return call


def shares_of(command: str, weights: tuple[str, ...], version: str) -> dict[str, float]:
    """The shares of an A/B test, of what was given to ``--weight``: ``VERSION=SHARE``, once per version, ``version`` among them.

    Raises:
        ConfigError: One is not, or they name a version twice, or do not name ``version``.
    """
    pairs = [_share_of(command, text) for text in weights]
    shares = dict(pairs)
    if len(shares) < len(pairs):
        raise ConfigError(f"{command}: --weight names a version twice - give each version one share")
    if version not in shares:
        raise ConfigError(f"{command}: {version!r} has no share - add --weight {version}=0.5")
    return shares


def _share_of(command: str, text: str) -> tuple[str, float]:
    version, _, share = text.rpartition("=")
    wrong = ConfigError(f"{command}: --weight {text!r} is not VERSION=SHARE - write 2=0.1 or 2=10%")
    if not version:
        raise wrong
    try:
        return version, SHARE.convert(share, None, None)
    except click.BadParameter:
        raise wrong from None
