"""What most tasks share, as a base class: no random changes, no named labels, no baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Batch
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.recipe import Options
from tunesmith.tasks.protocol import Predictions
from tunesmith.tasks.script_parts import ScriptParts

__all__ = ["TaskDefaults"]


class TaskDefaults:
    """The members of `Task` that a task may leave as they are."""

    roles: Roles
    needs_label: ClassVar[bool] = True
    uses_full_vocabulary: ClassVar[bool] = False
    options_type: ClassVar[type[Options]] = Options
    separator: str | None = None

    def with_tokenizer(self, tokenizer: Any) -> Self:
        """Return the task itself: its answers need no tokenizer."""
        return self

    def texts_of(self, row: Row) -> tuple[str, ...]:
        """Return the text of a row, or both of a pair."""
        return tuple(str(row.values[name]) for name in self.roles.text_columns)

    @property
    def has_named_labels(self) -> bool:
        """False: labels have no names."""
        return False

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Nothing: labels have no names."""
        return {}

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """Return nothing: labels have no names."""
        return ()

    def label_values(self, names: Sequence[str]) -> Mapping[str, object]:
        """Return the label column with the only label, nothing without such a column."""
        return dict(zip(self.roles.label_columns, names, strict=True))

    def parse_label(self, text: str) -> tuple[str, ...]:
        """Return the text as the only label."""
        return (text,)

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        """Return zeros: the text itself is the answer."""
        return np.zeros(len(rows))

    def corrupt(self, batch: Batch, *, seed: int) -> Batch:
        """Return the batch itself: nothing is random."""
        return batch

    def predictions_from_scores(self, scores: Mapping[str, NDArray[np.float64]]) -> Predictions:
        """Return the scores themselves."""
        return scores

    def baselines(self, rows: Sequence[Row], others: Sequence[Row]) -> Mapping[str, Predictions]:
        """Return nothing: no simple method applies."""
        return {}

    @property
    def script_parts(self) -> ScriptParts | None:
        """None: a script cannot reproduce the task."""
        return None
