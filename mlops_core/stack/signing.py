"""Signing of versions as ``registry.sign`` says: who signs, whose signatures are trusted, and whether a version needs one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from mlops_core.config.references import Resolver
from mlops_core.config.settings import SIGN, SignSettings
from mlops_core.exceptions import ConfigError, CorruptArtifactError, VersioningError
from mlops_core.secrecy import Hidden
from mlops_core.stack.keys import PrivateKey, PublicKey

if TYPE_CHECKING:
    from mlops_core.records import ModelVersion

__all__ = ["Signing"]


@frozen
class _Keys:
    private: PrivateKey | None
    trusted: Mapping[str, PublicKey]


@define(eq=False)
class Signing:
    """The keys are read at their first use, once; what they are is hidden from messages as long as this lives. Safe from any thread."""

    settings: SignSettings
    root: Path
    _resolver: Resolver = field(init=False, repr=False)
    _hidden: Hidden = field(factory=Hidden, init=False, repr=False)
    _keys: _Keys | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._resolver = Resolver(self.root)

    @property
    def configured(self) -> bool:
        """Whether there is any key."""
        return self.settings.key is not None or bool(self.settings.public)

    def check_keys(self) -> None:
        """Read every key that is configured.

        Raises:
            ConfigError: A key cannot be read, or is none.
            PluginNotFoundError: ``cryptography`` is not installed.
        """
        if self.configured:
            self._read()

    def check_ready(self) -> None:
        """Refuse to begin with what would end as a version that nobody may load; and as for ``check_keys``.

        Raises:
            VersioningError: Every version must be signed, and there is no key to sign with.
        """
        if self.settings.key is not None:
            self._read()
        elif self.settings.require:
            raise VersioningError(f"{SIGN}: every version must be signed, and there is no 'key' to sign with - register where there is one")

    def signed(self, version: ModelVersion) -> ModelVersion:
        """The version with a signature, if there is a key to sign with. Deterministic."""
        if self.settings.key is None or (private := self._read().private) is None:
            return version
        return evolve(version, signature=private.sign(version.manifest()))

    def check(self, version: ModelVersion) -> None:
        """Refuse a version that is not what a trusted key signed; one without a trusted signature only where ``require`` says so.

        Raises:
            CorruptArtifactError: Its record was changed after it was signed.
            VersioningError: It is not signed, or by a key that is not trusted.
            ConfigError: As for ``check_keys``.
        """
        if not self.configured:
            return
        signature, name = version.signature, f"{version.model[:128]}: version {version.version[:128]}"
        if signature is None:
            if self.settings.require:
                raise VersioningError(f"{name} is not signed, and {SIGN}.require asks for it - register it again where there is a key")
            return
        public = self._read().trusted.get(signature.key_id)
        if public is None:
            if self.settings.require:
                raise VersioningError(
                    f"{name} is signed by the key {signature.key_id[:64]!r}, which is not trusted - if it should, add it to {SIGN}.public"
                )
            return
        if not public.verifies(signature, version.manifest()):
            raise CorruptArtifactError(
                f"{name} is not what the key {public.key_id} signed: its record was changed - restore the registry, or register it again"
            )

    def _read(self) -> _Keys:
        if self._keys is None:
            public = [self._public(index, text) for index, text in enumerate(self.settings.public)]
            private = None if self.settings.key is None else self._private(self.settings.key)
            trusted = {one.key_id: one for one in (*public, *((private.public,) if private is not None else ()))}
            self._keys = _Keys(private, trusted)
        return self._keys

    def _private(self, text: str) -> PrivateKey:
        where = f"{SIGN}.key"
        pem = self._resolved(text, where)
        self._hidden.add(pem)  # also one that was written into the file itself
        return PrivateKey.of(pem, where)

    def _public(self, index: int, text: str) -> PublicKey:
        where = f"{SIGN}.public[{index}]"
        return PublicKey.of(self._resolved(text, where), where)

    def _resolved(self, text: str, where: str) -> str:
        try:
            return str(self._resolver.text(text))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.message}") from error.__cause__
