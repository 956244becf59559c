"""Values, models and files by digest: what the facades and the pipeline store and load through."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define

from mlops_core.artifacts.manifest import content_digest, scan
from mlops_core.artifacts.scratch import scratch
from mlops_core.artifacts.transfer import download, upload
from mlops_core.exceptions import ArtifactError, CorruptArtifactError, MLOpsError, UntrustedFormatError
from mlops_core.records import ArtifactRef
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import ModelVersion
    from mlops_core.roles import Format, Predictor, Progress

__all__ = ["Artifacts"]


@define(eq=False)
class Artifacts:
    """Stores values through the composed formats and reads them back after checking digest and trust.

    It is the ``ArtifactStore`` that deployers are handed. Stateless: safe from any thread and after a fork.
    """

    stack: Stack

    def save(self, value: Any, name: str) -> ArtifactRef:
        """Store a value in the first format that accepts it. Formats that run code when read are asked only where they are trusted.

        Raises:
            ArtifactError: No format accepts it, or it cannot be written.
        """
        with scratch(self.stack.workdir / "tmp") as folder:
            path, chosen = self.write(value, name, folder)
            return self._store(path, path.name, name, chosen.name)

    def write(self, value: Any, name: str, folder: Path) -> tuple[Path, Format]:
        """Write a value below ``folder``, in the first format that accepts it, as ``save`` does; stores nothing.

        Raises:
            ArtifactError: No format accepts it, or it cannot be written.
        """
        chosen = self._format_for(value, name)
        path = folder / f"{name}.{chosen.name}"
        with _wrapped(f"artifact {name}: format {chosen.name} could not write it"):
            chosen.write(value, path)
        return path, chosen

    def save_file(self, path: Path | str, name: str, *, progress: Progress | None = None) -> ArtifactRef:
        """Store a file or a folder as it is. ``format`` is empty where no composed format recognises the content.

        Raises:
            ArtifactError: It does not exist, is or holds a symbolic link, or cannot be read.
        """
        source = Path(path)
        scan(source, source.name)
        found = self._sniffed(source)
        return self._store(source, source.resolve().name, name, found[0].name if found else "", progress)

    def load(self, ref: ArtifactRef) -> Any:
        """The value of an artifact of this stack's tenant.

        Raises:
            CorruptArtifactError: Its bytes are not those that were stored.
            UntrustedFormatError: Reading it would run code, and ``models.trust`` does not name its format.
            ArtifactError: No format recognises it.
        """
        with scratch(self.stack.workdir / "tmp") as folder:
            path = self.fetch_artifact(self.stack.tenant, ref, folder)
            return self._read(path, ref.format, ref.name)[1]

    def fetch(self, version: ModelVersion, into: Path) -> Path:
        """A version's verified file or folder, below ``into``.

        Raises:
            CorruptArtifactError: The store's bytes are not those that were registered, or its record is not the one that was signed.
            VersioningError: No trusted key has signed it, and ``registry.sign.require`` asks for that.
        """
        self.stack.signing.check(version)
        name = f"{version.model} {version.version}"
        return download(self.stack.parts.registry, version.tenant, version.files, into, name)

    def fetch_artifact(self, tenant: str, artifact: ArtifactRef, into: Path) -> Path:
        """An artifact's verified file or folder, below ``into``.

        Raises:
            CorruptArtifactError: The store's bytes, or the reference itself, are not what was stored.
        """
        if not artifact.files or content_digest(artifact.files) != artifact.sha256:
            raise CorruptArtifactError(f"artifact {artifact.name}: its list of files does not match its sha256")
        return download(self.stack.parts.registry, tenant, artifact.files, into, artifact.name)

    def predictor(self, version: ModelVersion) -> Predictor:
        """Load a model to predict with. The copy in ``.mlops/cache/models`` is hashed again before each load.

        Raises:
            CorruptArtifactError: Its bytes are not those that were registered.
            UntrustedFormatError: Reading it would run code, and ``models.trust`` does not name its format.
            CapabilityError: Its format cannot predict.
        """
        return self.predictor_at(self.fetch(version, self.stack.workdir / "cache" / "models"), version)

    def predictor_at(self, path: Path, version: ModelVersion) -> Predictor:
        """The same over a copy that the caller has verified."""
        name = f"{version.model} {version.version}"
        chosen, value = self._read(path, version.format, name)
        with _wrapped(f"model {name}: format {chosen.name} could not make a predictor of it"):
            return chosen.predictor(value, version.schema)

    def format_of(self, path: Path) -> Format:
        """The format of a file or folder, decided by its content, never by its name.

        Raises:
            ArtifactError: No composed format recognises it.
        """
        return self._choose(path, "", path.name)

    def _store(self, path: Path, root: str, name: str, chosen: str, progress: Progress | None = None) -> ArtifactRef:
        files = upload(self.stack.parts.registry, self.stack.tenant, path, root, progress)
        size = sum(file.blob.size for file in files)
        return ArtifactRef(content_digest(files), size, chosen, name, files)

    def _trusts(self, one: Format) -> bool:
        return not one.runs_code or one.name in self.stack.settings.models.trust

    def _format_for(self, value: Any, name: str) -> Format:
        for one in self.stack.parts.formats.values():
            if self._trusts(one) and one.accepts(value):
                return one
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        known = ", ".join(self.stack.parts.formats) or "none"
        raise ArtifactError(
            f"artifact {name}: none of the formats ({known}) holds a {kind} - give another value, add a format that does to 'formats', "
            "or name one that runs code in 'models.trust'"
        )

    def _sniffed(self, path: Path) -> list[Format]:
        found = []
        for one in self.stack.parts.formats.values():
            with _wrapped(f"artifact {path.name}: format {one.name} could not look at it"):
                if one.sniff(path):
                    found.append(one)
        return found

    def _choose(self, path: Path, declared: str, name: str) -> Format:
        """The declared format if the content is of it, else the first that recognises the content."""
        found = self._sniffed(path)
        if not found:
            known = ", ".join(self.stack.parts.formats) or "none"
            kind = path.suffix.removeprefix(".")
            hint = f"it was stored as {declared!r}: install that format" if declared else "add its format to 'formats'"
            if kind in self.stack.parts.formats:
                hint = f"it is no whole {kind} file: write it anew"
            raise ArtifactError(f"artifact {name}: none of the formats ({known}) recognises the content - {hint}")
        return next((one for one in found if one.name == declared), found[0])

    def _read(self, path: Path, declared: str, name: str) -> tuple[Format, Any]:
        chosen = self._choose(path, declared, name)
        if not self._trusts(chosen):
            raise UntrustedFormatError(
                f"artifact {name}: reading {chosen.name} runs code from the file - if you trust where it comes from, "
                f"add {chosen.name!r} to 'models.trust'"
            )
        with _wrapped(f"artifact {name}: format {chosen.name} could not read it"):
            return chosen, chosen.read(path)


@contextlib.contextmanager
def _wrapped(what: str) -> Iterator[None]:
    """What a format raises becomes an ``ArtifactError`` of one line."""
    try:
        yield
    except MLOpsError:
        raise
    except Exception as error:
        cause = " ".join(str(error).split())
        raise ArtifactError(f"{what}: {type(error).__name__}: {cause}") from error
