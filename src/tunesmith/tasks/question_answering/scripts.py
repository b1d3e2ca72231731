"""Question answering as code: lines that use a model, and what a script needs."""

from __future__ import annotations

__all__ = ["usage_lines"]

_USAGE = """\
import torch
from transformers import {model_class}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
model = {model_class}.from_pretrained("path/to/this/folder")
question, context = "…", "…"
length = min({length}, tokenizer.model_max_length)
inputs = tokenizer(question, context, truncation="only_second", max_length=length,
                   stride=min({stride}, length // 3), return_overflowing_tokens=True,
                   return_offsets_mapping=True, padding=True, return_tensors="pt")
del inputs["overflow_to_sample_mapping"]
offsets = inputs.pop("offset_mapping")
outputs = model(**inputs)
scores = outputs.start_logits[:, :, None] + outputs.end_logits[:, None, :]
inside = torch.tensor([[of == 1 for of in inputs.sequence_ids(i)] for i in range(len(offsets))])
may_be = (inside[:, :, None] & inside[:, None, :]).triu().tril({longest})
best = scores.masked_fill(~may_be, -torch.inf)
window, first, last = torch.unravel_index(best.argmax(), best.shape)
answer = context[offsets[window, first, 0] : offsets[window, last, 1]]
"""
_NULL = """\
if scores[:, 0, 0].min() - best.max() > {threshold:.4g}:  # no answer scores more
    answer = ""
"""


def usage_lines(model_class: str, *, stride: int, longest: int, threshold: float | None) -> str:
    """Return code that prints the answer to a question.

    Args:
        model_class: of transformers.
        stride: tokens by which windows overlap.
        longest: tokens of an answer.
        threshold: above which there is none; None where there always is one.
    """
    lines = _USAGE.format(model_class=model_class, length=384, stride=stride, longest=longest - 1)
    null = "" if threshold is None else _NULL.format(threshold=threshold)
    return lines + null + 'print({"answer": answer, "score": best.max().item()})'
