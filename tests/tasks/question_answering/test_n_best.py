"""The best answers are those of run_qa.py, which this file computes from all logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.tasks.question_answering.asked import ROLES, asked_rows
from tunesmith.data.batches import Examples, Padding, make_batch
from tunesmith.data.encoded import Ragged, hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.models import load_tokenizer, locate
from tunesmith.tasks.outputs import Predictions
from tunesmith.tasks.question_answering.answers import answer_rows
from tunesmith.tasks.question_answering.n_best import best_of_rows, highest
from tunesmith.tasks.question_answering.task import QuestionAnswering

N_BEST, LONGEST, ROWS = 5, 8, asked_rows()
TASK = QuestionAnswering(ROLES, has_unanswerable=True, stride=6)


@pytest.fixture(scope="module")
def examples(tiny_bert: Path) -> Examples:
    tokenizer = load_tokenizer(locate(str(tiny_bert)))
    rows = [Row(i, row) for i, row in enumerate(ROWS)]
    return Examples(hold_in_memory(TASK.encode(rows, tokenizer, 32, labeled=True)))


def random_logits(examples: Examples, seed: int) -> list[NDArray[np.float32]]:
    """Logits of starts and ends of each window, (2, tokens); coarse, so that some are equal."""
    draw = np.random.default_rng(seed)
    lengths = examples.lengths.tolist()
    return [np.round(draw.normal(size=(2, n)), 1).astype(np.float32) for n in lengths]


def kept_of(examples: Examples, logits: list[NDArray[np.float32]]) -> Predictions:
    """What `forward` keeps of these logits."""
    width = int(examples.lengths.max())
    padded = torch.zeros(2, len(logits), width)
    mask = torch.zeros(len(logits), width)
    for i, one in enumerate(logits):
        padded[:, i, : one.shape[1]] = torch.from_numpy(one)
        mask[i, : one.shape[1]] = 1
    retained: dict[str, Any] = {"null": (padded[0, :, 0] + padded[1, :, 0]).numpy()}
    for name, values in (("start", padded[0]), ("end", padded[1])):
        windows, tokens, chosen = highest(values, mask, N_BEST)
        lengths = np.bincount(windows.numpy(), minlength=len(logits))
        retained[f"{name}s"] = Ragged(tokens.numpy(), lengths)
        retained[f"{name}_logits"] = Ragged(chosen.numpy(), lengths)
    return retained


def answers_of_run_qa(
    examples: Examples, logits: list[NDArray[np.float32]], threshold: float
) -> list[str]:
    """What postprocess_qa_predictions of transformers' examples answers, with its ties."""
    windows = examples.prepared.aside("window").flat.reshape(-1, 3).tolist()
    spans = {}
    for i, one in enumerate(examples.prepared.aside("spans").split()):
        if len(one):
            spans[int(examples.rows[i])] = one.reshape(-1, 2)
    texts = []
    for row in range(len(ROWS)):
        candidates: list[tuple[float, int, int]] = []
        null = np.inf
        for i in np.flatnonzero(examples.rows == row).tolist():
            first, number, count = windows[i]
            starts, ends = logits[i]
            null = min(null, starts[0] + ends[0])
            for s in np.argsort(starts, kind="stable")[-1 : -N_BEST - 1 : -1].tolist():
                for e in np.argsort(ends, kind="stable")[-1 : -N_BEST - 1 : -1].tolist():
                    inside = all(first <= p < first + count for p in (s, e))
                    if inside and s <= e < s + LONGEST:
                        shift = number - first
                        begin, end = spans[row][s + shift][0], spans[row][e + shift][1]
                        candidates.append((starts[s] + ends[e], int(begin), int(end)))
        best = max(candidates, key=lambda one: one[0]) if candidates else (-np.inf, 0, 0)
        is_empty = null - best[0] > threshold
        texts.append("" if is_empty else ROWS[row]["context"][best[1] : best[2]])
    return texts


@pytest.mark.parametrize("seed", range(8))
def test_answers_are_those_of_run_qa(examples: Examples, seed: int) -> None:
    """Of equal logits, too, except where the last of the kept ones is one of several."""
    logits = random_logits(examples, seed)
    if seed % 2:  # none of them equal
        logits = [o + np.linspace(0, 1e-3, o.shape[1], dtype=np.float32) for o in logits]
    joined = best_of_rows(
        kept_of(examples, logits), examples, n_best=N_BEST, max_answer_length=LONGEST
    )
    contexts = [row["context"] for row in ROWS]
    texts_given = [one.chosen.text for one in answer_rows(joined, contexts, threshold=-4.5)]
    expected = answers_of_run_qa(examples, logits, -4.5)
    same = sum(one == other for one, other in zip(texts_given, expected, strict=True))
    assert same == len(ROWS) if seed % 2 else same >= 0.9 * len(ROWS)
    assert "" in texts_given and len(set(texts_given)) > 5


def test_some_windows_of_a_row_are_enough(examples: Examples) -> None:
    """As a dry run measures a few of them."""
    second = np.flatnonzero(np.diff(examples.rows, prepend=-1) == 0)
    some = examples.subset(second)
    logits = random_logits(some, 1)
    joined = best_of_rows(kept_of(some, logits), some, n_best=N_BEST, max_answer_length=LONGEST)
    assert len(joined["null"]) == some.num_rows
    assert all(len(one) for one in joined["spans"].split())


def test_padding_on_the_left_changes_nothing(examples: Examples) -> None:
    places = np.arange(6)
    right = make_batch(examples, places, Padding({}))
    left = make_batch(examples, places, Padding({}, left=True))
    draw = torch.rand(2, 6, right.inputs["input_ids"].shape[1])
    masks = [batch.inputs["attention_mask"] for batch in (right, left)]
    moved = torch.zeros_like(draw[0])
    moved[masks[1].bool()] = draw[0][masks[0].bool()]
    for one, other in zip(highest(draw[0], masks[0], 4), highest(moved, masks[1], 4), strict=True):
        assert torch.equal(one, other)


def test_equal_answers_of_two_windows_count_once(examples: Examples) -> None:
    logits = [np.zeros_like(one) for one in random_logits(examples, 0)]
    joined = best_of_rows(kept_of(examples, logits), examples, n_best=20, max_answer_length=30)
    for spans in joined["spans"].split():
        assert len({tuple(span) for span in spans.tolist()}) == len(spans)
