"""A reranker as plain code: expressions of labels, and scores as the task computes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score
from torch.nn.functional import binary_cross_entropy_with_logits

from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.tasks.text_ranking.task import TextRanking

RANDOM = np.random.default_rng(4)


@pytest.mark.parametrize(("highest", "relevant_from"), [(1.0, 1.0), (3.0, 2.0), (10.0, 7.0)])
def test_a_script_computes_the_scores_of_the_task(highest: float, relevant_from: float) -> None:
    task = TextRanking(Roles("query", "passage", "label"), highest, relevant_from)
    rows = [
        Row(i, {"query": f"q {i % 9}", "passage": str(i), "label": label})
        for i, label in enumerate(RANDOM.integers(0, int(highest) + 1, 60).tolist())
    ]
    rows.append(Row(60, {"query": "alone", "passage": "x", "label": highest}))
    logits = RANDOM.normal(size=(61, 1)).astype(np.float32)
    parts = task.script_parts
    assert parts.targets is not None
    targets = parts.targets.targets_of(rows)
    (expression,) = parts.targets.expressions
    assert [expression.target_of(row.values["label"]) for row in rows] == targets.tolist()
    names = {
        "np": np, "torch": torch, "ndcg_score": ndcg_score, "logits": logits, "name": "test",
        "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits, "TEXT": "query",
        "labels": targets.astype(np.float32),
        "raw": {"test": {"query": [row.values["query"] for row in rows]}},
        **{name: value for name, value, _comment in parts.constants},
    }  # fmt: skip
    exec(parts.scores, names)
    theirs = {name: eval(code, names) for name, code in parts.metrics.items()}
    truth = task.targets(rows)
    ours = task.score(tuple(task.metrics.values()), {"logits": logits}, truth, None)
    assert {name: theirs[name] for name in ours.values} == pytest.approx(ours.values)
    labels = torch.as_tensor(truth["label"] / highest)
    expected = binary_cross_entropy_with_logits(torch.as_tensor(logits[:, 0]).double(), labels)
    assert theirs["loss"] == pytest.approx(expected.item(), rel=1e-5)
