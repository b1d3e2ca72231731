"""How a task reads as plain code: what `eject` needs to write its script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from tunesmith.data.rows import Row

__all__ = [
    "ScriptCode",
    "ScriptParts",
    "ScriptTargets",
    "TargetExpression",
    "sklearn_metrics",
]

_SKLEARN = {"f1": "f1_score", "precision": "precision_score", "recall": "recall_score"}
_METRICS = {
    "accuracy": "accuracy_score(truth, predicted)",
    "matthews_correlation": "matthews_corrcoef(truth, predicted)",
    "pearson": "pearsonr(predicted, truth).statistic",
    "spearman": "spearmanr(predicted, truth).statistic",
    "mean_squared_error": "mean_squared_error(truth, predicted)",
}


@dataclass(frozen=True, slots=True)
class TargetExpression:
    """The labels of a batch `rows` as targets; LABEL and the task's constants are defined.

    Attributes:
        each: code of the target of one row, or of all rows.
        loop: `for ... in ...` over the rows; empty if `each` already covers all of them.
        target_of: what the code computes from the label of a row, or from the tuple of its labels
            if there are several columns.
        value_type: the type that a label must have; None for any.
    """

    each: str
    loop: str
    target_of: Callable[[Any], object]
    value_type: type | None = None


@dataclass(frozen=True, slots=True)
class ScriptTargets:
    """How labels in columns become the targets of the loss, one for each text.

    Attributes:
        expressions: the plainest first; the first that is right for every row is used.
        targets_of: the targets of rows, which the expression must give.
        label_of: the label of a row as JSON, for rows that are written next to the script.
    """

    expressions: Sequence[TargetExpression]
    targets_of: Callable[[Sequence[Row]], NDArray[Any]]
    label_of: Callable[[Row], object]


@dataclass(frozen=True, slots=True)
class ScriptCode:
    """Statements of a script.

    Attributes:
        code: formatted, not indented.
        notes: paragraphs that explain it.
    """

    code: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScriptParts:
    """The code of a fitted task. It may use TEXT, TEXT_PAIR, LABEL, `tokenizer` and `data`.

    Attributes:
        model_class: class of transformers that loads the model with its head.
        model_arguments: further arguments of its `from_pretrained`.
        constants: settings of the task: name, value and a comment for the same line.
        scores: statements that prepare what `metrics` use, from `logits` and `labels` of all rows,
            or from `values`, the statistics of all rows.
        metrics: an expression for each metric by name, and for "loss".
        metric_notes: explanations of metrics, by the name of the metric.
        loss_sum: expression of the loss summed over the targets of `outputs` and `labels`.
        num_targets: expression of the number of targets in `batch`.
        targets: from the label columns; None if the labels come from the text itself.
        encode: own code for `data` and `collate`, from `raw` and COLUMNS; else one target per text.
        before_tokens: code between loading `tokenizer` and its first use.
        tokenize: code for `tokenize(rows)`, where the tokenizer alone would not do.
        collate: code for `collate(rows)`, where padding alone would not do.
        network: code that changes `model` once it is loaded.
        corrupt: code for `corrupt(batch, seed)`, which draws inputs and labels of a batch, and for
            `seed_of(*numbers)`.
        statistics: code for `statistics(logits, labels)` of a batch, which evaluation keeps in
            place of both.
        own_loss: whether Trainer computes the loss by `loss_sum`, not by the model.
        trainer_arguments: further arguments of `TrainingArguments`, as code.
        before_final: a statement before the finished model is scored.
        scores_read_rows: whether `scores` also read the rows of the split, which is `raw[name]`.
        record: what is written of a row where rows are written next to the script; None for the
            columns of text, as text. It takes a label from `targets` all the same.
        left_out: what this code does not reproduce: the reason by the key of the recipe.
    """

    model_class: str
    model_arguments: Sequence[str] = ()
    constants: Sequence[tuple[str, object, str]] = ()
    scores: str
    metrics: Mapping[str, str]
    metric_notes: Mapping[str, str] = field(default_factory=dict)
    loss_sum: str
    num_targets: str = 'len(batch["labels"])'
    targets: ScriptTargets | None = None
    encode: ScriptCode | None = None
    before_tokens: ScriptCode | None = None
    tokenize: ScriptCode | None = None
    collate: ScriptCode | None = None
    network: ScriptCode | None = None
    corrupt: ScriptCode | None = None
    statistics: ScriptCode | None = None
    own_loss: bool = False
    trainer_arguments: Sequence[str] = ()
    before_final: str = ""
    scores_read_rows: bool = False
    record: Callable[[Row], Mapping[str, object]] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


def sklearn_metrics(names: Iterable[str], *, positive: int | None = None) -> dict[str, str]:
    """Return expressions of scikit-learn and scipy over `truth` and `predicted`, by metric name.

    Args:
        names: of metrics.
        positive: index of the class that binary metrics count.
    """
    return {name: _METRICS.get(name) or _class_metric(name, positive) for name in names}


def _class_metric(name: str, positive: int | None) -> str:
    stem, _underscore, average = name.partition("_")
    pair, option = "truth, predicted", f'average="{average}", '
    if not average:
        pair, option = f"truth == {positive}, predicted == {positive}", ""
    return f"{_SKLEARN[stem]}({pair}, {option}zero_division=0.0)"
