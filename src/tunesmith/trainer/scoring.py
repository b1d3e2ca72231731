"""Predictions for tokenised rows in their order, and the metrics that a Trainer gives of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import EvalPrediction
from transformers.trainer_pt_utils import EvalLoopContainer, nested_detach
from transformers.trainer_utils import denumpify_detensorize

from tunesmith.batching import Batch
from tunesmith.tasks import Outputs

__all__ = ["Answers", "collect", "metrics_of"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered.

    Attributes:
        predictions: one array, or a tuple of them, in the order of the rows; None if unasked for.
        labels: likewise; None if rows have none.
        inputs: the token ids, if they were asked for.
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
        keeps_predictions: False if the loss alone is wanted.
        keeps_inputs: whether token ids are wanted, too.
        reduce: makes what is kept of predictions and labels, to save memory.
        after_batch: called after every batch.
    """
    # arrays of different lengths, as those of tokens, are filled up with -100
    kept = {name: EvalLoopContainer(True, -100) for name in ("predictions", "labels", "inputs")}
    losses: list[torch.Tensor] = []
    count = 0
    with torch.no_grad():
        for batch in batches:
            found = outputs(batch)
            rows = len(batch.examples)
            count += rows
            if found.loss_sum is not None:
                mean = found.loss_sum / max(1, batch.num_targets)  # 0 without targets
                losses.append(mean.float().cpu().repeat(rows))
            labels = _labels(batch, label_names)
            if keeps_predictions:
                answers = nested_detach(
                    tuple(value for name, value in found.kept.items() if name not in ignored)
                )
                answers = answers[0] if len(answers) == 1 else answers
                if reduce is not None:
                    answers = reduce(answers, labels)
                kept["predictions"].add(_on_cpu(answers))
                if labels is not None:
                    kept["labels"].add(labels)
            if keeps_inputs:
                kept["inputs"].add(batch.inputs["input_ids"])
            after_batch()
    arrays = {name: container.get_arrays() for name, container in kept.items()}
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
    wanted: Iterable[str],
) -> dict[str, Any]:
    """A person's own metrics and the loss, each named with the prefix.

    Args:
        answers: of a model.
        compute: a person's own metrics of logits and labels.
        prefix: "eval" or "test", or what a person calls it.
        wanted: what `compute` is given besides: "inputs", "loss".
    """
    metrics: dict[str, Any] = {}
    if answers.losses is not None:
        metrics["loss"] = float(answers.losses.mean())
    if compute is not None and answers.predictions is not None and answers.labels is not None:
        asked = EvalPrediction(
            predictions=answers.predictions,
            label_ids=answers.labels,
            inputs=answers.inputs if "inputs" in wanted else None,
            losses=answers.losses if "loss" in wanted else None,
        )
        metrics |= denumpify_detensorize(dict(compute(asked)))
    return {
        name if name.startswith(f"{prefix}_") else f"{prefix}_{name}": value
        for name, value in metrics.items()
    }


def _labels(batch: Batch, names: tuple[str, ...]) -> Any:
    """The labels of a batch: one tensor, or a tuple of them where a model takes several."""
    found = tuple(batch.labels if name == "labels" else batch.inputs.get(name) for name in names)
    if not found or any(tensor is None for tensor in found):
        return None
    return found[0] if len(found) == 1 else found


def _on_cpu(answers: Any) -> Any:
    if isinstance(answers, torch.Tensor):
        return answers.float().cpu() if answers.dtype == torch.bfloat16 else answers.cpu()
    if isinstance(answers, list | tuple):
        return type(answers)(_on_cpu(part) for part in answers)
    if isinstance(answers, Mapping):
        return {name: _on_cpu(part) for name, part in answers.items()}
    return answers
