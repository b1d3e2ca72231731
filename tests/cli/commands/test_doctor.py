from __future__ import annotations

import pytest

from tests.cli.conftest import Command


def test_a_line_for_each_thing(tunesmith: Command) -> None:
    said = tunesmith("doctor", "--offline")
    assert said.code == 0
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
        assert word in said.out
    (record,) = tunesmith("doctor", "--offline", "--json").records
    assert "python" in record["versions"]


def test_secrets_stay_secret(tunesmith: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verySecretToken123")
    said = tunesmith("doctor", "--offline")
    assert "verySecret" not in said.out + said.err
    assert "a token is set" in said.out
