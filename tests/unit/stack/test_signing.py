from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from attrs import evolve

from mlops_core.config.settings import Settings, SignSettings
from mlops_core.exceptions import ConfigError, CorruptArtifactError, MLOpsError, VersioningError
from mlops_core.records import ArtifactRef, Blob, Column, File, LineageLink, ModelVersion, Schema
from mlops_core.secrecy import mask
from mlops_core.stack import Stack, compose
from mlops_core.stack.keys import write_pair
from mlops_core.stack.signing import Signing
from mlops_core.testing.registry_samples import full_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOB, OTHER = Blob("a" * 64, 7), Blob("b" * 64, 9)
VERSION = evolve(full_version(BLOB, OTHER), number=3)
SCHEMA = Schema((Column("x", "float64", (3,)), Column("名前", "str", (), nullable=True)), (Column("y", "int64"),))
FILE, COLUMN, REFERENCE = VERSION.files[0], Column("x", "float64", (3,)), VERSION.artifacts["reference"]


def signing(tmp_path: Path, key: str | None = "k", *public: str, require: bool = False) -> Signing:
    names = tuple(f"${{file:{name}.pub}}" for name in public)
    return Signing(SignSettings(None if key is None else f"${{file:{key}}}", names, require=require), tmp_path)


@pytest.fixture
def signer(tmp_path: Path) -> Signing:
    for name in ("k", "other"):
        write_pair(tmp_path / name)
    return signing(tmp_path)


def artifact(**changed: Any) -> dict[str, Any]:
    return {"artifacts": {"reference": evolve(REFERENCE, **changed)}}


TAMPERED: dict[str, dict[str, Any]] = {
    "tenant": {"tenant": "rival"},
    "model": {"model": "n"},
    "version": {"version": "9"},
    "number": {"number": 4},
    "no number": {"number": None},
    "key": {"key": "another"},
    "digest": {"digest": "0" * 64},
    "created": {"created": VERSION.created + timedelta(microseconds=1)},
    "format": {"format": "joblib"},
    "run_id": {"run_id": "run-8"},
    "no run_id": {"run_id": None},
    "a file's digest": {"files": (File(FILE.path, Blob("c" * 64, 7)), *VERSION.files[1:])},
    "a file's size": {"files": (File(FILE.path, Blob(FILE.blob.sha256, 8)), *VERSION.files[1:])},
    "a file's path": {"files": (File("model/other", FILE.blob), *VERSION.files[1:])},
    "a file less": {"files": VERSION.files[1:]},
    "a file more": {"files": (*VERSION.files, File("x", BLOB))},
    "no schema": {"schema": None},
    "an input's name": {"schema": Schema((evolve(COLUMN, name="z"),))},
    "an input": {"schema": evolve(SCHEMA, inputs=())},
    "an output": {"schema": evolve(SCHEMA, outputs=())},
    "an input as an output": {"schema": Schema((), (COLUMN,))},
    "a type": {"schema": evolve(SCHEMA, outputs=(Column("y", "int32"),))},
    "a shape": {"schema": evolve(SCHEMA, outputs=(Column("y", "int64", (1,)),))},
    "a nullable": {"schema": evolve(SCHEMA, outputs=(Column("y", "int64", nullable=True),))},
    "metadata": {"metadata": {**VERSION.metadata, "accuracy": 0.96}},
    "metadata more": {"metadata": {**VERSION.metadata, "new": None}},
    "metadata's type": {"metadata": {**VERSION.metadata, "trained": 1}},
    "a parent's digest": {"parents": (LineageLink("model", "m:1.0.0", "2" * 64), *VERSION.parents[1:])},
    "a parent's name": {"parents": (LineageLink("model", "m:1.0.1", "0" * 64), *VERSION.parents[1:])},
    "a parent's kind": {"parents": (LineageLink("data", "m:1.0.0", "0" * 64), *VERSION.parents[1:])},
    "parents' order": {"parents": VERSION.parents[::-1]},
    "no artifact": {"artifacts": {}},
    "an artifact's key": {"artifacts": {"other": REFERENCE}},
    "an artifact's digest": artifact(sha256="c" * 64),
    "an artifact's size": artifact(size=1),
    "an artifact's format": artifact(format="joblib"),
    "an artifact's name": artifact(name="other"),
    "an artifact's file": artifact(files=(File("reference.npy", BLOB),)),
}


def test_every_field_of_a_version_is_tampered_with_below() -> None:
    """A field that is added to the record is signed as well, or is named here as one that is not."""
    fields = {one.name for one in attrs.fields(ModelVersion)}
    assert {name for change in TAMPERED.values() for name in change} == fields - {"retired", "signature"}
    covered = {"sha256", "size", "format", "name", "files"}
    assert {one.name for one in attrs.fields(ArtifactRef)} == covered


