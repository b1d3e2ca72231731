"""The loss of a pass: that of a known head as a sum, or a model's own mean times its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.trainer_pt_utils import LabelSmoother

from tunesmith.data.batches import IGNORED, Batch
from tunesmith.errors import ArgumentError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.tasks import Outputs

__all__ = [
    "KnownHead",
    "OwnLoss",
    "flops_per_place",
    "known_head",
    "mean_loss",
    "no_predictions",
    "shifts_labels",
]

ComputeLoss = Callable[[nn.Module, dict[str, Any], int], tuple[torch.Tensor, Any]]
"""Called with a model, its inputs with labels, and their targets; gives the mean, and outputs."""

_AGREE = 1e-4


@dataclass(frozen=True)
class KnownHead:
    """A head for texts or tokens, whose loss is that of transformers, summed.

    It runs through any engine, since it asks the model for logits alone.

    Attributes:
        config: of the model, which says what kind of problem it is.
        per_token: whether each token has a label, or each text.
        smoothing: how much of the target is shared among all classes.
    """

    config: Any
    per_token: bool
    smoothing: float = 0.0

    def __call__(self, model: nn.Module, batch: Batch) -> Outputs:
        """One pass."""
        logits = model(**batch.inputs).logits
        loss = None if batch.labels is None else self.loss_sum(logits.float(), batch.labels)
        return Outputs(loss, {"logits": logits})

    @property
    def is_of_classes(self) -> bool:
        """Whether each target is one class of several."""
        return self.per_token or self.config.problem_type == "single_label_classification"

    def loss_sum(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss over all targets, as `config.problem_type` says."""
        if self.is_of_classes:
            classes = logits.shape[-1]
            return functional.cross_entropy(
                logits.reshape(-1, classes),
                labels.reshape(-1),
                ignore_index=IGNORED,
                reduction="sum",
                label_smoothing=self.smoothing,
            )
        shaped = labels.reshape(logits.shape).to(logits.dtype)
        if self.config.problem_type == "regression":
            return functional.mse_loss(logits, shaped, reduction="sum")
        return functional.binary_cross_entropy_with_logits(logits, shaped, reduction="sum")


def known_head(model: Any, batch: Batch, smoothing: float) -> KnownHead | None:
    """Return the head of a model of transformers, if its own loss on a labeled batch is equal.

    The pass lets the model settle `config.problem_type` by the type of the labels, as it does.
    """
    kind = getattr(model, "loss_type", None)
    heads = {"ForSequenceClassification": False, "ForTokenClassification": True}
    if kind not in heads or batch.labels is None or batch.num_targets == 0:
        return None
    head = KnownHead(model.config, heads[kind], smoothing)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            outputs = model(**batch.inputs, labels=batch.labels)
            own = outputs["loss"] * batch.num_targets
            ours = replace(head, smoothing=0.0).loss_sum(outputs["logits"].float(), batch.labels)
    except (RuntimeError, ValueError, TypeError, KeyError):
        return None  # whatever it is, the model's own pass will tell
    finally:
        model.train(training)
    extra = set(outputs) - {"loss", "logits", *no_predictions(model)}
    return head if not extra and torch.allclose(own.float(), ours, rtol=_AGREE) else None


@dataclass(frozen=True)
class OwnLoss:
    """Any model: its mean loss times its targets, and its other outputs.

    Attributes:
        compute: the loss, by the model itself or by the script's `compute_loss`.
        label_names: the inputs that are labels.
        returns_loss: whether a model that takes no labels returns a loss in evaluation, too.
    """

    compute: ComputeLoss
    label_names: tuple[str, ...]
    returns_loss: bool = False

    def __call__(self, model: nn.Module, batch: Batch) -> Outputs:
        """One pass."""
        inputs = dict(batch.inputs)
        if batch.labels is not None:
            inputs["labels"] = batch.labels
        if not self._has_loss(inputs):
            outputs, loss = model(**inputs), None
        else:
            mean, outputs = self.compute(model, inputs, batch.num_targets)
            # a batch without targets, such as one that does not count, needs a gradient all the
            # same, which is zero, also where the mean over nothing is not a number
            loss = (mean if batch.num_targets else mean.nan_to_num()) * batch.num_targets
        if isinstance(outputs, Mapping):
            rest = {name: value for name, value in outputs.items() if name != "loss"}
        else:
            parts = outputs[1:] if loss is not None else outputs
            rest = {str(i): part for i, part in enumerate(parts)}
        return Outputs(loss, rest)

    def _has_loss(self, inputs: Mapping[str, Any]) -> bool:
        if self.label_names:
            return all(inputs.get(name) is not None for name in self.label_names)
        return self.returns_loss or torch.is_grad_enabled()


def mean_loss(
    model: nn.Module, inputs: dict[str, Any], *, smoothing: float, shifts: bool
) -> tuple[torch.Tensor, Any]:
    """The mean loss of a batch as the model computes it, and its outputs.

    Args:
        model: as the engine runs it.
        inputs: of the batch, labels among them.
        smoothing: how much of the target is shared among all classes.
        shifts: whether the loss compares each label with the token before it.

    Raises:
        ArgumentError: the model returns no loss (R198).
    """
    if smoothing and "labels" in inputs:
        labels = inputs["labels"]
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        smooth = LabelSmoother(epsilon=smoothing)
        return smooth(outputs, labels, shift_labels=shifts), outputs
    outputs = model(**inputs)
    if isinstance(outputs, Mapping) and "loss" not in outputs:
        raise ArgumentError(_without_loss(outputs, inputs))
    loss: torch.Tensor = outputs["loss"] if isinstance(outputs, Mapping) else outputs[0]
    return loss, outputs


def _without_loss(outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> Problem:
    return Problem(
        "R198",
        _("the model returned no loss, only {names}").format(names=", ".join(outputs)),
        Place("Trainer"),
        evidence=(_("the batch holds {names}").format(names=", ".join(inputs)),),
        fix=_("Add a column of labels, or override compute_loss."),
    )


def shifts_labels(model: Any) -> bool:
    """Whether the loss compares each label with the token before it."""
    decoder = not getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    return getattr(model, "loss_type", None) == "ForCausalLM" and decoder


def no_predictions(model: Any) -> list[str]:
    """The outputs of a model that are no predictions."""
    config = getattr(model, "config", None)
    return list(getattr(config, "keys_to_ignore_at_inference", ["past_key_values"]))


def flops_per_place(model: Any) -> float:
    """Operations that one token costs forward and backward, as transformers estimates them."""
    count = getattr(model, "num_parameters", None)
    return 6.0 * count(exclude_embeddings=True) if count else 0.0
