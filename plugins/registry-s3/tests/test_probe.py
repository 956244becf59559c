"""What cannot hold a registry is refused in one line."""

from __future__ import annotations

import subprocess
import sysconfig
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from mlops_core.exceptions import ArtifactError, VersioningError
from mlops_core.records import Query
from mlops_core.testing.registry_samples import put, sample_entry, sample_version
from mlops_core.testing.servers import free_ports
from mlops_registry_s3.client import S3Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlops_registry_s3.registry import S3Registry

    from .conftest import Wire


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[str]:
    """A server of S3 that takes no notice of preconditions."""
    (port,) = free_ports(1)
    (tmp_path / "bucket").mkdir()
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    options = [f"--addr=127.0.0.1:{port}", "--auth-key=access,secret", f"--config={tmp_path / 'none'}", "--vfs-cache-mode=off"]
    with subprocess.Popen(
        [program, "serve", "s3", *options, str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        url = f"http://127.0.0.1:{port}"
        with closing(S3Client(url, "us-east-1", "access", "secret")) as client:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    client.call("list_buckets")
                    break
                except Exception:  # noqa: BLE001  not yet
                    time.sleep(0.1)
        yield url
        process.kill()


def test_a_server_that_ignores_preconditions_is_refused(careless: str, opener: Callable[..., S3Registry]) -> None:
    with closing(evolve(opener(), bucket="bucket", endpoint_url=careless)) as store:
        for _ in range(2):
            with pytest.raises(VersioningError, match=r"127\.0\.0\.1:\d+ ignores preconditions .*SeaweedFS") as refused:
                store.append("acme", "j", 0, None)  # type: ignore[arg-type]  # it does not come to that
            assert "\n" not in str(refused.value)


def test_a_bucket_that_is_not_there_is_not_made(opener: Callable[..., S3Registry]) -> None:
    with closing(evolve(opener(), bucket="misspelled")) as store:
        for _ in range(2):
            with pytest.raises(VersioningError, match=r"s3://misspelled/.* no such bucket"):
                store.check()


@pytest.mark.parametrize(("option", "value"), [("secret_key", "wrong word"), ("access_key", "nobody")])
def test_who_may_not_is_told_so(opener: Callable[..., S3Registry], option: str, value: str) -> None:
    store = opener()
    setattr(store._client, option, value)  # noqa: SLF001  nothing was connected yet
    with closing(store), pytest.raises(VersioningError, match="denies access") as refused:
        store.add_version(sample_version())
    assert "wrong word" not in str(refused.value) + repr(store)


def test_no_credentials(opener: Callable[..., S3Registry], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with closing(evolve(opener(), access_key=None, secret_key=None)) as store, pytest.raises(VersioningError, match="no credentials"):
        store.check()


def test_nobody_there(opener: Callable[..., S3Registry], wire: Wire) -> None:
    """The URL's password is not told."""
    url = f"http://user:hidden@127.0.0.1:{free_ports(1)[0]}"
    with closing(evolve(opener(), endpoint_url=url)) as store, pytest.raises(VersioningError, match="cannot be reached") as refused:
        store.check()
    assert "hidden" not in str(refused.value)


def test_a_url_that_is_none(opener: Callable[..., S3Registry]) -> None:
    with closing(evolve(opener(), endpoint_url="nonsense")) as store, pytest.raises(VersioningError, match="nonsense"):
        store.check()


@pytest.mark.parametrize(
    "url", ["http://me:veiled@127.0.0.1:99999", "http://me:veiled@127.0.0.1:1 /x", "http://me:veiled@127.0.0.1:1\n/x", "me:veiled@host:9"]
)
def test_a_url_that_is_none_tells_no_password(opener: Callable[..., S3Registry], url: str) -> None:
    with closing(evolve(opener(), endpoint_url=url)) as store, pytest.raises(VersioningError, match=r"me:\*\*\*@") as refused:
        store.check()
    assert "veiled" not in refused.value.message
    assert "\n" not in refused.value.message


def test_a_later_format_is_refused(store: S3Registry, opener: Callable[..., S3Registry]) -> None:
    store.check()
    store._parts.bucket.put(".format", b'{"format": 2}')  # noqa: SLF001  as a later release would
    with closing(opener()) as fresh, pytest.raises(VersioningError, match=r"format 2, this release knows 1 - upgrade"):
        put(fresh, b"weights")


def test_what_another_hand_wrote_is_told(store: S3Registry, opener: Callable[..., S3Registry]) -> None:
    store.add_version(sample_version())
    store._parts.bucket.put("acme/x/m/1.0.0", b"not JSON")  # noqa: SLF001  as another hand would
    with closing(opener()) as fresh, pytest.raises(VersioningError, match="not what this registry wrote"):
        fresh.get_version("acme", "m", "1.0.0")


def test_whoever_may_only_read_reads(store: S3Registry, opener: Callable[..., S3Registry], wire: Wire) -> None:
    added = store.add_version(sample_version())
    store._parts.bucket.delete("acme/x/m/1.0.0")  # noqa: SLF001  so that the name would be written again
    wire.fault, wire.every = (lambda request, go: refused(request)), True
    with closing(opener()) as reader:
        assert reader.get_version("acme", "m", "1.0.0") == added
        assert reader.find_versions("acme", Query()).items == (added,)
        with pytest.raises(VersioningError, match="denies access"):
            reader.append("acme", "j", 0, sample_entry())


def refused(request: Any) -> Any:
    body = b"<Error><Code>AccessDenied</Code></Error>"
    raw = type("Raw", (), {"stream": lambda self: iter([body]), "read": lambda self, *_: body})()
    return AWSResponse(request.url, 403, HTTPHeaders(), raw)


def test_errors_of_artifacts_are_artifact_errors(opener: Callable[..., S3Registry]) -> None:
    with closing(opener()) as store:
        store.check()
        store._parts.generations.blobs.objects.name = "misspelled"  # noqa: SLF001  the bucket was removed meanwhile
        with pytest.raises(ArtifactError, match="no such bucket"):
            put(store, b"weights")
