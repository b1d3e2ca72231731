from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.capabilities import needs
from tests.models.folders import edited
from tunesmith.errors import IntegrityError, ModelError
from tunesmith.models import EMBEDDED, ModelFiles, load_tokenizer, locate
from tunesmith.storage import atomic
from tunesmith.storage.manifest import MANIFEST


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


def test_an_adapter_is_refused_with_the_way_out(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    (folder / "adapter_model.safetensors").write_bytes(b"not read")
    locate(str(folder))
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="M112") as caught:
        locate(str(folder))
    assert "merge_and_unload" in str(caught.value)


def test_pickled_weights_are_never_loaded(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_bert, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="M101") as caught:
        locate(str(folder))
    assert "pytorch_model.bin" in str(caught.value)


@needs("pipes")
def test_the_fingerprint_holds_every_file_that_is_read(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    (folder / "README.md").write_text("not read")
    before = locate(str(folder)).fingerprint()
    assert before == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    }
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    stat = weights.stat()
    weights.write_bytes(content)
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = locate(str(folder)).fingerprint()
    assert {name for name in before if before[name] != after[name]} == {"model.safetensors"}
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    with pytest.raises(ModelError, match=r"M109 .*tokenizer.json: .*not a regular file"):
        locate(str(folder)).fingerprint()


def test_shards_are_in_the_fingerprint(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    (folder / "model.safetensors").rename(folder / "b.safetensors")
    shutil.copy(folder / "b.safetensors", folder / "a.safetensors")
    index = {"weight_map": {"one": "b.safetensors", "two": "a.safetensors", "3": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    files = locate(str(folder))
    assert files.weights() == [folder / "a.safetensors", folder / "b.safetensors"]
    assert {"a.safetensors", "b.safetensors", "model.safetensors.index.json"} < set(
        files.fingerprint()
    )


@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin", "notes.txt", "../outside/x.safetensors", "/x.safetensors", 5, None,
        "a/b.safetensors", "..\\x.safetensors", "c:x.safetensors", ".safetensors",
        "x.safetensors\n", ["x.safetensors"], "",
    ],
)  # fmt: skip
def test_an_index_names_only_safetensors_next_to_it(
    tiny_bert: Path, tmp_path: Path, name: object
) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    index = {"weight_map": {"one": "a.safetensors", "two": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"M101 .*index\.json") as caught:
        locate(str(folder))
    assert "Only safetensors files next to the index" in str(caught.value)


@pytest.mark.parametrize("index", ["{}", '{"weight_map": {}}', '{"weight_map": [1]}', "[", "NaN"])
def test_an_index_that_is_none(tiny_bert: Path, tmp_path: Path, index: str) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelError, match=r"M101 .*index\.json"):
        locate(str(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_file_that_is_not_as_it_was_written_is_refused(
    name: str, tiny_bert: Path, tmp_path: Path
) -> None:
    """By the manifest of a folder that Tunesmith wrote; files that are not read may change."""
    with atomic.publish(tmp_path / "model") as folder:
        shutil.copytree(tiny_bert, folder, dirs_exist_ok=True)
        (folder / "README.md").write_text("a card")
    files = locate(str(tmp_path / "model"))
    assert files.fingerprint() == locate(str(tiny_bert)).fingerprint()
    (files.folder / "README.md").write_text("my own card")
    assert files.fingerprint()
    content = bytearray((files.folder / name).read_bytes())
    content[-2] ^= 1
    (files.folder / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=f'C118 .*: "{name}": not the content'):
        files.fingerprint()
    (files.folder / MANIFEST).unlink()
    assert files.fingerprint()


def test_the_causes_of_an_unknown_name_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that was its own cause kept the search for a lack of memory going for ever."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="M107") as caught:
        locate("运行")  # no name that the Hub takes, and nothing near it
    causes: list[BaseException] = [caught.value]
    while (cause := causes[-1].__cause__) is not None:
        assert cause not in causes
        causes.append(cause)
