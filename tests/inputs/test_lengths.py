"""Counted before a model is loaded, and the same as training will find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunesmith.errors import Place
from tunesmith.inputs import check, look
from tunesmith.inputs.lengths import length_problems, measure, reader_of
from tunesmith.recipe import gather
from tunesmith.run.job import make_job


def test_the_counts_are_those_of_training(tickets: Path, tiny_bert: Path) -> None:
    layers = gather(
        sets=[f"model={tiny_bert}", f"data.train={tickets}", "train.max_length=9"], environment={}
    )
    checked = check(look(layers), audited=True)
    found = checked.lengths
    assert found is not None
    whole = make_job(checked).examples["train"].prepared
    assert found.limit == 9
    assert found.rows == 60
    assert found.rows_cut == whole.num_cut / 60
    assert sum(found.histogram.values()) == 60
    assert {"D320"} <= {problem.code for problem in checked.warnings}


def test_a_pair_is_read_jointly(tiny_bert: Path) -> None:
    reader = reader_of(str(tiny_bert), None)
    assert reader is not None
    assert reader.limit(None) == reader.limit(1000) == 64
    assert measure(reader, [("the soup", "is cold")], 64).longest == 7


def test_unknown_signs_are_counted(tiny_bert: Path) -> None:
    reader = reader_of(str(tiny_bert), None)
    assert reader is not None
    found = measure(reader, [("the 汤",)], 64)
    assert found.unknown == 0.25
    (problem,) = length_problems(found, "tiny", Place("a.csv"))
    assert problem.code == "D322"
    assert "25% of tokens are unknown to tiny" in problem.message


@pytest.mark.parametrize("tokens", [1, 7, 8, 9, 300, 5000])
def test_every_row_is_in_the_histogram(tokens: int, tiny_bert: Path) -> None:
    reader = reader_of(str(tiny_bert), None)
    assert reader is not None
    rows = [("the " * n,) for n in np.linspace(1, tokens, 9).astype(int)]
    found = measure(reader, rows, 64)
    assert sum(found.histogram.values()) == 9
    assert max(found.histogram) >= found.longest


@pytest.mark.parametrize("content", ["{}", "no json", '{"model": {"type": "WordPiece"}}'])
def test_what_is_no_tokenizer_is_left_to_who_loads_it(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert reader_of(str(tmp_path), None) is None
    (tmp_path / "tokenizer.json").write_text(content)
    assert reader_of(str(tmp_path), None) is None
    assert reader_of("no-such-model", None) is None
    assert reader_of(None, None) is None
