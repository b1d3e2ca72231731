"""Masked language modeling: continued pretraining on your own text, without labels.

Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of deep bidirectional transformers for
language understanding" (arXiv 1810.04805). Masking is dynamic, as in RoBERTa (arXiv 1907.11692):
drawn again each time a text is seen; `masking` says how.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tunesmith.data.batches import IGNORED, Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.encoded import Encoded
from tunesmith.data.findings import Finding
from tunesmith.data.profile import Profile
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError, ModelError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.metrics.concrete_kinds import FreeText
from tunesmith.metrics.scores import Metric, Scores, compute
from tunesmith.recipe import DataSettings, Options, read_options
from tunesmith.tasks.default_methods import TaskDefaults
from tunesmith.tasks.masked_lm.chunking import encode_windows
from tunesmith.tasks.masked_lm.masking import mask_tokens
from tunesmith.tasks.masked_lm.scripts import masked_lm_parts
from tunesmith.tasks.matching import Match, match_texts
from tunesmith.tasks.outputs import Outputs, Predictions
from tunesmith.tasks.script_parts import ScriptParts
from tunesmith.tasks.tokenize_texts import encode_texts, validate_texts

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["MaskedLanguageModel"]

_MASKS, _ANSWERS = 8, 5
"""How many masks of a text are filled, and with how many answers each."""


class MaskingOptions(Options):
    """Task-specific options of masked-lm."""

    mlm_probability: float = Field(
        0.15, ge=0.001, lt=1, description=N_("Fraction of the tokens that are predicted.")
    )
    whole_word_mask: bool = Field(
        False, description=N_("Hide all pieces of a word together, which is harder.")
    )
    always_mask: list[str] = Field(
        [],
        description=N_("Words that are hidden wherever they occur, in addition to that fraction."),
    )


def _perplexity(sums: NDArray[Any], targets: NDArray[Any], _positive: int) -> float:
    """The exponential of the mean negative log-likelihood; 1 is perfect."""
    return math.exp(min(float(sums[:, 0].sum() / targets.sum()), 700.0))


def _token_accuracy(sums: NDArray[Any], targets: NDArray[Any], _positive: int) -> float:
    return float(sums[:, 1].sum() / targets.sum())


@dataclass(frozen=True)
class MaskedLanguageModel(TaskDefaults):
    """Hidden words of a text, from the words around them.

    Attributes:
        roles: which column is the text; pairs are read jointly.
        mlm_probability: fraction of the tokens that are predicted.
        whole_word_mask: whether all pieces of a word are hidden together.
        always_mask: words that are hidden wherever they occur: selective masking, as in Gu et al.,
            "Train no evil" (arXiv 2004.09733), with words that the user names.
        tokenizer: known once `with_tokenizer` was called.
    """

    roles: Roles
    mlm_probability: float = 0.15
    whole_word_mask: bool = False
    always_mask: tuple[str, ...] = ()
    tokenizer: Any = field(default=None, compare=False, repr=False)

    name: ClassVar[str] = "masked-lm"
    model_class: ClassVar[str] = "AutoModelForMaskedLM"
    pipeline: ClassVar[str | None] = "fill-mask"
    needs_label: ClassVar[bool] = False
    uses_full_vocabulary: ClassVar[bool] = True
    options_type: ClassVar[type[Options]] = MaskingOptions
    metrics: ClassVar[Mapping[str, Metric]] = {
        "perplexity": Metric(
            "perplexity", (), _perplexity, higher_is_better=False, by_example=True
        ),
        "token_accuracy": Metric("token_accuracy", (), _token_accuracy, by_example=True),
    }

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Take any column of text; labels are not used."""
        chosen = read_options(MaskingOptions, options)
        return cls(
            replace(roles, label=None),
            chosen.mlm_probability,
            chosen.whole_word_mask,
            tuple(chosen.always_mask),
        )

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Match any column of text, if the user names the task."""
        return match_texts(profile, requested)

    def with_tokenizer(self, tokenizer: Any) -> Self:
        """Take the tokenizer; `ModelError` if it has no mask (M121)."""
        if tokenizer.mask_token_id is None:
            raise ModelError.of(
                "M121",
                _("its tokenizer has no mask; masked-lm needs one"),
                fix=_("Choose an encoder such as bert-base-uncased."),
            )
        return replace(self, tokenizer=tokenizer)

    def validate_row(self, row: Row) -> Finding | None:
        """Return what is wrong with the texts."""
        return validate_texts(row, self.roles)

    def is_labeled(self, row: Row) -> bool:
        """Return True: every text is its own answer."""
        return True

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labeled: bool
    ) -> Encoded:
        """Tokenize texts, with the words of tokens; unlabeled rows are to be filled in."""
        if not labeled:
            return self._to_fill(rows, tokenizer, max_length)
        return encode_windows(rows, self.roles, tokenizer, max_length)

    def _to_fill(self, rows: Sequence[Row], tokenizer: Any, max_length: int) -> Encoded:
        mask = tokenizer.mask_token
        for row in rows:
            if not any(mask in str(row.values[name]) for name in self.roles.text_columns):
                raise DataError.of(
                    "D331",
                    _('row {row} has no {mask} to fill in: "{text}"').format(
                        row=row.index, mask=mask, text=row.values[self.roles.text]
                    ),
                    fix=_("Write {mask} in place of the word to predict.").format(mask=mask),
                )
        ragged, full_lengths = encode_texts(rows, self.roles, tokenizer, max_length)
        ids = ragged["input_ids"]
        ends = ids.lengths.cumsum()
        for i in np.flatnonzero(full_lengths > max_length).tolist():
            if tokenizer.mask_token_id not in ids.flat[ends[i] - ids.lengths[i] : ends[i]]:
                raise DataError.of(
                    "D331",
                    _("row {row}: no {mask} is among the {limit} tokens that are read").format(
                        row=rows[i].index, mask=mask, limit=max_length
                    ),
                    fix=_("Shorten the text around it."),
                )
        indices = np.fromiter((row.index for row in rows), np.int64, len(rows))
        return Encoded(ragged, {}, indices, full_lengths)

    @property
    def encoding(self) -> Mapping[str, object]:
        """The columns; words are masked later."""
        return {"task": self.name, "columns": list(self.roles.text_columns)}

    def corrupt(self, batch: Batch, *, seed: int) -> Batch:
        """Choose tokens, mask or replace most of them, and make labels of what was there."""
        inputs = dict(batch.inputs)
        if (columns := inputs.pop("words", None)) is None:
            return batch
        import torch

        ids = inputs["input_ids"].numpy()
        shown, chosen = mask_tokens(
            ids,
            columns.numpy(),
            seed=seed,
            probability=self.mlm_probability,
            whole_word_mask=self.whole_word_mask,
            always=self._pieces_of_words(),
            mask_id=self.tokenizer.mask_token_id,
            vocabulary=len(self.tokenizer),
        )
        inputs["input_ids"] = torch.from_numpy(shown)
        labels = torch.from_numpy(np.where(chosen, ids, IGNORED))
        num_targets = 0 if batch.is_dummy else int(chosen.sum())
        return replace(
            batch, inputs=inputs, labels=labels, labels_are="token", num_targets=num_targets
        )

    def _pieces_of_words(self) -> set[tuple[int, ...]]:
        """Return the words that are always masked, as pieces, which may differ after a space."""
        ways = (way for word in self.always_mask for way in (word, f" {word}"))
        return {tuple(self.tokenizer.encode(way, add_special_tokens=False)) for way in ways}

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Cross entropy summed over the chosen tokens; the head computes only these."""
        import torch
        from torch.nn import functional

        if batch.labels is None:
            return self._fill(model, batch)
        where = batch.labels != IGNORED
        targets = batch.labels[where]
        logits = _logits_at(model, batch, where)
        losses = functional.cross_entropy(logits, targets, reduction="none")
        example = batch.example_of_labels()[where]
        hits = (logits.argmax(-1) == targets).float()

        def by_example(values: torch.Tensor) -> torch.Tensor:
            zeros = torch.zeros(len(batch.examples), device=example.device)
            return zeros.index_add(0, example, values.detach())

        per_example = {
            "sums": torch.stack([by_example(losses), by_example(hits)], dim=1),
            "targets": by_example(torch.ones_like(losses)),
        }
        return Outputs(losses.sum(), per_example)

    def _fill(self, model: nn.Module, batch: Batch) -> Outputs:
        """Return the most likely words for each mask: ids and probabilities, shape (B, 8, 5)."""
        where = batch.inputs["input_ids"] == self.tokenizer.mask_token_id
        best = _logits_at(model, batch, where).softmax(-1).topk(_ANSWERS)
        row, number = where.nonzero()[:, 0], where.cumsum(dim=1)[where] - 1
        shown = number < _MASKS
        place = (row[shown], number[shown])
        ids = best.indices.new_full((len(where), _MASKS, _ANSWERS), -1)
        probabilities = best.values.new_zeros((len(where), _MASKS, _ANSWERS))
        ids[place], probabilities[place] = best.indices[shown], best.values[shown]
        return Outputs(None, {"ids": ids, "probabilities": probabilities})

    @property
    def output(self) -> FreeText:
        """The words to fill in."""
        return FreeText()

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """Perplexity, and how often the most likely token was the right one."""
        return ("perplexity", "token_accuracy")

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        """Return the sums over all windows of a text."""
        if examples.num_rows == len(examples):
            return predictions
        starts = examples.row_starts
        return {name: np.add.reduceat(values, starts) for name, values in predictions.items()}

    def score(
        self,
        metrics: Sequence[Metric],
        predictions: Predictions,
        truth: NDArray[Any],
        loss: float | None,
    ) -> Scores:
        """Score all chosen tokens of all texts together."""
        return compute(metrics, predictions["sums"], predictions["targets"], loss=loss)

    def decode(self, predictions: Predictions, rows: Sequence[Row]) -> list[dict[str, object]]:
        """Return the words to fill in for texts with masks, the perplexity of others."""
        if "sums" in predictions:
            pairs = zip(predictions["sums"][:, 0], predictions["targets"], strict=True)
            values = [math.exp(min(float(nll / count), 700.0)) for nll, count in pairs]
            return [
                {"label": "perplexity", "score": value, "scores": {"perplexity": value}}
                for value in values
            ]
        return [
            self._answer(ids.astype(np.int64), probabilities)
            for ids, probabilities in zip(
                predictions["ids"], predictions["probabilities"], strict=True
            )
        ]

    def _answer(self, ids: NDArray[np.int64], probabilities: NDArray[Any]) -> dict[str, object]:
        masks = [
            {
                self.tokenizer.decode([token]).strip(): float(chance)
                for token, chance in zip(row, chance_row, strict=True)
            }
            for row, chance_row in zip(ids.tolist(), probabilities.tolist(), strict=True)
            if row[0] >= 0
        ]
        best = [next(iter(mask)) for mask in masks]
        return {
            "label": best[0] if len(best) == 1 else best,
            "score": float(probabilities[0, 0]),
            "scores": masks[0] if len(masks) == 1 else masks,
        }

    @property
    def script_parts(self) -> ScriptParts:
        """The masking of `corrupt` in numpy."""
        return masked_lm_parts(
            mlm_probability=self.mlm_probability,
            whole_word_mask=self.whole_word_mask,
            always_mask=self.always_mask,
            is_pair=self.roles.text_pair is not None,
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """Return the task of a plain model with a language head."""
        names = config.get("architectures")
        is_one = isinstance(names, list) and any(
            "MaskedLM" in str(name) or "ForPreTraining" in str(name) for name in names
        )
        return cls(replace(roles, label=None)) if is_one else None

    @property
    def example(self) -> str:
        """A text with its mask."""
        mask = self.tokenizer.mask_token if self.tokenizer is not None else "[MASK]"
        return json.dumps(f"… {mask} …", ensure_ascii=False)

    def summary(self) -> list[str]:
        """Return what is masked."""
        words = _("whole words") if self.whole_word_mask else _("tokens")
        return [
            _("{share:.0%} of the {unit} are predicted").format(
                share=self.mlm_probability, unit=words
            )
        ]


def _logits_at(model: nn.Module, batch: Batch, where: torch.Tensor) -> torch.Tensor:
    """Return logits for some tokens only, shape (N, V): the head is by far the widest layer."""
    with _only_at(model, where):
        logits: torch.Tensor = model(**batch.inputs).logits
    return (logits[where] if logits.ndim == 3 else logits).float()


@contextmanager
def _only_at(model: nn.Module, where: torch.Tensor) -> Iterator[None]:
    inner: Any = getattr(model, "module", model)  # without the wrapper of several processes
    head = inner.get_output_embeddings()
    if head is None:
        yield
        return
    handle = head.register_forward_pre_hook(lambda _head, args: (args[0][where], *args[1:]))
    try:
        yield
    finally:
        handle.remove()
