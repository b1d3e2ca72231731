"""The seam: what a task is to the rest of the house, and nothing more.

A task knows columns, heads, labels, losses, decoding and scores; it knows nothing of files, steps
or devices. Adding one adds a file to this folder and a line to its `__init__`, and touches nothing
else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.findings import Finding
from tunesmith.data.profile import ColumnProfile
from tunesmith.data.rows import Column, Row
from tunesmith.data.token_cache import Encoded
from tunesmith.metrics.scores import Metric, Scores
from tunesmith.models import LoadedModel, ModelFiles
from tunesmith.recipe import DataSettings, Options

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["EVALUATION_SEED", "Outputs", "Predictions", "Task"]

EVALUATION_SEED = 0
"""The seed of every evaluation: a score must not hang on when it was taken."""

Predictions = Mapping[str, NDArray[Any]]
"""What is kept of each evaluated example, by name; the first dimension counts examples."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What one forward pass gives.

    Attributes:
        loss_sum: the loss summed over the batch's targets, a scalar; None without labels.
        kept: what evaluation keeps per example, by name; the first dimension is that of the batch.
            Nothing of it may hang on padding.
    """

    loss_sum: torch.Tensor | None
    kept: Mapping[str, torch.Tensor]


class Task(Protocol):
    """One thing that can be learnt. Frozen: `fit` returns a task that knows its labels."""

    name: str
    pipeline: str
    """The pipeline of transformers that runs the finished model."""
    needs_label: bool
    """Whether rows carry the answer in a column; a language model learns from the text alone."""
    uses_full_vocabulary: bool
    """Whether `draw` may show the model tokens that the data does not hold."""
    options_type: type[Options]
    """What this task alone can be told, in the recipe's section `options`."""
    metrics: Mapping[str, Metric]
    """The scores that fit, by name."""
    roles: Roles

    # made from what was asked

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """The task over these columns, before it has seen a row.

        Raises:
            RecipeError: an option that does not exist or fit (R101, R104); its place is the key.
        """
        ...

    @classmethod
    def suits(cls, label: ColumnProfile) -> str | None:
        """Why a label column looks like one of this task; None if it does not."""
        ...

    def bind(self, tokenizer: Any) -> Self:
        """The task that knows the tokenizer, and with it the words of its answers.

        Raises:
            ModelError: the tokenizer lacks what the task needs (M121).
        """
        ...

    # on rows

    def examine(self, row: Row) -> Finding | None:
        """What is wrong with a row, None if nothing. A row without a label is fine here."""
        ...

    def is_labelled(self, row: Row) -> bool:
        """Whether a row says what the answer is."""
        ...

    def stratum(self, row: Row) -> Hashable:
        """What a drawn share keeps in proportion; a float is binned."""
        ...

    def fit(self, rows: Iterable[Row]) -> Self:
        """The task that has seen the training rows and knows its labels.

        Raises:
            DataError: nothing can be learnt from them.
            RecipeError: a setting that does not fit them; its place is the key.
        """
        ...

    def encode(
        self, rows: Sequence[Row], tokenizer: Any, max_length: int, *, labelled: bool
    ) -> Encoded:
        """Rows as numbers; labels are left out for a source that has none."""
        ...

    @property
    def encoding(self) -> Mapping[str, object]:
        """What the numbers depend on besides rows, tokenizer and length."""
        ...

    # on tensors

    def build(
        self,
        files: ModelFiles,
        *,
        seed: int,
        dropout: float | None,
        allow_missing: Sequence[str] = (),
    ) -> LoadedModel:
        """The pretrained model with a head for this task."""
        ...

    def draw(self, batch: Batch, *, seed: int) -> Batch:
        """The batch with what chance decides about it, such as which words are hidden.

        A pure function of seed and content: however rows are cut into batches, and whoever computes
        them, each comes out the same.
        """
        ...

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """One pass: the summed loss, and what evaluation keeps."""
        ...

    # on predictions

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """The field's own scores for this task; the first chooses the best model."""
        ...

    def score(
        self,
        metrics: Sequence[Metric],
        predictions: Predictions,
        examples: Examples,
        loss: float | None,
    ) -> Scores:
        """The scores of predictions for labelled examples, in their order."""
        ...

    def decode(self, predictions: Predictions) -> list[dict[str, object]]:
        """One answer per example in words: at least "label", "score" and "scores"."""
        ...

    def baselines(self, rows: Sequence[Row], others: Sequence[Row]) -> Mapping[str, Predictions]:
        """What simple means would answer for other rows; none where nothing simple can.

        Args:
            rows: labelled training rows.
            others: the rows to answer.

        Returns:
            Predictions by the names of `tunesmith.metrics.baselines`, scored like the model's.
        """
        ...

    # kept with the model

    def as_json(self) -> dict[str, object]:
        """All that is needed to make the fitted task again."""
        ...

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """The fitted task that `as_json` described."""
        ...

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """The task that a plain Hugging Face model was trained for, None if it is another."""
        ...

    @property
    def usage(self) -> str:
        """How to call the pipeline of the finished model, one expression; the pipeline is `use`."""
        ...

    def summary(self) -> list[str]:
        """What was learnt from the rows, a line each, for people: classes with counts."""
        ...
