"""Ed25519 keys as PEM text. ``cryptography`` is loaded at first use; no message and no repr shows a private key."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from mlops_core.exceptions import ConfigError, PluginNotFoundError
from mlops_core.records import Signature

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

__all__ = ["ALGORITHM", "PrivateKey", "PublicKey", "write_pair"]

ALGORITHM: Final = "ed25519"
_ID: Final = 16  # hex digits of the public key's sha256
_REMEDY: Final = "make one with `mlops registry keygen`"


@frozen
class PublicKey:
    """Verifies signatures. ``key_id`` is the beginning of the sha256 of the key's 32 bytes."""

    raw: bytes
    key_id: str = field(init=False)

    @key_id.default
    def _key_id(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()[:_ID]

    @classmethod
    def of(cls, pem: str, where: str) -> PublicKey:
        """Read PEM text; raises ``ConfigError`` that begins with ``where``."""
        serialization, ed25519 = _library()
        try:
            key = serialization.load_pem_public_key(pem.strip().encode())
        except Exception:  # noqa: BLE001  whatever the library makes of a stranger's text
            key = None
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise ConfigError(f"{where}: it is no public Ed25519 key in PEM - {_REMEDY}, and give the file that ends in .pub")
        return cls(_raw(key))

    def verifies(self, signature: Signature, signed: bytes) -> bool:
        """Whether this key made the signature over these bytes."""
        _, ed25519 = _library()
        try:
            value = base64.b64decode(signature.value, validate=True)
            ed25519.Ed25519PublicKey.from_public_bytes(self.raw).verify(value, signed)
        except Exception:  # noqa: BLE001  no base64, of the wrong length, or of other bytes: none is a signature
            return False
        return signature.algorithm == ALGORITHM


@frozen
class PrivateKey:
    """Signs; the same bytes give the same signature."""

    public: PublicKey
    _key: Any = field(repr=False)

    @classmethod
    def of(cls, pem: str, where: str) -> PrivateKey:
        """Read PEM text; raises ``ConfigError`` that begins with ``where`` and shows nothing of it."""
        serialization, ed25519 = _library()
        try:
            key = serialization.load_pem_private_key(pem.strip().encode(), password=None)
        except Exception:  # noqa: BLE001  as above; the cause may quote the text, so it is not chained
            key = None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise ConfigError(f"{where}: it is no private Ed25519 key in PEM without a password - {_REMEDY}") from None
        return cls(PublicKey(_raw(key.public_key())), key)

    def sign(self, text: bytes) -> Signature:
        """The signature of these bytes."""
        return Signature(ALGORITHM, self.public.key_id, base64.b64encode(self._key.sign(text)).decode())


def write_pair(path: Path) -> PublicKey:
    """Write a new private key to ``path``, readable by its owner only, and the public one beside it with ``.pub`` behind the name.

    Raises:
        ConfigError: One of the two is there already, or cannot be written.
    """
    serialization, ed25519 = _library()
    key = ed25519.Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    public = path.with_name(f"{path.name}.pub")
    texts = {
        path: key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
        public: key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo),
    }
    written: list[Path] = []
    try:
        for file, text in texts.items():
            _write(file, text, written)
    except OSError as error:
        for file in written:  # half a pair is of no use, and would be in the way of the next call
            file.unlink(missing_ok=True)
        cause = "it is there already" if isinstance(error, FileExistsError) else error.strerror or str(error)
        raise ConfigError(f"keygen: {error.filename}: {cause} - give another path; nothing is overwritten") from error
    return PublicKey(_raw(key.public_key()))


def _write(path: Path, text: bytes, written: list[Path]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    written.append(path)
    with os.fdopen(handle, "wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _raw(public: Any) -> bytes:
    raw: bytes = public.public_bytes_raw()
    return raw


def _library() -> tuple[ModuleType, ModuleType]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise PluginNotFoundError(
            "registry.sign: signing needs the package cryptography - pip install 'motadata-mlops-core[sign]'"
        ) from error
    return serialization, ed25519
