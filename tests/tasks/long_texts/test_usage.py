"""The lines of the card compute what the task computes, for texts and pairs of any length."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import WORDS
from tunesmith.data.batches import Examples, Padding, make_batch
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import hold_in_memory
from tunesmith.data.rows import Row
from tunesmith.models import load_tokenizer, locate
from tunesmith.recipe import DataSettings
from tunesmith.tasks import Task, task_named

ROLES = Roles("a", None, "label")
PAIR = Roles("a", "b", "label")


def answered(task: Task, model: Any, tokenizer: Any, texts: list[str]) -> dict[str, float]:
    row = Row(0, dict(zip("ab", texts, strict=False)))
    examples = Examples(hold_in_memory(task.encode([row], tokenizer, 16, labeled=False)))
    batch = make_batch(examples, np.arange(1), Padding.of(tokenizer))
    with torch.inference_mode():
        logits = task.forward(model, batch).per_example["logits"].numpy()
    (answer,) = task.decode({"logits": logits}, [row])
    scores: Any = answer["scores"]
    return dict(scores)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("text-classification", {}),
        ("text-classification", {"long": "tail"}),
        ("text-classification", {"long": "head_tail"}),
        ("multi-label-classification", {"pooling": "max"}),
        ("text-regression", {"max_windows": 3}),
    ],
)
@pytest.mark.parametrize("roles", [ROLES, PAIR], ids=["text", "pair"])
def test_the_lines_give_the_answer(
    name: str, roles: Roles, options: Any, tiny_bert: Path, tmp_path: Path, capsys: Any
) -> None:
    settings = DataSettings(train="x", labels=("yes", "no"))
    task = task_named(name).make(roles, settings, [], {"long": "windows", **options})
    files = locate(str(tiny_bert))
    tokenizer = load_tokenizer(files)
    model = task.build(files, seed=0, dropout=None).model.eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "tunesmith.json").write_text(json.dumps({"max_length": 16}))
    for count in (2, 30, 200):
        texts = [" ".join((WORDS * 5)[:count]), " ".join(WORDS[7:12])][:: -1 if count == 30 else 1]
        texts = texts if roles == PAIR else [max(texts, key=len)]
        code = task.usage.replace("path/to/this/folder", str(tmp_path))
        for text in texts:
            code = code.replace("…", text, 1)
        exec(code, {})
        said = ast.literal_eval(capsys.readouterr().out)
        if isinstance(said, list):
            listed = said[0] if isinstance(said[0], list) else said
            said = {
                name: one["score"]
                for name in task.output.names
                for one in listed
                if one["label"] == name
            }
        expected = answered(task, model, tokenizer, texts)
        assert [*said.values()] == pytest.approx([*expected.values()], abs=1e-5)
