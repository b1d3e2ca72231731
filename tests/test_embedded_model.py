from __future__ import annotations

import pytest

from tunesmith.commit import damage, sha256_of
from tunesmith.embedded_model import embedded_folder
from tunesmith.errors import ModelError


def test_made_twice_it_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for _time in range(2):
        monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = embedded_folder("embedded:mini")
        assert damage(folder) is None
        digests.append([sha256_of(folder / n) for n in ("model.safetensors", "tokenizer.json")])
    assert digests[0] == digests[1]


def test_damage_is_mended(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
    folder = embedded_folder("embedded:mini")
    (folder / "model.safetensors").write_bytes(b"")
    assert damage(embedded_folder("embedded:mini")) is None


def test_a_wrong_name_lists_the_right_one() -> None:
    with pytest.raises(ModelError, match="embedded:mini"):
        embedded_folder("embedded:big")
