"""Heads for questions of each family of models through the probe of the fast engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.tasks.question_answering.asked import ROLES
from tests.training.fast.models import FAMILIES, batch_of, model_of
from tunesmith.tasks.question_answering.task import QuestionAnswering
from tunesmith.training.fast.probe import probe

TASK = QuestionAnswering(ROLES, has_unanswerable=True, n_best=4)
WITHOUT_PACKS = {"deberta-v2", "mpnet", "mobilebert"}
WITHOUT_A_HEAD = {"esm", "eurobert", "modernbert mean", "nomic_bert"}
"""Those without a class for questions, or the same class as another."""


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in WITHOUT_A_HEAD])
def test_starts_and_ends_are_packed(family: str) -> None:
    model = model_of(family, "AutoModelForQuestionAnswering")
    batch = batch_of()
    count = len(batch.examples)
    labels = torch.stack([torch.arange(count) % 3, torch.arange(count) % 3 + 1], dim=1)
    batch = replace(batch, labels=labels, num_targets=2 * count)
    result = probe(model, TASK.forward, batch, torch.device("cpu"))
    expected = (None, True) if family in WITHOUT_PACKS else ("every token", False)
    assert (result.exit, result.by_length) == expected, result.reason
