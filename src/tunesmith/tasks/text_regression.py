"""A number for each text or pair of texts, such as a similarity or a rating."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles
from tunesmith.data.findings import Finding
from tunesmith.data.profile import Profile, as_number, as_text
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.concrete_kinds import Number
from tunesmith.metrics.scores import Metric, scoring
from tunesmith.recipe import DataSettings, Options, read_options
from tunesmith.tasks.labeled_text import LabeledTextTask, has_sequence_head
from tunesmith.tasks.labeled_text_scripts import regression_parts
from tunesmith.tasks.long_texts.options import LongTextOptions
from tunesmith.tasks.matching import Match, match_label
from tunesmith.tasks.outputs import Outputs
from tunesmith.tasks.script_parts import ScriptParts
from tunesmith.text import shortened

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.data.batches import Batch

__all__ = ["TextRegression"]


@dataclass(frozen=True)
class TextRegression(LabeledTextTask):
    """A number per text.

    Attributes:
        lowest: the smallest target seen in training.
        highest: the largest.
    """

    lowest: float | None = None
    highest: float | None = None

    name: ClassVar[str] = "text-regression"
    metrics: ClassVar[Mapping[str, Metric]] = scoring(Number.name)
    options_type: ClassVar[type[Options]] = LongTextOptions
    problem_type: ClassVar[str] = "regression"

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Take the columns."""
        chosen = read_options(LongTextOptions, options)
        return cls(roles, **asdict(chosen.long_texts))

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Match a column of numbers, with fractions or too many of them to be classes."""
        return match_label(
            profile,
            requested,
            names=("score", "rating", "stars", "similarity", "评分", "分数", "得分", "相似度"),
            fits=lambda column: column.is_continuous and not requested.label_separator,
            reason=lambda column: _("column {column} holds numbers ({count} different)").format(
                column=column.name, count=column.distinct
            ),
        )

    def stratum(self, row: Row) -> float:
        """The target itself; it is binned."""
        value = self._target(row)
        return 0.0 if value is None else value

    def fit(self, rows: Iterable[Row]) -> Self:
        """Learn the range; raises `DataError` if there is none."""
        lowest, highest, total = np.inf, -np.inf, 0
        for row in rows:
            value = self._target(row)
            if value is not None:
                total += 1
                lowest, highest = min(lowest, value), max(highest, value)
        if total and lowest == highest:
            raise DataError.of(
                "D204",
                _("all {count} targets are {value}; nothing to learn").format(
                    count=total, value=lowest
                ),
                fix=_("Name another column with --label."),
            )
        return replace(self, lowest=float(lowest), highest=float(highest))

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Squared error summed over the texts of the batch."""
        from torch.nn import functional

        values = self._logits(model, batch).squeeze(-1)
        loss = None
        if batch.labels is not None:
            loss = functional.mse_loss(values, batch.labels, reduction="sum")
        return Outputs(loss, {"logits": values.unsqueeze(-1)})

    @property
    def output(self) -> Number:
        """A number, with the column of the target."""
        return Number((str(self.roles.label),))

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """Both correlations and the squared error."""
        return ("pearson", "spearman", "mean_squared_error")

    def summary(self) -> list[str]:
        """The range of the target."""
        return [
            _("targets from {lowest:g} to {highest:g}").format(
                lowest=self.lowest, highest=self.highest
            )
        ]

    @property
    def script_parts(self) -> ScriptParts:
        """Squared error."""
        return regression_parts(self, self.long_texts)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """A plain model with a single output."""
        names = config.get("id2label") or {}
        if config.get("problem_type") != cls.problem_type and len(names) != 1:
            return None
        if not has_sequence_head(config):
            return None
        return cls(replace(roles, label=str(next(iter(names.values()), "score"))))

    def _target(self, row: Row) -> float | None:
        return as_number(row.values.get(str(self.roles.label)))

    def _validate_label(self, row: Row) -> Finding | None:
        value = row.values.get(str(self.roles.label))
        number = as_number(value)
        if number is not None and abs(number) > float(np.finfo(np.float32).max):
            return Finding(
                "D210",
                _("the target {value} is too large to train with").format(
                    value=shortened(str(value))
                ),
                fix=_("Scale the targets, such as by a logarithm, or remove the row."),
            )
        if value is None or value == "" or number is not None:
            return None
        text = as_text(value)
        if text.strip().lower().lstrip("+-") in ("inf", "infinity", "nan"):
            return Finding(
                "D210",
                _("the target is {value}").format(value=value),
                fix=_("Complete or remove the row."),
            )
        hint = _("Write a number, or remove the row.")
        if "," in text and as_number(text.replace(",", "")) is not None:
            hint = _("A thousands separator? Write plain numbers.")
        return Finding(
            "D211", _('"{value}" is not a number').format(value=shortened(text)), fix=hint
        )

    def targets(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """The numbers."""
        return np.array([self._target(row) for row in rows], dtype=np.float64)
