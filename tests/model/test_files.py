from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.model.folders import edited
from tunesmith.errors import ModelError
from tunesmith.model import EMBEDDED, ModelFiles, load_tokenizer, locate


def test_a_local_folder_needs_no_network(tiny_bert: Path) -> None:
    files = locate(str(tiny_bert))
    assert files == ModelFiles(str(tiny_bert), tiny_bert)


def test_a_run_folder_stands_for_its_model(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "run" / "model")
    assert locate(str(tmp_path / "run")).folder == tmp_path / "run" / "model"


def test_the_embedded_model_is_there_and_the_same() -> None:
    first = locate(EMBEDDED).folder
    assert locate(EMBEDDED).folder == first
    assert len(load_tokenizer(locate(EMBEDDED))) > 200


@pytest.mark.parametrize(
    ("name", "code"),
    [("./no/such", "M107"), ("embedded:maxi", "M107"), ("model.safetensors.csv", "M107")],
)
def test_names_that_are_nothing(name: str, code: str) -> None:
    with pytest.raises(ModelError, match=code):
        locate(name)


def test_a_missing_folder_names_the_nearest(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "my-model")
    with pytest.raises(ModelError, match="my-model"):
        locate(str(tmp_path / "my-modle"))


def test_folders_that_are_no_model(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="M109"):
        locate(str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="model_type"):
        locate(str(edited(tiny_bert, tmp_path / "untyped", model_type=None)))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="M109"):
        locate(str(tmp_path / "broken"))


def test_pickled_weights_are_never_loaded(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_bert, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="M101") as caught:
        locate(str(folder))
    assert "pytorch_model.bin" in str(caught.value)
