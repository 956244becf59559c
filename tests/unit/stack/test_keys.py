from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from mlops_core.exceptions import ConfigError, PluginNotFoundError
from mlops_core.records import Signature
from mlops_core.stack import keys
from mlops_core.stack.keys import PrivateKey, PublicKey, write_pair

if TYPE_CHECKING:
    from pathlib import Path

PEM, PKCS8, PLAIN = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_pair(tmp_path / "model.key")
    return tmp_path / "model.key"


def test_a_pair_signs_and_verifies(path: Path) -> None:
    private = PrivateKey.of(path.read_text(), "key")
    public = PublicKey.of((path.parent / "model.key.pub").read_text(), "public")
    assert private.public == public
    assert len(public.key_id) == 16
    signature = private.sign(b"text")
    assert signature == private.sign(b"text")
    assert (signature.algorithm, signature.key_id) == ("ed25519", public.key_id)
    assert public.verifies(signature, b"text")
    assert not public.verifies(signature, b"another text")


@pytest.mark.parametrize("value", ["", "no base64!", "c2hvcnQ=", "ż"])
def test_what_is_no_signature_does_not_verify(path: Path, value: str) -> None:
    private = PrivateKey.of(path.read_text(), "key")
    assert not private.public.verifies(evolve(private.sign(b"text"), value=value), b"text")
    assert not private.public.verifies(evolve(private.sign(b"text"), algorithm="none"), b"text")


def test_the_private_file_is_its_owners_and_nothing_is_overwritten(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"keygen: .*model\.key: it is there already - give another path"):
        write_pair(path)
    assert path.read_bytes() == before


def test_half_a_pair_is_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "k.pub").write_text("another's")
    with pytest.raises(ConfigError, match=r"k\.pub: it is there already"):
        write_pair(tmp_path / "k")
    assert list(tmp_path.iterdir()) == [tmp_path / "k.pub"]
    assert (tmp_path / "k.pub").read_text() == "another's"
    with pytest.raises(ConfigError, match=r"none/k: No such file or directory - give another path"):
        write_pair(tmp_path / "none" / "k")


def others() -> dict[str, str]:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    good = ed25519.Ed25519PrivateKey.generate()
    locked = good.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"password"))
    whole = good.private_bytes(PEM, PKCS8, PLAIN).decode()
    return {
        "nothing": "",
        "another algorithm": elliptic.private_bytes(PEM, PKCS8, PLAIN).decode(),
        "with a password": locked.decode(),
        "cut off": whole[:70],
        "a public one": good.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
    }


@pytest.mark.parametrize("kind", others())
def test_what_is_no_private_key_is_one_line_that_shows_nothing_of_it(kind: str) -> None:
    text = others()[kind]
    with pytest.raises(ConfigError) as told:
        PrivateKey.of(text, "registry.sign.key")
    assert told.value.message.startswith("registry.sign.key: it is no private Ed25519 key in PEM without a password - make one with")
    assert "\n" not in told.value.message
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


def test_what_is_no_public_key_is_one_line(path: Path) -> None:
    for text in ("", "text", path.read_text()):
        with pytest.raises(ConfigError, match=r"public\[0\]: it is no public Ed25519 key in PEM - .*ends in \.pub$"):
            PublicKey.of(text, "public[0]")


def test_a_private_key_has_no_repr(path: Path) -> None:
    private = PrivateKey.of(path.read_text(), "key")
    assert repr(private) == f"PrivateKey(public={private.public!r})"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(PluginNotFoundError, match=r"needs the package cryptography - pip install 'motadata-mlops-core\[sign\]'"):
        write_pair(tmp_path / "k")
    with pytest.raises(PluginNotFoundError):
        PublicKey(b"").verifies(Signature(keys.ALGORITHM, "", ""), b"")
