"""Predictions for tokenized rows in their order, and the metrics of a Trainer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from transformers import EvalPrediction
from transformers.trainer_pt_utils import EvalLoopContainer, nested_detach
from transformers.trainer_utils import EvalLoopOutput, denumpify_detensorize

from tunesmith.data.batches import Batch
from tunesmith.interop.trainer.checkpoint_state import undisturbed_chance
from tunesmith.interop.trainer.datasets import Rows
from tunesmith.interop.trainer.losses import no_predictions
from tunesmith.interop.trainer.runner import Runner
from tunesmith.tasks import Outputs

__all__ = ["Answers", "Scorer", "collect", "evaluated", "metrics_of"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered.

    Attributes:
        predictions: one array, or a tuple of them, in the order of the rows; None if unasked for.
        labels: likewise; None if rows have none.
        inputs: the token ids, if metrics use them.
        losses: the loss of each row: the mean of its batch.
        count: rows.
    """

    predictions: Any
    labels: Any
    inputs: Any
    losses: Any
    count: int


def collect(
    outputs: Callable[[Batch], Outputs],
    batches: Iterable[Batch],
    *,
    label_names: tuple[str, ...],
    ignored: Collection[str],
    keeps_predictions: bool,
    keeps_inputs: bool,
    reduce: Callable[[Any, Any], Any] | None,
    after_batch: Callable[[], None],
) -> Answers:
    """Take batches through a model that is in evaluation mode.

    Args:
        outputs: one pass.
        batches: in the order of the rows.
        label_names: the inputs that are labels.
        ignored: outputs that are no predictions.
        keeps_predictions: False for the loss alone.
        keeps_inputs: whether to keep token ids, too.
        reduce: makes what is kept of predictions and labels, to save memory.
        after_batch: called after every batch.
    """
    # arrays of different lengths, as those of tokens, are filled up with -100
    parts = ("predictions", "labels", "inputs")
    containers = {name: EvalLoopContainer(True, -100) for name in parts}
    losses: list[torch.Tensor] = []
    count = 0
    with torch.no_grad():
        for batch in batches:
            result = outputs(batch)
            rows = len(batch.examples)
            count += rows
            if result.loss_sum is not None:
                mean = result.loss_sum / max(1, batch.num_targets)  # 0 without targets
                losses.append(mean.float().cpu().repeat(rows))
            labels = _labels(batch, label_names)
            if keeps_predictions:
                answers = nested_detach(
                    tuple(
                        value for name, value in result.per_example.items() if name not in ignored
                    )
                )
                answers = answers[0] if len(answers) == 1 else answers
                if reduce is not None:
                    answers = reduce(answers, labels)
                containers["predictions"].add(_on_cpu(answers))
                if labels is not None:
                    containers["labels"].add(labels)
            if keeps_inputs:
                containers["inputs"].add(batch.inputs["input_ids"])
            after_batch()
    arrays = {name: container.get_arrays() for name, container in containers.items()}
    return Answers(
        arrays["predictions"],
        arrays["labels"],
        arrays["inputs"],
        torch.cat(losses).numpy() if losses else None,
        count,
    )


def metrics_of(
    answers: Answers,
    compute: Callable[[EvalPrediction], Mapping[str, Any]] | None,
    *,
    prefix: str,
    include: Iterable[str],
    only_finite: bool = False,
) -> dict[str, Any]:
    """Return custom metrics and the loss, each named with the prefix.

    Args:
        answers: of a model.
        compute: custom metrics of logits and labels.
        prefix: "eval", "test" or another.
        include: what `compute` gets in addition: "inputs", "loss".
        only_finite: whether losses that are no number are left out of the mean, if others are one.
    """
    metrics: dict[str, Any] = {}
    if answers.losses is not None:
        losses = answers.losses
        finite = np.isfinite(losses)
        metrics["loss"] = float((losses[finite] if only_finite and finite.any() else losses).mean())
    if compute is not None and answers.predictions is not None and answers.labels is not None:
        prediction = EvalPrediction(
            predictions=answers.predictions,
            label_ids=answers.labels,
            inputs=answers.inputs if "inputs" in include else None,
            losses=answers.losses if "loss" in include else None,
        )
        metrics |= denumpify_detensorize(dict(compute(prediction)))
    return {
        name if name.startswith(f"{prefix}_") else f"{prefix}_{name}": value
        for name, value in metrics.items()
    }


class Scorer(Protocol):
    """A Trainer as far as its evaluations go."""

    args: Any
    model: Any
    runner: Runner
    state: Any
    control: Any
    callback_handler: Any
    label_names: Any
    compute_metrics: Any
    preprocess_logits_for_metrics: Any


def evaluated(
    scorer: Scorer,
    rows: Rows,
    *,
    prefix: str,
    ignore_keys: Collection[str] | None,
    keeps_predictions: bool,
) -> EvalLoopOutput:
    """Predictions for some rows and metrics, by the engine.

    Args:
        scorer: the Trainer.
        rows: what to predict.
        prefix: what the name of every metric begins with.
        ignore_keys: outputs that are no predictions; None for those that the model says.
        keeps_predictions: False for the loss alone.
    """
    args = scorer.args
    include = args.include_for_metrics

    def tell() -> None:
        event = scorer.callback_handler.on_prediction_step
        scorer.control = event(args, scorer.state, scorer.control)

    with undisturbed_chance(), scorer.runner.forward(scorer.model, rows) as outputs:
        answers = collect(
            outputs,
            rows.in_order(args.eval_batch_size),
            label_names=tuple(scorer.label_names),
            ignored=no_predictions(scorer.model) if ignore_keys is None else ignore_keys,
            keeps_predictions=keeps_predictions,
            keeps_inputs="inputs" in include,
            reduce=scorer.preprocess_logits_for_metrics,
            after_batch=tell,
        )
    metrics = metrics_of(
        answers, scorer.compute_metrics,
        prefix=prefix, include=include, only_finite=args.logging_nan_inf_filter,
    )  # fmt: skip
    return EvalLoopOutput(answers.predictions, answers.labels, metrics, answers.count)


def _labels(batch: Batch, names: tuple[str, ...]) -> Any:
    """The labels of a batch: one tensor, or a tuple of them where a model takes several."""
    labels = tuple(batch.labels if name == "labels" else batch.inputs.get(name) for name in names)
    if not labels or any(tensor is None for tensor in labels):
        return None
    return labels[0] if len(labels) == 1 else labels


def _on_cpu(answers: Any) -> Any:
    if isinstance(answers, torch.Tensor):
        return answers.float().cpu() if answers.dtype == torch.bfloat16 else answers.cpu()
    if isinstance(answers, list | tuple):
        return type(answers)(_on_cpu(part) for part in answers)
    if isinstance(answers, Mapping):
        return {name: _on_cpu(part) for name, part in answers.items()}
    return answers
