"""Small random models of many families, and batches of ragged rows for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.data.batches import IGNORED, Batch
from tunesmith.tasks import Outputs

SIZES: dict[str, Any] = {
    "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 66, "pad_token_id": 1,
}  # fmt: skip
_MARKS = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
_MODERN = {"local_attention": 6, "global_attn_every_n_layers": 2, **_MARKS}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": _MARKS,
    "xlm-roberta": _MARKS,
    "camembert": _MARKS,
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16, **_MARKS},
    "ernie": {},
    "distilbert": {
        "vocab_size": 100, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48,
        "max_position_embeddings": 66, "pad_token_id": 1,
    },
    "modernbert": _MODERN,
    "modernbert mean": {**_MODERN, "classifier_pooling": "mean"},
    "eurobert": {"num_key_value_heads": 2, "mask_token_id": 4, **_MARKS},
    "nomic_bert": {},
    "esm": {"mask_token_id": 4, "token_dropout": False},
    "gpt2": {
        "vocab_size": 100, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 66,
        "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3,
    },
    "llama": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "deberta-v2": {"relative_attention": True, "pos_att_type": "p2c|c2p"},
    "mpnet": _MARKS,
}  # fmt: skip
LENGTHS = (5, 12, 17, 9, 12)


def model_of(
    family: str, head: str = "AutoModelForSequenceClassification", **more: Any
) -> nn.Module:
    import transformers

    kind = family.split(maxsplit=1)[0]
    own = FAMILIES[family]
    base = {} if {"dim", "n_embd"} & own.keys() else SIZES
    config = transformers.CONFIG_MAPPING[kind](**{**base, **own, **more})
    torch.manual_seed(0)
    model: nn.Module = getattr(transformers, head).from_config(config).eval()
    return model


def batch_of(
    lengths: Sequence[int] = LENGTHS, *, seed: int = 1, left: bool = False, per_token: bool = False
) -> Batch:
    random = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    ids = torch.ones(len(lengths), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    tags = torch.full_like(ids, IGNORED)
    for i, length in enumerate(lengths):
        at = slice(longest - length, None) if left else slice(length)
        ids[i, at] = torch.randint(5, 100, (length,), generator=random)
        mask[i, at] = 1
        tags[i, at] = torch.randint(0, 2, (length,), generator=random)
    labels = tags if per_token else torch.tensor([i % 2 for i in range(len(lengths))])
    targets = int((labels != IGNORED).sum())
    places = np.arange(len(lengths))
    inputs = {"input_ids": ids, "attention_mask": mask}
    return Batch(
        inputs, labels, targets, int(mask.sum()), places,
        labels_are="token" if per_token else "example",
    )  # fmt: skip


def classify(model: Any, batch: Batch) -> Outputs:
    """The pass of a classification task, per text or per token."""
    logits = model(**batch.inputs).logits.float()
    assert batch.labels is not None
    if batch.labels_are == "token":
        where = batch.labels != IGNORED
        loss = nn.functional.cross_entropy(logits[where], batch.labels[where], reduction="sum")
        return Outputs(loss, {}, {"logits": (batch.example_of_labels()[where], logits[where])})
    loss = nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
    return Outputs(loss, {"logits": logits})
