"""Lines of code that read long texts as the model was trained, with transformers alone."""

from __future__ import annotations

from tunesmith.tasks.long_texts.options import LongTexts
from tunesmith.tasks.long_texts.scripts import RETAINED

__all__ = ["usage_of_long_texts"]

_PIPELINE = """\
import json
from pathlib import Path

from transformers import AutoTokenizer, pipeline

path = "path/to/this/folder"
tokenizer = AutoTokenizer.from_pretrained(path, truncation_side="left")
size = json.loads(Path(path, "tunesmith.json").read_text("utf-8"))["max_length"]
use = pipeline("text-classification", model=path, tokenizer=tokenizer, top_k=None)
print(use({example}, truncation=True, max_length=size))"""
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
_BOTH_ENDS = """\
encoded = tokenizer({texts})
places = retained(encoded.sequence_ids(0), size)
inputs = {{name: torch.tensor([[ids[at] for at in places]]) for name, ids in encoded.items()}}
with torch.inference_mode():
    logits = model(**inputs).logits[0]
print(dict(zip(model.config.id2label.values(), {answer}.tolist())))"""
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
    # the logits of the text from those of its windows
    logits = model(**{{name: ids[chosen] for name, ids in windows.items()}}).logits.{pooling}(0)
print(dict(zip(model.config.id2label.values(), {answer}.tolist())))"""


_ANSWERS = {
    "single_label_classification": "logits.softmax(0)",
    "multi_label_classification": "logits.sigmoid()",
    "regression": "logits",
}


def usage_of_long_texts(problem_type: str, long: LongTexts, *, has_pair: bool) -> str | None:
    """Return lines that read one text or pair as the task does; None if its end is cut.

    Args:
        problem_type: as the configuration of the model has it.
        long: what becomes of long texts.
        has_pair: whether rows have two texts.
    """
    answer = _ANSWERS[problem_type]
    if long.long == "tail":
        return _PIPELINE.format(example='{"text": "…", "text_pair": "…"}' if has_pair else '"…"')
    if long.long == "head_tail":
        texts = '"…", "…"' if has_pair else '"…"'
        ends = _BOTH_ENDS.format(texts=texts, answer=answer)
        return f"{_LOAD}\n\n{RETAINED}\n\n{ends}"
    if not long.in_windows:
        return None
    pooling = "amax" if long.pooling == "max" else "mean"
    read = _READ.format(most=long.max_windows, pooling=pooling, answer=answer)
    return f"{_LOAD}{_PAIR if has_pair else _ONE}{read}"
