"""The image of a server that a container service starts: a Dockerfile, and what it needs.

Its server is that of a bundle, ``python -m mlops_core.serve --bundle /opt/ml/model``, with the distributions that serve here. Any version
of the same format runs in it.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import DeploymentError
from mlops_core.names import is_name, quoted
from mlops_core.plugins.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mlops_core.records import ModelVersion

__all__ = ["FOLDER", "command_of", "write_image"]

FOLDER: Final = "/opt/ml/model"
"""Where SageMaker unpacks ``model.tar.gz``."""
_BODY: Final = 6_291_456  # bytes that SageMaker lets through
_SERVERS: Final = ("motadata-mlops-core", "motadata-mlops-deployer-local")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_DOCKERFILE: Final = """\
# Serves models of the format {format}. SageMaker starts it as `docker run IMAGE serve`, with the model in {folder}.
FROM python:{python}-slim
COPY requirements.txt wheels/ /tmp/server/
RUN pip install --no-cache-dir --find-links /tmp/server -r /tmp/server/requirements.txt && rm -r /tmp/server
EXPOSE 8080
ENTRYPOINT {command}
CMD ["serve"]
"""
_WHEELS: Final = """\
Wheels that `pip` does not find where the image is built go here. It looks here first.
"""


def write_image(version: ModelVersion, into: Path, trust: Sequence[str] = ()) -> Path:
    """Write ``Dockerfile``, ``requirements.txt`` and the folder ``wheels`` into a new or empty folder, and answer it.

    ``trust``: formats that may run code when they are loaded.

    Raises:
        DeploymentError: The folder holds something, or the version's format is no installed plugin.
    """
    if into.exists() and any(into.iterdir()):
        raise DeploymentError(f"image {into}: the folder is not empty - give a new one")
    if not is_name(version.format):
        raise DeploymentError(
            f"image: the format {quoted(version.format)} of {version.version} is code and no installed plugin - make it a plugin first"
        )
    needed = [*_SERVERS, Catalogue().find("format", version.format).distribution]
    pins = _pinned(needed)
    command = json.dumps(["python", *command_of(version.format, trust)])
    text = _DOCKERFILE.format(format=version.format, folder=FOLDER, python=f"{sys.version_info[0]}.{sys.version_info[1]}", command=command)
    (into / "wheels").mkdir(parents=True)
    (into / "wheels" / "README").write_text(_WHEELS, encoding="utf-8")
    (into / "requirements.txt").write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    (into / "Dockerfile").write_text(text, encoding="utf-8")
    return into


def command_of(kind: str, trust: Sequence[str] = ()) -> list[str]:
    """What Python is started with: a server on port 8080 that needs no token, since only the service's proxy reaches the container."""
    trusted = ["--trust", kind] if kind in trust else []
    where = ["--host", "0.0.0.0", "--port", "8080", "--open"]  # noqa: S104  inside the container
    return ["-m", "mlops_core.serve", "--bundle", FOLDER, *where, "--option", f"body_limit={_BODY}", *trusted]


def _pinned(names: Iterable[str]) -> list[str]:
    """These distributions and all that they require, as installed here. What is not installed is for another platform."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = distribution.version
        required = [line for line in distribution.requires or () if not re.search(r";.*\bextra\s*==", line)]
        waiting += [match[0] for line in required if (match := _NAME.match(line))]
    return [f"{name}=={version}" for name, version in sorted(found.items())]
