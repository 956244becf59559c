"""The main of every serving process: composes the stack there again, and hands its ports to the deployer.

``python -m mlops_core.serve --stack FILE --environment NAME -- ARGS`` is what a deployer starts. ``FILE`` is private, holds a ``StackRef``
and no resolved secret; ``ARGS`` are the deployer's own. ``python -m mlops_core.serve --bundle DIR`` serves a bundle without project or
registry.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import EnvironmentSettings, ModelsSettings, Settings, SignSettings, Use
from mlops_core.deployment import Ports, Tokens
from mlops_core.deployment.bundle import model_path, read_bundle
from mlops_core.deployment.ports import environment_folder, write_private
from mlops_core.deployment.tokens import tokens_of
from mlops_core.exceptions import DeploymentError, MLOpsError, UntrustedFormatError, VersioningError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.monitoring.listening import listen
from mlops_core.names import check_name, is_name, quoted
from mlops_core.records import ModelVersion, SeriesKey, StackRef, canonical_json
from mlops_core.stack import Stack, compose, from_ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlops_core.roles import Clock, Predictor, Recorder

__all__ = ["BundleHost", "ProjectHost", "main"]

_LOG: Final = logging.getLogger(__name__)
_LOADING: Final = 300.0
_LAST_PASS: Final = 2.0  # seconds; more only delays the successor where the pass itself waits for this process to end, to set routes


@define(eq=False)
class ProjectHost:
    """The ports of a serving process over a project's stack.

    What the server needs to start again lies in its own folder: version records here, model files in ``.mlops/cache/models``; so a registry
    that is down keeps no server from coming back.
    """

    stack: Stack
    environment: str
    _tokens: Tokens = field(init=False)
    _monitoring: ModelMonitoring | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tokens = tokens_of(self.stack, self.environment)
        self._monitoring = ModelMonitoring(stack=self.stack) if self.stack.parts.sinks else None

    @property
    def workdir(self) -> Path:
        """The environment's folder."""
        return environment_folder(self.stack, self.environment)

    @property
    def clock(self) -> Clock:
        """Time."""
        return self.stack.clock

    @property
    def tenant(self) -> str:
        """Whose requests they are where neither token nor header says so: the project's."""
        return self.stack.settings.tenant

    def version(self, tenant: str, model: str, version: str) -> ModelVersion:
        """The version's record: immutable, so the copy of an earlier start is as good as the registry's.

        Raises:
            VersioningError: There is no such version.
        """
        names = [check_name(name, what, VersioningError) for name, what in ((tenant, "tenant"), (model, "model"), (version, "version"))]
        path = self.workdir.joinpath("versions", *names[:2], f"{names[2]}.json")
        try:
            return ModelVersion.from_dict(json.loads(path.read_bytes()))
        except FileNotFoundError:
            found = self.stack.parts.registry.get_version(tenant, model, version)
        except ValueError as error:
            _LOG.warning("serve: %s is not readable, asked the registry: %s", path, error)
            found = self.stack.parts.registry.get_version(tenant, model, version)
        if found is None:
            raise VersioningError(f"model {model}: no version {version!r} is registered - `mlops models` lists them")
        write_private(path, canonical_json(found.to_dict()))
        return found

    def load(self, version: ModelVersion) -> Predictor:
        """Fetch, verify and load a model; a copy that was fetched before is hashed again."""
        return Artifacts(self.stack.for_tenant(version.tenant)).predictor(version)

    def recorder(self, series: SeriesKey, revision: int, *, shadow: bool = False) -> Recorder:
        """Count through monitoring; without a sink nobody counts."""
        return _Uncounted() if self._monitoring is None else self._monitoring.recorder(series, revision, shadow=shadow)

    def authenticate(self, token: str | None) -> str | None:
        """The tenant of a token; None where no tokens are set."""
        return self._tokens.authenticate(token)

    def close(self) -> None:
        """Deliver what was counted, and close the stack."""
        if self._monitoring is not None:
            self._monitoring.close()
        self.stack.parts.close()


@define(eq=False)
class BundleHost(ProjectHost):
    """The ports over a bundle: one version, no registry."""

    folder: Path = field(kw_only=True)
    bundled: ModelVersion = field(kw_only=True)

    @property
    def tenant(self) -> str:
        """The bundle's."""
        return self.bundled.tenant

    def version(self, tenant: str, model: str, version: str) -> ModelVersion:
        """The bundled one."""
        if (tenant, model, version) != (self.bundled.tenant, self.bundled.model, self.bundled.version):
            raise VersioningError(f"bundle: it holds {self.bundled.model} {self.bundled.version}, not {model} {version}")
        return self.bundled

    def load(self, version: ModelVersion) -> Predictor:
        """Check the signature, hash the bundle's files, then load them."""
        self.stack.signing.check(version)
        return Artifacts(self.stack).predictor_at(model_path(self.folder, version), version)


