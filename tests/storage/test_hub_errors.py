"""What refusals, silence and nonsense mean; `tests/faults/hostile_hub.py` has the real client."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import errors as client

from tunesmith.errors import DataError, ModelError, Problem, ResourceError, TunesmithError
from tunesmith.storage import hub_errors
from tunesmith.storage.hub_errors import (
    Kind,
    as_error,
    endpoint,
    hub_cause,
    is_transient,
    valid_responses,
)


def refusal(kind: type[client.HfHubHTTPError], status: int) -> Any:
    error = kind.__new__(kind)
    Exception.__init__(error, "refused")
    error.response = SimpleNamespace(status_code=status)  # type: ignore[assignment]
    return error


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://me:pa55@127.0.0.1:9")
    monkeypatch.setattr(hub_errors, "_names_like", lambda _name, _kind: {"owner/bert"})


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (client.GatedRepoError, 403, ("M106", "M106", ResourceError)),
        (client.HfHubHTTPError, 403, ("M106", "M106", ResourceError)),
        (client.RevisionNotFoundError, 404, ("M108", "D109", None)),
        (client.RepositoryNotFoundError, 404, ("M107", "D105", None)),
        (client.HfHubHTTPError, 401, ("M107", "D105", None)),
        (client.HfHubHTTPError, 404, ("M107", "D105", None)),
        (client.EntryNotFoundError, 404, ("M104", "M104", ResourceError)),
        (client.HfHubHTTPError, 500, ("M104", "M104", ResourceError)),
    ],
)
def test_what_refusals_mean(kind: Any, status: int, expected: tuple[str, str, Any]) -> None:
    of_models, of_data, error_class = expected
    places: list[tuple[Kind, str, Any]] = [
        ("model", of_models, error_class or ModelError),
        ("dataset", of_data, error_class or DataError),
    ]
    for place, code, raised in places:
        error = as_error(refusal(kind, status), "owner/bart", place)
        assert type(error) is raised
        (problem,) = error.problems
        assert problem.code == code
        assert str(problem.place) == "owner/bart"
        assert problem.fix
        assert "pa55" not in str(error)
        if code in ("M107", "D105"):
            assert '"owner/bert"' in problem.fix


def test_the_reason_is_reported() -> None:
    def reported(error: Exception) -> str:
        return str(as_error(error, "owner/bert", "model"))

    assert "a file that it lists is missing" in reported(refusal(client.EntryNotFoundError, 404))
    assert "answered 503 repeatedly" in reported(refusal(client.HfHubHTTPError, 503))
    assert "http://…@127.0.0.1:9: broken" in reported(ConnectionError("broken\npipe"))
    assert "ConnectionError" in reported(ConnectionError())


def test_what_passes_by_itself() -> None:
    transient = {
        s: is_transient(refusal(client.HfHubHTTPError, s)) for s in (404, 429, 499, 500, 503)
    }
    assert transient == {404: False, 429: True, 499: False, 500: True, 503: True}
    assert not is_transient(ConnectionError())
    closed = "Server disconnected without sending a response."
    protocol_error = type("RemoteProtocolError", (Exception,), {})
    assert is_transient(protocol_error(closed))
    assert not is_transient(protocol_error("peer closed connection: incomplete body"))
    assert not is_transient(ConnectionError(closed))


def test_causes_are_found_behind_errors() -> None:
    inner = refusal(client.HfHubHTTPError, 500)
    try:
        try:
            raise inner
        except client.HfHubHTTPError as error:
            raise ValueError("outer") from error
    except ValueError as error:
        assert hub_cause(error) is inner
    timeout = TimeoutError()
    assert hub_cause(timeout) is timeout
    assert hub_cause(ValueError()) is None
    assert hub_cause(None) is None
    circle, other = ValueError(), ValueError()
    circle.__cause__, other.__cause__ = other, circle
    assert hub_cause(circle) is None


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("odd"), RecursionError("odd")])
def test_nonsense_becomes_one_error(error: Exception) -> None:
    with (
        pytest.raises(ResourceError, match="M104 owner/bert: the answer of") as caught,
        valid_responses("owner/bert", "model"),
    ):
        raise error
    assert "odd" in str(caught.value)
    assert "pa55" not in str(caught.value)


def test_a_full_disk_is_reported_as_such(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="C107"), valid_responses("x", "model"):
        raise OSError(errno.ENOSPC, "No space left", str(tmp_path / "blobs"))


def test_errors_with_a_code_stay_themselves() -> None:
    ours = ModelError(Problem("M107", "x"))
    with pytest.raises(TunesmithError) as caught, valid_responses("x", "model"):
        raise ours
    assert caught.value is ours
    with pytest.raises(KeyboardInterrupt), valid_responses("x", "model"):
        raise KeyboardInterrupt


def test_the_endpoint_has_no_password() -> None:
    assert endpoint() == "http://…@127.0.0.1:9"
