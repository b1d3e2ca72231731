"""Script parts of the tasks on labeled texts: losses, metrics, and labels as targets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.i18n import gettext as _
from tunesmith.tasks.class_weights import LossWeights
from tunesmith.tasks.long_texts.options import LongTexts
from tunesmith.tasks.long_texts.scripts import long_text_parts
from tunesmith.tasks.script_parts import (
    ScriptParts,
    ScriptTargets,
    TargetExpression,
    sklearn_metrics,
)

if TYPE_CHECKING:
    from tunesmith.tasks.protocol import Task

__all__ = ["classification_parts", "multi_label_parts", "regression_parts"]


def classification_parts(
    task: Task, positive: int, weights: LossWeights, long: LongTexts
) -> ScriptParts:
    """One class per text: cross entropy, the most probable class."""
    labels = task.output.names
    return _parts(
        task,
        long,
        problem_type="single_label_classification",
        loss="cross_entropy",
        predicted="logits.argmax(axis=-1)",
        truth="labels",
        positive=positive,
        weights=weights,
        targets=(
            TargetExpression("LABELS.index(name)", "for name in rows[LABEL]", labels.index),
            TargetExpression("rows[LABEL]", "", int, value_type=int),
            TargetExpression(
                "LABELS.index(str(value))",
                "for value in rows[LABEL]",
                lambda value: labels.index(str(value)),
            ),
        ),
    )


def multi_label_parts(
    task: Task, separator: str | None, weights: LossWeights, long: LongTexts
) -> ScriptParts:
    """Any number of labels per text: binary cross entropy, probabilities of at least one half."""
    labels = task.output.names

    def of_columns(code: str, yes: object) -> TargetExpression:
        return TargetExpression(
            f"[float(value == {code}) for value in values]",
            "for values in zip(*(rows[name] for name in LABELS))",
            lambda values: [float(value == yes) for value in values],
        )

    def of_names(test: str, has: Callable[[Any, str], bool], kind: type) -> TargetExpression:
        return TargetExpression(
            f"[float({test}) for name in LABELS]",
            "for tags in rows[LABEL]",
            lambda tags: [float(has(tags, name)) for name in labels],
            kind,
        )

    if isinstance(task.roles.label, tuple):
        flags = {'"1"': "1", "1": 1, '"true"': "true", '"yes"': "yes"}
        targets = [of_columns(code, yes) for code, yes in flags.items()]
    else:
        targets = [
            of_names("name in tags", lambda tags, name: name in tags, list),
            of_names("name == tags", lambda tags, name: name == tags, str),
        ]
        if separator:
            split = f"name in tags.split({json.dumps(separator, ensure_ascii=False)})"
            targets.append(of_names(split, lambda tags, name: name in tags.split(separator), str))
    return _parts(
        task,
        long,
        problem_type="multi_label_classification",
        loss="binary_cross_entropy_with_logits",
        predicted="(logits >= 0).astype(int)",
        truth="labels.astype(int)",
        weights=weights,
        targets=targets,
    )


def regression_parts(task: Task, long: LongTexts) -> ScriptParts:
    """One number per text: squared error."""
    return _parts(
        task,
        long,
        problem_type="regression",
        loss="mse_loss",
        output="[:, 0]",
        predicted="logits[:, 0]",
        truth="labels.astype(float)",
        targets=(TargetExpression("float(value)", "for value in rows[LABEL]", float),),
    )


def _parts(
    task: Task,
    long: LongTexts,
    *,
    problem_type: str,
    loss: str,
    predicted: str,
    truth: str,
    targets: Sequence[TargetExpression],
    output: str = "",
    positive: int | None = None,
    weights: LossWeights | None = None,
) -> ScriptParts:
    """The parts that follow from a loss function of torch and from expressions.

    Args:
        task: fitted.
        long: what becomes of long texts.
        problem_type: the config value of transformers.
        loss: name of the loss function.
        predicted: expression of the predictions, from `logits`.
        truth: expression of what they are compared with, from `labels`.
        targets: their expressions, the plainest first.
        output: the index of the logits that the loss takes.
        positive: index of the class that binary metrics count.
        weights: of the training loss.
    """
    names = task.output.names
    has_pair = task.roles.text_pair is not None
    outputs = ["id2label={0: LABEL}", "label2id={LABEL: 0}"]
    constants: list[tuple[str, object, str]] = []
    notes: dict[str, str] = {}
    if positive is not None or not output:
        constants = [("LABELS", list(names), "")]
        outputs = [
            "id2label=dict(enumerate(LABELS))",
            "label2id={label: i for i, label in enumerate(LABELS)}",
        ]
    if positive is not None:
        note = _("f1, precision and recall are those of the class {label}.").format(
            label=json.dumps(names[positive], ensure_ascii=False)
        )
        notes = dict.fromkeys(("f1", "precision", "recall"), note)
    metrics = sklearn_metrics(task.metrics, positive=positive)
    return ScriptParts(
        model_class="AutoModelForSequenceClassification",
        model_arguments=[*outputs, f'problem_type="{problem_type}"'],
        constants=constants + ([("MAX_WINDOWS", long.max_windows, "")] if long.in_windows else []),
        scores=f"predicted, truth = {predicted}, {truth}\n"
        f"loss = {loss}(torch.as_tensor(logits{output}), torch.as_tensor(labels))",
        metrics={**metrics, "loss": "loss.item()"},
        metric_notes=notes,
        loss_sum=f'{loss}(outputs.logits{output}, labels, reduction="sum")',
        targets=ScriptTargets(targets, task.targets, lambda row: _as_json(task.stratum(row))),
        left_out=_left_out(weights),
        **long_text_parts(long, f"{loss}(logits{output}, labels)", has_pair=has_pair),
    )


def _as_json(label: object) -> object:
    """Return a stratum as JSON holds it."""
    return list(label) if isinstance(label, tuple) else label


def _left_out(weights: LossWeights | None) -> dict[str, str]:
    """Options of the training loss that the plain loss does not know."""
    options = {
        "options.class_weights": weights is not None and weights.weights is not None,
        "options.focal_gamma": weights is not None and weights.gamma > 0,
    }
    reason = _("the script trains with the plain loss of the model")
    return {key: reason for key, is_used in options.items() if is_used}