class _Uncounted:
    """A recorder where nobody listens."""

    def count(self, seconds: float, success: bool, error: str | None = None, repeated: bool = False) -> None:  # noqa: FBT001, FBT002  the port's signature
        """Count nothing."""

    def drop(self) -> None:
        """Nor this."""

    def wants(self, prediction_id: str, rows: int = 1) -> bool:
        """Never."""
        return False

    def sample(self, prediction_id: str, features: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Keep nothing."""

    def failed(self, prediction_id: str, features: Mapping[str, Any], error: str) -> None:
        """Nor this."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; answers the exit status: 2 for a wrong call, 1 for a failure told in one line."""
    options = _options(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    try:
        host, args = _from_bundle(options) if options.bundle else _from_project(options)
        try:
            deployer = host.stack.environment(host.environment)
            deployer.attach(
                host.environment, Ports(host.stack, host.environment, _LOADING, guarded=bool(tokens_of(host.stack, host.environment)))
            )
            listen(host.stack.parts.sinks)
            with _watching(host.stack, host.environment):
                deployer.serve(host, args)
        finally:
            host.close()
    except MLOpsError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


@contextlib.contextmanager
def _watching(stack: Stack, environment: str) -> Iterator[None]:
    """Run the control loop beside the server, if its environment says so.

    Every serving process has one, and they share the project's lease as any two loops do: one works, and when its process ends, another's
    goes on. A pass that is cut off is one that its successor finishes.
    """
    settings = stack.settings.environments.get(environment)
    if settings is None or not settings.watch:
        yield
        return
    from mlops_core.operations import ControlLoop, Upkeep

    upkeep = Upkeep(stack)
    loop = ControlLoop(stack, upkeep.passes())
    loop.start()
    try:
        yield
    finally:
        loop.close(_LAST_PASS)
        upkeep.close()


def _from_project(options: argparse.Namespace) -> tuple[ProjectHost, list[str]]:
    try:
        ref = StackRef.from_dict(json.loads(sys.stdin.read() if options.stack == "-" else Path(options.stack).read_bytes()))
    except (OSError, ValueError) as error:
        raise DeploymentError(f"serve: {options.stack} does not say which stack to compose ({type(error).__name__})") from error
    return ProjectHost(from_ref(ref), options.environment), options.args


def _from_bundle(options: argparse.Namespace) -> tuple[ProjectHost, list[str]]:
    folder = Path(options.bundle).absolute()
    version = read_bundle(folder)
    _check_format(version.format, options.trust)
    chosen = {"port": options.port, "host": options.host, **dict(map(_option, options.option))}
    deployer = Use(options.deployer, chosen, key="environments.bundle")
    settings = Settings(
        project=version.model,
        tenant=version.tenant,
        environments={"bundle": EnvironmentSettings(deployer, tokens=f"${{file:{options.tokens}}}" if options.tokens else None)},
        formats=(Use(version.format),),
        models=ModelsSettings(trust=tuple(options.trust)),
        sign=SignSettings(public=tuple(f"${{file:{path}}}" for path in options.public), require=bool(options.public)),
    )
    stack = compose(settings, folder)
    stack.signing.check(version)
    host = BundleHost(stack, "bundle", folder=folder, bundled=version)
    return host, ["alone", f"{version.tenant}/{version.model}/{version.version}", *(["open"] if options.open else [])]


def _option(text: str) -> tuple[str, float]:
    """An option of the deployer that is a number."""
    name, _, value = text.partition("=")
    try:
        return name, int(value) if value.isdigit() else float(value)
    except ValueError as error:
        raise DeploymentError(f"serve: --option {quoted(text)} is not NAME=NUMBER - write body_limit=6000000") from error


def _check_format(named: str, trusted: Sequence[str]) -> None:
    """A format that is no installed plugin's name is a module or a file, which may lie in the bundle: composing it runs it."""
    if named and not is_name(named) and named not in trusted:
        raise UntrustedFormatError(
            f"bundle: its format {quoted(named)} is code and no installed format - if you trust where the bundle comes from, "
            "name the same with --trust"
        )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mlops_core.serve", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--stack", help="file with the reference of a stack, or - for standard input")
    source.add_argument("--bundle", help="folder of a bundle")
    parser.add_argument("--environment", default="production", help="with --stack: whose server this is")
    parser.add_argument("--deployer", default="local", help="with --bundle: which deployer serves")
    parser.add_argument("--port", type=int, default=8080, help="with --bundle; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="with --bundle; any but the loopback needs --tokens or --open")
    parser.add_argument(
        "--option", action="append", default=[], help="with --bundle: a number of the deployer's, such as body_limit=6000000"
    )
    parser.add_argument("--tokens", type=os.path.abspath, help="with --bundle: a file with one tenant:token per line")
    parser.add_argument("--open", action="store_true", help="with --bundle: need no token at any --host; whoever reaches the port may ask")
    parser.add_argument("--trust", action="append", default=[], help="with --bundle: a format that may run code when it is loaded")
    parser.add_argument(
        "--public",
        action="append",
        default=[],
        type=os.path.abspath,
        help="with --bundle: file of a public key that must have signed it",
    )
    parser.add_argument("args", nargs="*", help="the deployer's own arguments, behind --; with --bundle nothing is made of them")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