@pytest.mark.parametrize("what", TAMPERED)
def test_a_version_that_was_changed_after_it_was_signed_is_refused(signer: Signing, what: str) -> None:
    signed = signer.signed(VERSION)
    signer.check(signed)
    signer.check(evolve(signed, retired=True))
    with pytest.raises(CorruptArtifactError) as told:
        signer.check(evolve(signed, **TAMPERED[what]))
    assert "was changed - restore the registry, or register it again" in told.value.message


def test_a_signature_that_was_changed_is_refused(signer: Signing, tmp_path: Path) -> None:
    signed = signer.signed(VERSION)
    other = signing(tmp_path, "other").signed(VERSION).signature
    assert signed.signature is not None
    assert other is not None
    for forged in (evolve(other, key_id=signed.signature.key_id), evolve(signed.signature, algorithm="none")):
        with pytest.raises(CorruptArtifactError):
            signer.check(evolve(signed, signature=forged))


def test_signing_twice_gives_the_same(signer: Signing, tmp_path: Path) -> None:
    assert signer.signed(VERSION) == signing(tmp_path).signed(VERSION)


def test_without_keys_nothing_is_signed_or_checked(tmp_path: Path, signer: Signing) -> None:
    off = Signing(SignSettings(), tmp_path)
    assert off.signed(VERSION) is VERSION
    off.check(evolve(signer.signed(VERSION), model="tampered"))
    off.check_keys()
    off.check_ready()


def test_who_is_trusted(signer: Signing, tmp_path: Path) -> None:
    signed, unsigned, unknown = signer.signed(VERSION), VERSION, signing(tmp_path, "other").signed(VERSION)
    reader = signing(tmp_path, None, "k")
    for version in (signed, unsigned, unknown):
        reader.check(version)
    strict = signing(tmp_path, None, "k", require=True)
    strict.check(signed)
    with pytest.raises(VersioningError, match=r"m: version 2\.0\.0-rc\.1 is not signed, and registry\.sign\.require asks for it"):
        strict.check(unsigned)
    with pytest.raises(VersioningError, match=r"signed by the key '\w{16}', which is not trusted - if it should, add it to"):
        strict.check(unknown)
    signing(tmp_path, "other", "k", require=True).check(unknown)
    signing(tmp_path, "other", "k", require=True).check(signed)


def test_who_must_sign_and_cannot_is_told_before_anything_is_stored(signer: Signing, tmp_path: Path) -> None:
    signer.check_ready()
    signing(tmp_path, None, "k").check_ready()
    with pytest.raises(VersioningError, match="every version must be signed, and there is no 'key' to sign with"):
        signing(tmp_path, None, "k", require=True).check_ready()


@pytest.mark.parametrize("call", [Signing.check_keys, Signing.check_ready, lambda one: one.signed(VERSION)])
def test_a_key_that_cannot_be_read_is_one_line(tmp_path: Path, call: Callable[[Signing], object]) -> None:
    with pytest.raises(ConfigError, match=r"^registry\.sign\.key: \$\{file:none\}: the file cannot be read") as told:
        call(signing(tmp_path, "none"))
    assert "\n" not in told.value.message


def test_which_public_key_is_wrong(signer: Signing, tmp_path: Path) -> None:
    (tmp_path / "bad.pub").write_text("text")
    with pytest.raises(ConfigError, match=r"^registry\.sign\.public\[1\]: it is no public Ed25519 key"):
        signing(tmp_path, None, "k", "bad").check_keys()


@pytest.mark.parametrize("inline", [False, True])
def test_the_private_key_is_in_no_message_repr_or_log(
    signer: Signing, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, inline: bool
) -> None:
    pem = (tmp_path / "k").read_text()
    used = Signing(SignSettings(pem), tmp_path) if inline else signer
    used.check(used.signed(VERSION))
    secret = pem.splitlines()[1]
    assert secret not in repr(used)
    assert secret not in MLOpsError(f"a backend quotes {pem}").message
    assert mask(secret) == "***"
    logging.getLogger("mlops_core.test").warning("it says %s", pem)
    assert secret not in caplog.text


def test_a_stack_reads_its_keys_once(signer: Signing, tmp_path: Path) -> None:
    stack: Stack = compose(Settings(sign=signer.settings), tmp_path)
    signed = stack.signing.signed(VERSION)
    (tmp_path / "k").unlink()
    stack.signing.check(signed)
    assert stack.signing is stack.signing
    with pytest.raises(ConfigError, match="the file cannot be read"):
        stack.for_tenant("other").signing.check(signed)
