"""One class for each text or pair of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.columns import Roles
from tunesmith.data.findings import Finding
from tunesmith.data.label_lists import recognized_separator, separator_name
from tunesmith.data.labels import label_finding, label_text
from tunesmith.data.profile import Profile, as_number
from tunesmith.data.rows import Column, Row
from tunesmith.errors import DataError, Place, Problem, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.metrics.concrete_kinds import SingleClass
from tunesmith.metrics.scores import Metric, scoring
from tunesmith.recipe import DataSettings, Options, read_options
from tunesmith.tasks.class_weights import ImbalanceOptions, LossWeights
from tunesmith.tasks.labeled_text import (
    LabeledTextTask,
    has_sequence_head,
    names_of_outputs,
)
from tunesmith.tasks.labeled_text_scripts import classification_parts
from tunesmith.tasks.long_texts.options import LongTextOptions
from tunesmith.tasks.matching import Match, match_label
from tunesmith.tasks.outputs import Outputs
from tunesmith.tasks.script_parts import ScriptParts
from tunesmith.text import did_you_mean, quoted, shell_quoted, shortened

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.data.batches import Batch

__all__ = ["TextClassification", "order_labels"]

_NAMES = (
    "category", "intent", "sentiment", "emotion", "topic", "tag", "tags", "queue", "score",
    "rating", "stars", "polarity", "类型", "情感", "情绪", "意图", "主题", "话题", "评分", "分数",
)  # fmt: skip
"""Names of columns that hold classes, or numbers few enough to be classes."""


class ClassificationOptions(LongTextOptions, ImbalanceOptions):
    """Options of text-classification."""


@dataclass(frozen=True)
class TextClassification(LabeledTextTask):
    """One class per text.

    Attributes:
        labels: class names, index 0 first; empty until fitted unless the recipe names them.
        positive_label: the class that binary scores count; None for the last.
        class_names: the names behind the integers of a `ClassLabel` column.
        counts: rows per class of the training source, validation drawn from it included.
        loss_weights: how much each class or label counts while training.
        sees_sample: whether it is fitted to a sample, which may lack a class of the recipe.
    """

    labels: tuple[str, ...] = ()
    positive_label: str | None = None
    class_names: tuple[str, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)
    loss_weights: LossWeights = field(default=LossWeights(), compare=False)
    sees_sample: bool = field(default=False, compare=False)

    name: ClassVar[str] = "text-classification"
    metrics: ClassVar[Mapping[str, Metric]] = scoring(SingleClass.name)
    options_type: ClassVar[type[Options]] = ClassificationOptions
    problem_type: ClassVar[str] = "single_label_classification"

    @classmethod
    def make(
        cls,
        roles: Roles,
        settings: DataSettings,
        columns: Sequence[Column],
        options: Mapping[str, object],
    ) -> Self:
        """Take the labels of the recipe, else those of the column; else `fit` finds them."""
        chosen = read_options(ClassificationOptions, options)
        names = next((c.class_names for c in columns if c.name == roles.label), None)
        labels = settings.labels or names or ()
        return cls(
            roles,
            labels,
            settings.positive_label,
            names,
            loss_weights=LossWeights.of(chosen),
            sees_sample=settings.streaming is True,
            **asdict(chosen.long_texts),
        )

    @classmethod
    def matches(cls, profile: Profile, requested: DataSettings) -> Match | None:
        """Match a column of classes: neither lists nor continuous numbers."""
        match = match_label(
            profile,
            requested,
            names=_NAMES,
            fits=lambda column: (
                not (column.num_lists or column.is_continuous or requested.label_separator)
            ),
            reason=lambda column: _("{count} classes in column {column}").format(
                count=column.distinct, column=column.name
            ),
        )
        if match and match.confidence and isinstance(match.roles.label, str):
            return replace(match, problem=_several_labels(profile, match.roles.label, requested))
        return match

    def stratum(self, row: Row) -> str | None:
        """Return the class."""
        return self._target(row)

    def fit(self, rows: Iterable[Row]) -> Self:
        """Learn the classes and their counts; `DataError` if there are too few or too many."""
        counts: Counter[str] = Counter()
        for row in rows:
            if (target := self._target(row)) is not None:
                counts[target] += 1
        if problems := _unlearnable(counts, self.roles.label, is_named=bool(self.labels)):
            raise DataError(problems)
        labels = self.labels or order_labels(counts)
        if self.labels and not self.class_names:
            # names from the recipe: a class without a row is a typo
            unseen = [label for label in labels if label not in counts]
            if unseen and not self.sees_sample:
                raise RecipeError(_unseen(unseen, counts))
        in_order = {name: counts[name] for name in labels}
        loss_weights = self.loss_weights.for_classes(in_order)
        fitted = replace(self, labels=labels, counts=in_order, loss_weights=loss_weights)
        if self.positive_label is not None and self.positive_label not in labels:
            raise RecipeError(_no_positive(self.positive_label, labels))
        return fitted

    def forward(self, model: nn.Module, batch: Batch) -> Outputs:
        """Cross entropy summed over the texts of the batch, weighted while training."""
        from torch.nn import functional

        logits = self._logits(model, batch)
        loss = None
        if batch.labels is not None:
            loss = self.loss_weights.loss_sum(functional.cross_entropy, logits, batch.labels)
        return Outputs(loss, {"logits": logits})

    @property
    def output(self) -> SingleClass:
        """One of the classes."""
        return SingleClass(self.labels, self.positive_label)

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """F1 and accuracy; with more than two classes the macro average."""
        return ("f1", "accuracy") if len(self.labels) == 2 else ("f1_macro", "accuracy")

    def summary(self) -> list[str]:
        """Return the classes with their training rows, and which one is positive."""
        counts = ", ".join(f"{name} {self.counts.get(name, 0)}" for name in self.labels[:20])
        if len(self.labels) > 20:
            counts += " …"
        lines = [_("{count} classes: {counts}").format(count=len(self.labels), counts=counts)]
        if len(self.labels) == 2:
            lines.append(
                _("binary F1 counts {label}").format(label=self.labels[self.output.positive])
            )
        return lines + self.loss_weights.summary(self.labels)

    @property
    def script_parts(self) -> ScriptParts:
        """Cross entropy."""
        return classification_parts(self, self.output.positive, self.loss_weights, self.long_texts)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], roles: Roles) -> Self | None:
        """Return the task of a plain model with a sequence head and several exclusive classes."""
        if not has_sequence_head(config):
            return None
        names = names_of_outputs(config)
        if len(names) < 2 or config.get("problem_type") not in (None, cls.problem_type):
            return None
        return cls(roles, names)

    def _target(self, row: Row) -> str | None:
        return label_text(row.values.get(str(self.roles.label)), self.class_names)

    def _validate_label(self, row: Row) -> Finding | None:
        if finding := label_finding(row.values.get(str(self.roles.label)), self.class_names):
            return finding
        target = self._target(row)
        if target is not None and self.labels and target not in self._index_of:
            return self._unknown_labels.finding(target)
        return None

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Training rows per class."""
        return self.counts

    def targets(self, rows: Sequence[Row]) -> NDArray[np.int64]:
        """Return the number of each row's class."""
        index = self._index_of
        return np.fromiter((index[str(self._target(row))] for row in rows), np.int64, len(rows))


