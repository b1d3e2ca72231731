"""Counted before a model is loaded, and the same as training will find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tunesmith.data.columns import Roles
from tunesmith.errors import Place, Severity
from tunesmith.inputs import resolve_inputs, validate_inputs
from tunesmith.inputs.length_checks import (
    estimated_length_problems,
    length_problems,
    measure,
    reader_of,
    times_windows,
)
from tunesmith.recipe import gather
from tunesmith.runs.prepare import prepare_run
from tunesmith.tasks.text_classification import TextClassification

TASK = TextClassification(Roles("text", None, "label"))


def test_the_counts_are_those_of_training(tickets: Path, tiny_bert: Path) -> None:
    layers = gather(
        sets=[f"model={tiny_bert}", f"data.train={tickets}", "train.max_length=9"], environment={}
    )
    checked = validate_inputs(resolve_inputs(layers), audited=True)
    result = checked.lengths
    assert result is not None
    whole = prepare_run(checked).examples["train"].prepared
    assert result.limit == 9
    assert result.rows == 60
    assert result.rows_cut == whole.num_cut / 60
    assert sum(result.histogram.values()) == 60
    assert {"D320"} <= {problem.code for problem in checked.warnings}


def test_a_pair_is_read_jointly(tiny_bert: Path) -> None:
    reader = reader_of(str(tiny_bert), None)
    assert reader is not None
    assert reader.limit(None) == reader.limit(1000) == 64
    assert measure(reader, [("the soup", "is cold")], 64).longest == 7


def test_unknown_signs_are_counted(tiny_bert: Path) -> None:
    reader = reader_of(str(tiny_bert), None)
    assert reader is not None
    result = measure(reader, [("the 汤",)], 64)
    assert result.unknown == 0.25
    (problem,) = length_problems(result, "tiny", Place("a.csv"), TASK)
    assert problem.code == "D322"
    assert "25% of tokens are unknown to tiny" in problem.message


@pytest.mark.parametrize("tokens", [1, 7, 8, 9, 300, 5000])
def test_every_row_is_in_the_histogram(tokens: int, tiny_bert: Path) -> None:
    reader = reader_of(str(tiny_bert), None)
    assert reader is not None
    rows = [("the " * n,) for n in np.linspace(1, tokens, 9).astype(int)]
    result = measure(reader, rows, 64)
    assert sum(result.histogram.values()) == 9
    assert max(result.histogram) >= result.longest


@pytest.mark.parametrize("content", ["{}", "no json", '{"model": {"type": "WordPiece"}}'])
def test_what_is_no_tokenizer_is_left_to_who_loads_it(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert reader_of(str(tmp_path), None) is None
    (tmp_path / "tokenizer.json").write_text(content)
    assert reader_of(str(tmp_path), None) is None
    assert reader_of("no-such-model", None) is None
    assert reader_of(None, None) is None


def test_long_rows_are_reported_without_a_model() -> None:
    rows = [("word " * 2000,), ("短" * 600,), ("short",), ("a " * 300, "b " * 212)]
    in_windows = replace(TASK, long="windows")
    assert not list(estimated_length_problems(rows, None, Place("a.csv"), in_windows))
    (problem,) = estimated_length_problems(rows, None, Place("a.csv"), TASK)
    assert (problem.code, problem.severity) == ("D410", Severity.WARNING)
    assert problem.message == (
        "50.0% of rows have more than 512 words or Chinese characters, the longest 2000; "
        "a model that reads 512 tokens cuts them"
    )
    assert not list(estimated_length_problems(rows[2:], None, Place("a.csv"), TASK))
    (shorter,) = estimated_length_problems(rows[2:], 511, Place("a.csv"), TASK)
    assert "50.0% of rows have more than 511 words" in shorter.message


def test_a_check_without_a_tokenizer_still_speaks_of_lengths(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"{'word ' * 600} {i},{'ab'[i % 2]}\n" for i in range(20))
    path.write_text("text,label\n" + rows)
    layers = gather(sets=["model=not/here", f"data.train={path}"], environment={})
    checked = validate_inputs(resolve_inputs(layers), audited=True)
    assert checked.lengths is None
    assert "D410" in {problem.code for problem in checked.warnings}


def test_of_an_immense_text_the_beginning_is_counted() -> None:
    reader = reader_of("embedded:mini", None)
    assert reader is not None
    text = "the soup was cold. " * 10_000
    short, long = (measure(reader, [(text[:n],)], 256) for n in (95_000, 190_000))
    assert long.longest == pytest.approx(2 * short.longest, rel=0.001)
    (pair,) = (measure(reader, [(text, "the soup")], 256),)
    assert pair.longest == pytest.approx(long.longest, rel=0.001)
    assert measure(reader, [("the soup",)] * 1001, 256).rows == 1001


def test_the_cost_of_windows_is_that_of_their_tokens(tiny_bert: Path) -> None:
    assert times_windows(np.array([100, 512]), 512) == 1
    assert times_windows(np.array([1024]), 512) == (1024 + 2 * 128) / 512
    assert times_windows(np.array([10**6]), 512) == 16
    reader = reader_of(str(tiny_bert), None)
    assert reader is not None
    lengths = measure(reader, [("the " * 30,), ("the",)], 16)
    assert lengths.times_windows == (32 + 2 * 4 + 3) / (16 + 3)
    (cut,) = length_problems(lengths, "tiny", Place("a.csv"), TASK)
    assert cut.fix is not None
    assert "--long windows, at 2.3 times the compute.\nOr keep" in cut.fix
    (cut,) = length_problems(lengths, "tiny", Place("a.csv"), replace(TASK, long="tail"))
    assert cut.fix is not None and "--long head_tail" not in cut.fix
    assert not list(length_problems(lengths, "tiny", Place("a.csv"), replace(TASK, long="windows")))
