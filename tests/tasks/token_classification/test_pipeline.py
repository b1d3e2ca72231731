"""The pipeline of transformers and the task find the same entities."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification

from tests.conftest import make_tiny_bert
from tunesmith.data.columns import Roles
from tunesmith.tasks.token_classification.pipeline import count_differences
from tunesmith.tasks.token_classification.task import TokenClassification

LABELS = ("O", "B-A", "I-A", "B-B", "I-B")
TEXTS = ["the printer is broken", "\U0001f600 soup\U0001f600xyz  again.", "a\u200bb, c", "x"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("pipeline") / "bert", layers=1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_both_mark_the_same(bert: Path, seed: int) -> None:
    config = BertConfig.from_pretrained(
        bert, id2label=dict(enumerate(LABELS)), label2id={n: i for i, n in enumerate(LABELS)}
    )
    torch.manual_seed(seed)
    model = BertForTokenClassification(config).eval()
    torch.nn.init.normal_(model.classifier.weight)
    task = TokenClassification(Roles("text", None, "entities"), labels=LABELS)
    tokenizer = AutoTokenizer.from_pretrained(bert)
    assert count_differences(task, model, tokenizer, TEXTS) == 0
    other = TokenClassification(task.roles, labels=("O", "B-X", "I-X", "B-Y", "I-Y"))
    assert count_differences(other, model, tokenizer, TEXTS) > 0
