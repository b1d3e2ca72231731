"""`Seq2SeqTrainer`: a Trainer whose evaluation generates texts, as transformers' does."""

from __future__ import annotations

import transformers

from tunesmith.interop.trainer.trainer import Trainer

__all__ = ["Seq2SeqTrainer"]


class Seq2SeqTrainer(Trainer, transformers.Seq2SeqTrainer):  # type: ignore[misc]
    """A Trainer that predicts by `generate` with `predict_with_generate=True`.

    Steps are those of a Trainer; evaluation is transformers' own.
    """