def order_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels sorted; as numbers if all are numbers, so that "10" comes after "9"."""
    names = list(labels)
    numbers = {name: as_number(name) for name in names}
    if all(number is not None for number in numbers.values()):
        return tuple(sorted(names, key=lambda name: (numbers[name], name)))
    return tuple(sorted(names))


def _unlearnable(counts: Counter[str], column: object, *, is_named: bool) -> list[Problem]:
    """Return why nothing sensible can be learned from these labels."""
    total = sum(counts.values())
    if len(counts) == 1:
        (only,) = counts
        return [
            Problem(
                "D204",
                _('all {count} rows are "{label}"; nothing to learn').format(
                    count=total, label=only
                ),
                fix=_("Name another column with --label, or add rows of another class."),
            )
        ]
    if len(counts) > 10 and len(counts) * 2 > total:
        return [
            Problem(
                "D205",
                _('{classes} classes in {count} rows; is "{column}" an id or a text?').format(
                    classes=len(counts), count=total, column=column
                ),
                fix=_(
                    "Name the label column with --label; for numbers use --task text-regression."
                ),
            )
        ]
    numbers = {as_number(name) for name in counts}
    if not is_named and "-1" in counts and len(counts) > 2 and None not in numbers:
        return [
            Problem(
                "D213",
                _(
                    "{count} rows are labeled -1, which marks a missing label in many data sets"
                ).format(count=counts["-1"]),
                fix=_(
                    "Remove them; or, if -1 is a class, say so: --set data.labels=[{names}]"
                ).format(names=", ".join(order_labels(counts))),
            )
        ]
    return []


def _unseen(unseen: list[str], counts: Counter[str]) -> Problem:
    return Problem(
        "R112",
        _("no training row has {names}").format(names=quoted(unseen)),
        Place("data.labels"),
        fix=_("Labels in the data: {names}.").format(names=quoted(order_labels(counts))),
    )


def _no_positive(name: str, labels: Sequence[str]) -> Problem:
    known = _("Known classes: {names}.").format(names=quoted(labels))
    fix = did_you_mean(name, labels, otherwise=known)
    return Problem(
        "R112",
        _('no class is called "{name}"').format(name=name),
        Place("data.positive_label"),
        fix=fix,
    )


def _several_labels(profile: Profile, label: str, requested: DataSettings) -> Problem | None:
    """Return the problem of fields that hold several labels each (D218)."""
    column = profile.column(label)
    if column is None or requested.labels or not (several := recognized_separator(column.counts)):
        return None
    return Problem(
        "D218",
        _('"{column}" seems to hold several labels in one field, such as {example}').format(
            column=label, example=quoted([shortened(several.example)])
        ),
        Place(profile.source.name),
        evidence=(
            _("{rows} of the first {total} rows have several of {count} labels").format(
                rows=several.rows, total=profile.num_rows, count=several.labels
            ),
        ),
        fix=_(
            "For several labels per row: --task multi-label-classification --label-separator "
            "{separator} (a row without a label then has none of them). If each field is one "
            "class: --task text-classification."
        ).format(separator=shell_quoted(separator_name(several.sign))),
    )
