from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import needs
from tests.models.folders import edited
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import ModelError, ResourceError
from tunesmith.models import load_tokenizer, locate, longest_input, read_backend
from tunesmith.models import tokenizer as module
from tunesmith.tasks.tokenize_texts import encode_texts


def test_the_longest_input(tiny_bert: Path, tmp_path: Path) -> None:
    files = locate(str(tiny_bert))
    assert longest_input(files, load_tokenizer(files)) == 64
    roberta = edited(
        tiny_bert, tmp_path / "r", model_type="roberta", max_position_embeddings=50, pad_token_id=1
    )
    files = locate(str(roberta))
    assert longest_input(files, load_tokenizer(files)) == 48


def test_where_nothing_names_a_limit_it_still_fits_32_bits(tiny_bert: Path, tmp_path: Path) -> None:
    files = locate(str(edited(tiny_bert, tmp_path / "x", max_position_embeddings=None)))
    tokenizer = load_tokenizer(files)
    tokenizer.model_max_length = int(1e30)  # as transformers has it where no file says
    limit = longest_input(files, tokenizer)
    assert limit == 2**31 - 1
    encoded = encode_texts([Row(0, {"text": "soup " * 900})], Roles("text"), tokenizer, limit)
    assert encoded[1].tolist() == [902]


def test_a_tokenizer_neither_cuts_nor_pads_by_default(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    tokenizer = load_tokenizer(locate(str(folder)))
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    again = load_tokenizer(locate(str(folder)))
    assert len(again.backend_tokenizer.encode("the printer is broken again").ids) == 7


def test_a_folder_without_a_tokenizer(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(tiny_bert, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match="M113"):
        load_tokenizer(locate(str(folder)))


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "x"))


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def refused(folder: Path, reason: str) -> None:
    with pytest.raises(ModelError, match="M113") as caught:
        load_tokenizer(locate(str(folder)))
    assert reason in str(caught.value)
    assert "tokenizer-" not in str(caught.value), "names a copy that is gone"


def test_both_readers_agree(folder: Path) -> None:
    files = locate(str(folder))
    tokenizer = load_tokenizer(files)
    assert tokenizer.name_or_path == str(folder)
    backend, config = read_backend(files)
    assert config["model_max_length"] == tokenizer.model_max_length == 64
    text = "the printer is broken again"
    assert backend.encode(text).ids == tokenizer(text)["input_ids"]
    (folder / "tokenizer_config.json").unlink()
    assert read_backend(files)[1] == {"model_max_length": 2**31 - 1}


@pytest.mark.parametrize("value", [0, -1, "64", True, None, [64]])
def test_a_longest_row_that_is_none(folder: Path, value: object) -> None:
    change(folder / "tokenizer_config.json", model_max_length=value)
    if value is None:  # as not written
        assert load_tokenizer(locate(str(folder))).model_max_length == 2**31 - 1
        return
    refused(folder, f"model_max_length is {value}")
    with pytest.raises(ModelError, match="M113"):
        read_backend(locate(str(folder)))


@pytest.mark.parametrize(("longest", "fits"), [(3, True), (2, False), (1, False)])
def test_a_row_has_space_for_more_than_special_tokens(
    folder: Path, longest: int, fits: bool
) -> None:
    change(folder / "tokenizer_config.json", model_max_length=longest)
    if fits:
        assert longest_input(locate(str(folder)), load_tokenizer(locate(str(folder)))) == 3
    else:
        refused(folder, f"2 special tokens do not fit into {longest} tokens")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tokenizer.json", "{}", "tokenizer"),
        ("tokenizer.json", "[1]", "tokenizer.json: it is not a JSON object"),
        ("tokenizer.json", '{"a":' + "[" * 99_999, "tokenizer.json: it is nested too deeply"),
        ("tokenizer.json", '{"normalizer": "' + "x" * 2_000_000 + '"}', "normalizer is larger"),
        ("tokenizer_config.json", "[]", "tokenizer_config.json: it is not a JSON object"),
        ("tokenizer_config.json", '{"tokenizer_class": 5}', '"5" is not a tokenizer\'s class'),
        ("tokenizer_config.json", '{"tokenizer_class": "pipeline"}', '"pipeline" is not'),
        ("special_tokens_map.json", "{", "special_tokens_map.json: Expecting"),
        ("added_tokens.json", '{"a": NaN}', "added_tokens.json: a is nan"),
        ("config.json", '{"model_type": "bert", "tokenizer_class": "pipeline"}', '"pipeline" is'),
    ],
)
def test_damaged_files(folder: Path, name: str, content: str, reason: str) -> None:
    (folder / name).write_text(content)
    refused(folder, reason)


