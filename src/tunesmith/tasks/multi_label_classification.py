"""Any number of labels for each text: each label is its own yes or no."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles, Suggestion
from tunesmith.data.findings import Finding
from tunesmith.data.label_lists import (
    JSON,
    parsed_list,
    recognized_separator,
    separator_name,
    split,
)
from tunesmith.data.labels import as_python, is_list, is_missing, label_text, labels_finding
from tunesmith.data.profile import Profile
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import ngettext
from tunesmith.metrics.concrete_kinds import NO_LABEL, LabelSet
from tunesmith.metrics.scores import Metric, scoring
from tunesmith.recipe import DataSettings, Options, read_options
from tunesmith.tasks.class_weights import ImbalanceOptions, LossWeights
from tunesmith.tasks.labeled_text import (
    LabeledTextTask,
    has_sequence_head,
    names_of_outputs,
)
from tunesmith.tasks.labeled_text_scripts import multi_label_parts
from tunesmith.tasks.long_texts.options import SeveralLabelsOptions
from tunesmith.tasks.matching import Confidence, Match, match_label
from tunesmith.tasks.outputs import Outputs
from tunesmith.tasks.script_parts import ScriptParts
from tunesmith.tasks.text_classification import order_labels
from tunesmith.text import quoted, shortened

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.data.batches import Batch

__all__ = ["MultiLabelClassification"]

_YES = ("1", "true", "yes")
_NO = ("0", "false", "no", "")


class MultiLabelOptions(SeveralLabelsOptions, ImbalanceOptions):
    """Options of multi-label-classification."""


@dataclass(frozen=True)
class MultiLabelClassification(LabeledTextTask):
    """None, one or several labels per text.

    Labels come as a list, as text with a separator, or as one 0/1 column each.

    Attributes:
        labels: names, index 0 first; empty until fitted unless the recipe names them.
        separator: what separates the labels of one field.
        class_names: the names behind the integers of a list of `ClassLabel`.
        counts: rows per label of the training source, validation drawn from it included.
        num_empty: training rows without any label.
        loss_weights: how much each class or label counts while training.
    """

    labels: tuple[str, ...] = ()
    separator: str | None = None
    class_names: tuple[str, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)
    num_empty: int = field(default=0, compare=False)
    loss_weights: LossWeights = field(default=LossWeights(), compare=False)

    name: ClassVar[str] = "multi-label-classification"
    metrics: ClassVar[Mapping[str, Metric]] = scoring(LabelSet.name)
    options_type: ClassVar[type[Options]] = MultiLabelOptions
    problem_type: ClassVar[str] = "multi_label_classification"

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Take the names of 0/1 columns as labels, else those of recipe or column."""
        chosen = read_options(MultiLabelOptions, options)
        more: Any = {
            "loss_weights": LossWeights.of(chosen),
            **asdict(chosen.long_texts),
        }
        names = next((c.class_names for c in columns if c.name == roles.label), None)
        if isinstance(roles.label, tuple):
            return cls(roles, roles.label, **more)
        labels = settings.labels or names or ()
        return cls(roles, labels, settings.label_separator, names, **more)

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Match a column of lists, or what the user named as several labels."""
        match = match_label(
            profile,
            requested,
            names=("tags", "topics", "categories", "genres", "emotions", "主题", "类型", "话题"),
            fits=lambda column: bool(column.num_lists or requested.label_separator),
            reason=lambda column: (
                _("several labels per row")
                if requested.label_separator
                else _("column {column} holds lists").format(column=column.name)
            ),
        )
        if match is None or not isinstance(match.roles.label, str):
            several = _("several labels per row")
            return match and replace(match, reason=several, confidence=Confidence.REQUESTED)
        column = profile.column(match.roles.label)
        if requested.label_separator or column is None or column.num_lists:
            return match
        if separator := recognized_separator(column.counts, is_requested=True):
            example = _("such as {example}").format(example=quoted([shortened(separator.example)]))
            hint = Suggestion(separator.sign, example)
            return replace(match, suggested={**match.suggested, "label_separator": hint})
        return match

    def stratum(self, row: Row) -> tuple[str, ...]:
        """The set of labels."""
        return tuple(sorted(self._target(row) or ()))

    def fit(self, rows: Iterable[Row]) -> Self:
        """Learn the labels and their counts; raises `DataError` if there are none."""
        counts: Counter[str] = Counter()
        total = num_empty = 0
        for row in rows:
            names = self._target(row) or ()
            total += 1
            num_empty += not names
            counts.update(names)
        if not counts:
            raise DataError.of(
                "D204",
                _("none of {count} rows has a label; nothing to learn").format(count=total),
                fix=_("Name another column with --label."),
            )
        labels = self.labels or order_labels(counts)
        in_order = {name: counts[name] for name in labels}
        loss_weights = self.loss_weights.for_labels(in_order, total)
        return replace(
            self, labels=labels, counts=in_order, num_empty=num_empty, loss_weights=loss_weights
        )

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Binary cross entropy summed over texts and labels, weighted while training."""
        from torch.nn import functional

        logits = self._logits(model, batch)
        loss = None
        if batch.labels is not None:
            criterion = functional.binary_cross_entropy_with_logits
            loss = self.loss_weights.loss_sum(criterion, logits, batch.labels)
        return Outputs(loss, {"logits": logits})

    @property
    def output(self) -> LabelSet:
        """Any of the labels."""
        if self.separator in (None, JSON):
            return LabelSet(self.labels)
        return LabelSet(self.labels, str(self.separator), str(self.separator))

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """Micro and macro F1, and the fraction of texts with exactly the right labels."""
        return ("f1_micro", "f1_macro", "accuracy")

    def summary(self) -> list[str]:
        """The labels with their training rows."""
        counts = ", ".join(f"{name} {self.counts.get(name, 0)}" for name in self.labels[:20])
        number = len(self.labels)
        line = ngettext("{count} label: {counts}", "{count} labels: {counts}", number)
        lines = [line.format(count=number, counts=counts)]
        if self.separator:
            lines.append(
                _("several labels in one field: separated by {separator}").format(
                    separator=quoted([separator_name(self.separator)])
                )
                if self.separator != JSON
                else _("several labels in one field: written as a list")
            )
        if self.num_empty:
            lines.append(
                ngettext(
                    "{count} row has no label: none of the labels applies",
                    "{count} rows have no label: none of the labels applies",
                    self.num_empty,
                ).format(count=self.num_empty)
            )
        return lines + self.loss_weights.summary(self.labels)

    @property
    def script_parts(self) -> ScriptParts:
        """Binary cross entropy."""
        return multi_label_parts(self, self.separator, self.loss_weights, self.long_texts)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """A plain model that says it gives several labels."""
        if config.get("problem_type") != cls.problem_type or not has_sequence_head(config):
            return None
        return cls(roles, names_of_outputs(config))

    def _target(self, row: Row) -> tuple[str, ...] | None:
        if isinstance(self.roles.label, tuple):
            values = {name: row.values.get(name) for name in self.roles.label}
            if all(value is None for value in values.values()):
                return None
            return tuple(name for name, value in values.items() if _as_flag(value))
        values_of_row = self._values(row)
        if values_of_row is None:
            return None
        names = (label_text(value, self.class_names) for value in values_of_row)
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def _values(self, row: Row) -> Sequence[object] | None:
        """The labels as the row writes them; None where it says nothing of them."""
        value = as_python(row.values.get(str(self.roles.label)))
        if isinstance(value, str):
            if self.separator == JSON:
                return () if not value.strip() else parsed_list(value)
            return split(value, self.separator) if self.separator else [value] if value else ()
        if is_list(value):
            return list(value)
        return None if is_missing(value) else [value]

    def _validate_label(self, row: Row) -> Finding | None:
        if isinstance(self.roles.label, tuple):
            return self._validate_flags(row)
        values = self._values(row)
        if values is None:
            value = row.values.get(str(self.roles.label))
            return _no_list(str(value)) if isinstance(value, str) else None
        if finding := labels_finding(values, self.class_names):
            return finding
        for name in self._target(row) or ():
            if self.labels and name not in self._index_of:
                return self._unknown_labels.finding(name)
        return None

    def _validate_flags(self, row: Row) -> Finding | None:
        for name in self.roles.label_columns:
            value = row.values.get(name)
            if value is not None and _as_flag(value) is None:
                shown = shortened(label_text(value) or type(value).__name__)
                return Finding(
                    "D217",
                    _('"{column}" is "{value}", neither 0 nor 1').format(column=name, value=shown),
                    fix=_("Write 1 where the row has the label, and 0 where it has not."),
                )
        return None

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Training rows per label."""
        return self.counts

    def targets(self, rows: Sequence[Row]) -> NDArray[np.uint8]:
        """For each row and label whether the row has it."""
        index = self._index_of
        labels = np.zeros((len(rows), len(self.labels)), dtype=np.uint8)
        for i, row in enumerate(rows):
            for name in self._target(row) or ():
                labels[i, index[name]] = 1
        return labels

    def parse_label(self, text: str) -> tuple[str, ...]:
        """The names between the separators."""
        names = tuple(split(text, self.output.separator))
        return () if names == (NO_LABEL,) else names

    def label_values(self, names: Sequence[str]) -> Mapping[str, object]:
        """Return the labels as the columns have them: 0/1 columns, one text, or a list."""
        if isinstance(self.roles.label, tuple):
            return {name: "1" if name in names else "0" for name in self.roles.label}
        column = str(self.roles.label)
        if self.separator in (None, JSON):
            return {column: list(names)}
        return {column: self.output.separator.join(names)}


def _as_flag(value: object) -> bool | None:
    """0/1 however it is written; None for anything else."""
    text = (label_text(value) or "").strip().lower().removesuffix(".0")
    if not text and not is_missing(as_python(value)) and not isinstance(value, str):
        return None
    if text in _YES:
        return True
    return False if text in _NO else None


def _no_list(text: str) -> Finding:
    return Finding(
        "D217",
        _("not a list of labels: {text}").format(text=shortened(text)),
        fix=_("Write a list such as {example}, or name what separates the labels.").format(
            example='["a", "b"]'
        ),
    )
