from __future__ import annotations

import pytest

from tests.cli.conftest import Command


def test_a_line_per_check(tunesmith: Command) -> None:
    output = tunesmith("doctor", "--offline")
    assert output.code == 0
    for word in (
        "versions",
        "torch 2.",
        "device",
        "threads",
        "disk",
        "GB free",
        "hub",
        "HF_ENDPOINT",
    ):
        assert word in output.out
    (record,) = tunesmith("doctor", "--offline", "--json").records
    assert "python" in record["versions"]


def test_secrets_stay_secret(tunesmith: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verySecretToken123")
    output = tunesmith("doctor", "--offline")
    assert "verySecret" not in output.out + output.err
    assert "a token is set" in output.out
