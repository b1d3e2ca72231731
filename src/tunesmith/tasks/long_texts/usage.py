"""Lines of code that answer with a model as it was trained on windows, with transformers alone."""

from __future__ import annotations

from tunesmith.tasks.long_texts.options import LongTexts

__all__ = ["usage_of_windows"]

_LOAD = """\
import json
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

path = "path/to/this/folder"
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModelForSequenceClassification.from_pretrained(path)
size = json.loads(Path(path, "tunesmith.json").read_text("utf-8"))["max_length"]
"""
_ONE = """\
space = size - tokenizer.num_special_tokens_to_add()
windows = tokenizer(
    "…", truncation=True, max_length=size, stride=space // 4,
"""
_PAIR = """\
pair = ["…", "…"]
first, second = [len(ids) for ids in tokenizer(pair, add_special_tokens=False)["input_ids"]]
space = size - tokenizer.num_special_tokens_to_add(pair=True)
windows = tokenizer(
    *pair, truncation="only_first" if first >= second else "only_second",
    max_length=size, stride=(space - min(first, second)) // 4,
"""
_READ = """\
    return_overflowing_tokens=True, padding=True, return_tensors="pt",
)
windows.pop("overflow_to_sample_mapping")
count = min(len(windows["input_ids"]), {most})
chosen = [i * (len(windows["input_ids"]) - 1) // max(1, count - 1) for i in range(count)]
with torch.inference_mode():
    logits = model(**{{name: ids[chosen] for name, ids in windows.items()}}).logits.{pooling}(0)
print(dict(zip(model.config.id2label.values(), {answer}.tolist())))"""


_ANSWERS = {
    "single_label_classification": "logits.softmax(0)",
    "multi_label_classification": "logits.sigmoid()",
    "regression": "logits",
}


def usage_of_windows(problem_type: str, long: LongTexts, *, has_pair: bool) -> str:
    """Return lines that pool the logits of the windows of one text or pair.

    Args:
        problem_type: as the configuration of the model has it.
        long: which windows are read, and how they are pooled.
        has_pair: whether rows have two texts.
    """
    pooling = "amax" if long.pooling == "max" else "mean"
    answer = _ANSWERS[problem_type]
    read = _READ.format(most=long.max_windows, pooling=pooling, answer=answer)
    return f"{_LOAD}{_PAIR if has_pair else _ONE}{read}"
