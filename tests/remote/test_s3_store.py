"""S3 as moto serves it; the laws of every store are in `test_store`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.servers import ENVIRONMENT, s3_server
from tunesmith.errors import ResourceError
from tunesmith.remote.lease import Lease
from tunesmith.remote.location import Location
from tunesmith.remote.open_store import open_store
from tunesmith.remote.probe import refuse_without_conditions

pytestmark = pytest.mark.slow


def test_a_bucket_that_is_not_there(s3_bucket: str, tmp_path: Path) -> None:
    store = open_store(Location.read("s3://no-such-bucket/run"))
    (tmp_path / "file").write_bytes(b"x")
    for act in (
        lambda: store.read("key"),
        lambda: store.keys(""),
        lambda: store.create("key", b""),
        lambda: store.replace("key", b"", '"0"'),
        lambda: store.download("key", tmp_path / "file"),
        lambda: store.upload("key", tmp_path / "file"),
        lambda: store.delete("key"),
    ):
        with pytest.raises(ResourceError, match=r"C162.*no such bucket"):
            act()


@pytest.fixture
def without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    yield


@pytest.mark.usefixtures("s3_bucket", "without_credentials")
def test_no_credentials(s3_bucket: str) -> None:
    with pytest.raises(ResourceError, match=r"C162.*credentials"):
        open_store(Location.read(f"s3://{s3_bucket}/run")).create("key", b"")


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ResourceError, match=r"C162.*does not answer") as raised:
        open_store(Location.read("s3://bucket/run")).read("key")
    assert "testing-secret" not in str(raised.value)


def test_more_objects_than_a_page_has(s3_bucket: str) -> None:
    store = open_store(Location.read(f"s3://{s3_bucket}/pages"))
    for i in range(1005):
        store.write(f"k{i:04d}", b"")
    assert len(store.keys("")) == 1005


def test_owners_with_the_real_library(s3_bucket: str) -> None:
    store = open_store(Location.read(f"s3://{s3_bucket}/owners"))
    refuse_without_conditions(store)
    lease = Lease(store)
    lease.take(lambda _problem: None)
    other = Lease(open_store(store.location))
    lease.release()
    other.take(lambda _problem: None)
    assert other.fence == 2
    other.release()


def test_no_permission() -> None:
    """A user that exists and may do nothing, once moto checks that."""
    import boto3
    import requests

    with s3_server("closed") as bucket, pytest.MonkeyPatch.context() as patch:
        server = os.environ["AWS_ENDPOINT_URL_S3"]
        users = boto3.client("iam", endpoint_url=server)
        users.create_user(UserName="nobody")
        key = users.create_access_key(UserName="nobody")["AccessKey"]
        users.close()
        requests.post(f"{server}/moto-api/reset-auth", data=b"0", timeout=10)
        store = open_store(Location.read(f"s3://{bucket}/run"))
        with pytest.raises(ResourceError, match=r"C162.*credentials"):
            store.create("key", b"")
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        store = open_store(Location.read(f"s3://{bucket}/run"))
        for act in (lambda: store.create("key", b""), lambda: store.keys("")):
            with pytest.raises(ResourceError, match=r"C162.*refuses access") as raised:
                act()
            assert key["SecretAccessKey"] not in str(raised.value)
        requests.post(f"{server}/moto-api/reset-auth", data=b"inf", timeout=10)