def test_the_length_of_a_step_is_bounded_exactly(folder: Path) -> None:
    files = locate(str(folder))
    for length, fits in ((2_000_000, True), (2_000_001, False)):
        change(folder / "tokenizer.json", decoder="x" * (length - 2))
        with pytest.raises(ModelError, match="M113") as caught:
            read_backend(files)
        assert ("decoder is larger than 2 MB" not in str(caught.value)) == fits


@needs("pipes")
def test_only_regular_files_of_known_names_are_read(folder: Path) -> None:
    for name in ("chat_template.jinja", "tekken.json", "processor_config.json", "vocab.bpe"):
        os.mkfifo(folder / name)  # to read one of them would wait for ever
    load_tokenizer(locate(str(folder)))
    os.mkfifo(folder / "special_tokens_map.json")
    refused(folder, "special_tokens_map.json: it is not a regular file")


@needs("/dev")
def test_what_names_code_or_files_is_left_out(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w')")
    change(
        folder / "tokenizer_config.json",
        auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]},
        trust_remote_code=True,
        vocab_file="/dev/zero",
        tokenizer_file="/dev/zero",
        gguf_file="/dev/zero",
    )
    change(folder / "config.json", auto_map={"AutoTokenizer": "evil.Evil"}, num_labels=10**9)
    assert len(load_tokenizer(locate(str(folder)))) > 50
    assert not canary.exists()


def test_a_tokenizer_of_a_vocabulary_is_saved_with_it(folder: Path, tmp_path: Path) -> None:
    vocabulary: dict[str, int] = json.loads((folder / "tokenizer.json").read_text())["model"][
        "vocab"
    ]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=lambda p: vocabulary[p])))
    tokenizer = load_tokenizer(locate(str(folder)))
    tokenizer.save_pretrained(tmp_path / "saved")
    again: Any = load_tokenizer(locate(str(edited(folder, tmp_path / "y"))))
    assert again("the soup")["input_ids"] == tokenizer("the soup")["input_ids"]


@pytest.mark.parametrize("positions", ["x", [5], -3, 0, None])
def test_impossible_positions_do_not_count(folder: Path, positions: object) -> None:
    change(folder / "config.json", max_position_embeddings=positions)
    files = locate(str(folder))
    assert longest_input(files, load_tokenizer(locate(str(folder)))) == 64


def test_a_full_disk_for_temporary_files_is_no_fault_of_the_model(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: object, _target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(ResourceError, match="C107"):
        load_tokenizer(locate(str(tiny_bert)))


def test_the_padding_token_is_one_that_the_tokenizer_has(folder: Path) -> None:
    tokenizer = load_tokenizer(locate(str(folder)))
    size = len(tokenizer)
    last = tokenizer.convert_ids_to_tokens(size - 1)
    for number, token in ((0, "[PAD]"), (size - 1, last), (size, None), (-1, None), ("0", None)):
        change(folder / "config.json", pad_token_id=number)
        assert module._padding_of(locate(str(folder)), tokenizer) == token


def test_positions_under_their_other_name_and_those_that_padding_takes(folder: Path) -> None:
    tokenizer = load_tokenizer(locate(str(folder)))

    def longest(**fields: object) -> int:
        change(folder / "config.json", **fields)
        return longest_input(locate(str(folder)), tokenizer)

    assert longest(max_position_embeddings=None, n_positions=40) == 40
    assert longest(max_position_embeddings=50, n_positions=40) == 50
    assert longest(pad_token_id=1) == 50  # only RoBERTa and its kin count from there
    assert longest(model_type="xlm-roberta", pad_token_id=1) == 48
    assert longest(pad_token_id=None) == 50
    assert longest(max_position_embeddings=2, pad_token_id=1) == 64  # nothing is left: no limit
    assert longest(max_position_embeddings=3) == 1


def test_the_size_of_a_vocabulary_is_bounded_exactly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = list(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
    (folder / "tokenizer.json").unlink()
    path = folder / "vocab.txt"
    path.write_text("\n".join([*words, *(f"word{i}" for i in range(500))]))
    monkeypatch.setattr(module, "_MAX_BYTES", path.stat().st_size)
    assert load_tokenizer(locate(str(folder))).vocab_file == str(path)
    monkeypatch.setattr(module, "_MAX_BYTES", path.stat().st_size - 1)
    refused(folder, "vocab.txt: it is larger than 0 MB")
