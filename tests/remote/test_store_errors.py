"""Errors of libraries get a code, and secrets are not in them."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from tunesmith.errors import DataError, ResourceError
from tunesmith.remote.location import Location
from tunesmith.remote.open_store import open_store
from tunesmith.remote.store_errors import Conflict, reported, without_secrets

HERE = Location.read("s3://bucket/run")


class ClientError(Exception):
    """As botocore raises it."""

    def __init__(self, code: str) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}}


class EndpointConnectionError(Exception):
    pass


class HttpError(Exception):
    """As gcsfs raises it."""

    code = 401


class ResourceNotFoundError(Exception):
    """As azure raises it."""

    error_code = "ContainerNotFound"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (caused(FileNotFoundError("x"), ClientError("NoSuchBucket")), "no such bucket"),
        (ResourceNotFoundError(), "no such bucket"),
        (caused(PermissionError("x"), ClientError("AccessDenied")), "refuses access"),
        (PermissionError("x"), "refuses access"),
        (caused(PermissionError("x"), ClientError("ExpiredToken")), "credentials"),
        (HttpError(), "refuses access"),
        (EndpointConnectionError(), "does not answer"),
        (TimeoutError(), "does not answer"),
        (ConnectionResetError(), "does not answer"),
        (OSError(5, "x"), "cannot be used"),
        (ZeroDivisionError(), "cannot be used"),
    ],
)
def test_what_is_wrong_is_said(error: Exception, message: str) -> None:
    with pytest.raises(ResourceError, match=message) as raised, reported(HERE):
        raise error
    (problem,) = raised.value.problems
    assert problem.code == "C162" and problem.place is not None and problem.fix
    assert problem.place.source == "s3://bucket/run"
    assert raised.value.__cause__ is None, "a traceback would show what is masked"


def test_errors_with_a_code_and_conflicts_pass() -> None:
    for error in (DataError.of("D100", "x"), Conflict("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), reported(HERE):
            raise error


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush-hush")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountKey=hush/hush")
    for text in (
        "signed with hush-hush-hush",
        "GET https://account.blob/container?se=1&sig=hush",
        "AccountKey=hush;EndpointSuffix=x",
        "AccountKey=hush/hush",
        "https://me:hush@host/x",
    ):
        assert "hush" not in without_secrets(text)
    assert len(without_secrets("long " * 1000)) <= 300


@pytest.mark.parametrize(
    ("address", "library", "extra"),
    [("s3://a/b", "s3fs", "s3"), ("gs://a/b", "gcsfs", "gcs"), ("az://a/b", "adlfs", "azure")],
)
def test_a_missing_library_names_the_extra(
    address: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == library:
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ResourceError, match="C161") as raised:
        open_store(Location.read(address))
    assert f'pip install "tunesmith[{extra}]"' in str(raised.value)
    assert raised.value.exit_code == 4
