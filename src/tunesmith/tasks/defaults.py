"""What most tasks share, as a base class: no random changes, no named labels, no baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.batches import Batch, Examples
from tunesmith.data.columns import Roles
from tunesmith.data.rows import Row
from tunesmith.recipe import Options
from tunesmith.tasks.protocol import Predictions

__all__ = ["TaskDefaults"]


class TaskDefaults:
    """The members of `Task` that a task may leave as they are."""

    roles: Roles
    needs_label: ClassVar[bool] = True
    uses_full_vocabulary: ClassVar[bool] = False
    options_type: ClassVar[type[Options]] = Options
    baseline_names: ClassVar[tuple[str, ...]] = ()

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

    def truth(self, examples: Examples, rows: Iterable[Row]) -> NDArray[Any]:
        """Return the targets of the rows, which are only read if they have labels."""
        return self.targets(list(rows)) if self.needs_label else np.zeros(examples.num_rows)

    def join(self, predictions: Predictions, examples: Examples) -> Predictions:
        """Return the predictions themselves: each row has one example."""
        return predictions

    def encode_answers(self, answers: Sequence[Mapping[str, Any]]) -> Predictions | None:
        """Return None: answers do not tell what they were made from."""
        return None

    def constant(self, rows: Sequence[Row]) -> Sequence[float] | None:
        """Return None: no answer fits several rows."""
        return None

    def repeat(self, constant: Sequence[float], count: int) -> Predictions:
        """Return nothing: no answer fits several rows."""
        return {}

    def baselines(self, rows: Sequence[Row], others: Sequence[Row]) -> Mapping[str, Predictions]:
        """Return nothing: no simple method applies."""
        return {}
