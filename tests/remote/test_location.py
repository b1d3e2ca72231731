"""Addresses of remote folders."""

from __future__ import annotations

import pytest

from tunesmith.errors import RecipeError
from tunesmith.remote.location import Location, is_remote


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://bucket/runs/first", Location("s3", "bucket", "runs/first")),
        ("S3://bucket/runs/first/", Location("s3", "bucket", "runs/first")),
        ("gs://my-bucket_1/a", Location("gs", "my-bucket_1", "a")),
        ("az://container/Läufe/erster", Location("az", "container", "Läufe/erster")),
        ("file:///mnt/share/run", Location("file", "", "/mnt/share/run")),
        ("file://C:/share/run", Location("file", "", "C:/share/run")),
        ("memory://tests/run", Location("memory", "tests", "run")),
    ],
)
def test_addresses_are_read_and_written(address: str, expected: Location) -> None:
    assert Location.read(address) == expected
    assert Location.read(str(expected)) == expected


@pytest.mark.parametrize(
    "address",
    [
        "", "runs/first", "/runs/first", "C:\\runs", "ftp://host/a", "https://host/a", "s3:/a/b",
        "s3://", "s3://bucket", "s3://bucket/", "s3:///path", "s3://bucket//a", "s3://bucket/../a",
        "s3://bucket/a/./b", "s3://bucket/a b", "s3://bucket/a\nb", "s3://bucket/a*", "file://run",
        "file://", "s3://bucket/a\\b", "s3://bucket/{a}",
    ],
)  # fmt: skip
def test_other_texts_are_refused(address: str) -> None:
    with pytest.raises(RecipeError, match="C160"):
        Location.read(address)


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIAKEY:hush-hush@bucket/run",
        "s3://AKIAKEY:hush/hush-hush@bucket/run",
        "az://container/run?sig=hush-hush",
        "az://container/run?se=1&sig=hush\nhush-hush",
        "gs://bucket/run#hush-hush",
        "ftp://me:hush-hush@host/run",
        "s3://hush-hush@bucket/run",
    ],
)
def test_secrets_are_refused_and_not_shown(address: str) -> None:
    with pytest.raises(RecipeError, match="C160") as raised:
        Location.read(address)
    assert "hush" not in str(raised.value)
    assert "hush" not in str(raised.value.problems[0].as_json())


def test_a_folder_in_it() -> None:
    assert str(Location.read("s3://bucket/run").below("seed-1")) == "s3://bucket/run/seed-1"


def test_which_texts_are_addresses() -> None:
    assert is_remote("s3://a/b")
    assert not is_remote("runs/first")
    assert not is_remote("C:\\runs")
