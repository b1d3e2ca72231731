from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.model.folders import edited
from tunesmith.data.roles import Roles
from tunesmith.data.rows import Row
from tunesmith.errors import ModelError
from tunesmith.model import load_tokenizer, locate, longest_input
from tunesmith.tasks.sequence import encode_texts


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


def test_a_tokenizer_neither_cuts_nor_pads_unasked(tiny_bert: Path, tmp_path: Path) -> None:
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
