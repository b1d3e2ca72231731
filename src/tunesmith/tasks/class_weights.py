"""Losses for classes that are rare: weights and the focal loss, in training only.

The focal loss emphasizes what the model gets wrong: each loss is multiplied by (1 - p)^gamma, p the
probability of the truth (Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object
detection", arXiv 1708.02002). Evaluations measure the plain cross entropy, so that losses of
differently trained runs compare.

Weights are scaled so that their mean over the training rows is 1. The loop divides by the number of
targets, whatever their weights: the cut into micro-batches changes nothing, and a learning rate
means what it meant without weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, Self

from pydantic import BeforeValidator, Field

from tunesmith.errors import Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe import Options
from tunesmith.text import did_you_mean, quoted

if TYPE_CHECKING:
    import torch

__all__ = ["ImbalanceOptions", "LossWeights"]


class Criterion(Protocol):
    """A loss of torch with a choice of reduction."""

    def __call__(
        self, logits: torch.Tensor, labels: torch.Tensor, /, *, reduction: str
    ) -> torch.Tensor:
        """Return the losses, summed or of each target."""
        ...


_LEAST, _MOST = 1e-6, 1_000_000
"""Of a weight: beyond, one class alone would be learned and sums lose the others."""

Weights = Literal["balanced"] | list[float] | dict[str, float] | None


def _as_weights(value: object) -> object:
    """Report one error, where a union would report one per branch."""
    if value is None or value == "balanced":
        return value
    numbers = value.values() if isinstance(value, Mapping) else value
    if isinstance(numbers, str) or not isinstance(numbers, Sequence | type({}.values())):
        raise ValueError(_("choose balanced, a weight for each class, or null"))
    if not numbers or not all(_is_weight(number) for number in numbers):
        raise ValueError(
            _("each weight must be a number from {least} to {most}").format(
                least=f"{_LEAST:f}", most=_MOST
            )
        )
    return value


def _is_weight(number: object) -> bool:
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return is_number and _LEAST <= number <= _MOST  # type: ignore[operator]


class ImbalanceOptions(Options):
    """Options for rare classes."""

    class_weights: Annotated[Weights, BeforeValidator(_as_weights)] = Field(
        None,
        description=N_(
            "Weights of the classes in the loss: balanced, a list in the order of the labels, or "
            "weights by name; of several labels per row: of presence against absence. null: none."
        ),
    )
    focal_gamma: float | None = Field(
        None,
        gt=0,
        le=100,
        description=N_(
            "Focal loss: turns to rows still answered wrong, the more the higher, such as 2; null: "
            "plain cross entropy."
        ),
    )


@dataclass(frozen=True)
class LossWeights:
    """How much each row counts in the loss while training.

    Attributes:
        requested: the weights as the recipe has them.
        gamma: of the focal loss; 0 for none.
        weights: of the classes, shape (C,), or of absence and presence of each label, shape (C, 2);
            None for 1. Known once fitted.
    """

    requested: Weights = None
    gamma: float = 0.0
    weights: tuple[float | tuple[float, float], ...] | None = None

    @classmethod
    def of(cls, options: ImbalanceOptions) -> Self:
        """Return the weights of a recipe, not yet fitted."""
        return cls(options.class_weights, options.focal_gamma or 0.0)

    def for_classes(self, counts: Mapping[str, int]) -> Self:
        """Return the weights of classes with these training rows, in their order.

        Raises:
            RecipeError: the weights do not fit the classes (R188).
        """
        if self.requested is None:
            return self
        total = sum(counts.values())
        if self.requested == "balanced":
            weights = [1 / n if n else 0.0 for n in counts.values()]
        else:
            weights = self._named(list(counts))
        mean = sum(w * n for w, n in zip(weights, counts.values(), strict=True)) / total
        return replace(self, weights=tuple(w / mean for w in weights))

    def for_labels(self, counts: Mapping[str, int], total: int) -> Self:
        """Return the weights of labels that so many of `total` training rows have, in their order.

        Raises:
            RecipeError: the weights do not fit the labels (R188).
        """
        if self.requested is None:
            return self
        if self.requested == "balanced":
            ratios = [(total - n) / n if 0 < n < total else 1.0 for n in counts.values()]
        else:
            ratios = self._named(list(counts))
        means = [
            (ratio * n + total - n) / total
            for ratio, n in zip(ratios, counts.values(), strict=True)
        ]
        pairs = tuple((1 / mean, ratio / mean) for ratio, mean in zip(ratios, means, strict=True))
        return replace(self, weights=pairs)

    def _named(self, labels: Sequence[str]) -> list[float]:
        """The requested weights in the order of the labels; those that were not named are 1."""
        requested, message, fix = self.requested, None, None
        if isinstance(requested, list) and len(requested) != len(labels):
            message = _("{found} weights for {count} classes").format(
                found=len(requested), count=len(labels)
            )
            fix = _("In this order: {names}.").format(names=quoted(labels))
        elif isinstance(requested, dict) and (
            unknown := [name for name in requested if name not in labels]
        ):
            message = _('no class is called "{name}"').format(name=unknown[0])
            known = _("Known classes: {names}.").format(names=quoted(labels))
            fix = did_you_mean(unknown[0], labels, otherwise=known)
        if message is not None:
            raise RecipeError.of("R188", message, Place("options.class_weights"), fix=fix)
        if isinstance(requested, dict):
            return [requested.get(name, 1.0) for name in labels]
        assert isinstance(requested, list)  # noqa: S101 - balanced weights need no names
        return list(requested)

    def loss_sum(
        self, criterion: Criterion, logits: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the summed loss: weighted while training, plain in evaluations.

        Args:
            criterion: a cross entropy of torch.
            logits: shape (B, C).
            labels: (B,) classes, or (B, C) zeros and ones.
        """
        import torch

        if not torch.is_grad_enabled() or (self.weights is None and not self.gamma):
            return criterion(logits, labels, reduction="sum")
        losses = criterion(logits, labels, reduction="none")
        if self.gamma:
            # exact for p near 1, and never 0, where a power below 1 has no slope
            missed = (-torch.expm1(-losses)).clamp_min(torch.finfo(losses.dtype).tiny)
            losses = missed**self.gamma * losses
        if self.weights is not None:
            weights = _weights_on(self.weights, losses.dtype, losses.device)
            of_each = (
                weights[labels]
                if labels.ndim == 1
                else weights[:, 1].where(labels > 0, weights[:, 0])
            )
            losses = of_each * losses
        return losses.sum()

    def summary(self, labels: Sequence[str]) -> list[str]:
        """Return what training emphasizes, a line each."""
        lines = []
        if self.weights is not None:
            of_each = (
                weight if isinstance(weight, float) else weight[1] for weight in self.weights
            )
            named = list(zip(labels, of_each, strict=True))[:20]
            shown = ", ".join(f"{name} {weight:.3g}" for name, weight in named)
            more = " …" if len(labels) > 20 else ""
            lines.append(_("weights in the loss: {weights}").format(weights=shown + more))
        if self.gamma:
            lines.append(_("focal loss with gamma {gamma:g}").format(gamma=self.gamma))
        return lines


@cache
def _weights_on(weights: object, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return weights as a tensor, copied to a device once: a copy in each step would wait."""
    import torch

    return torch.tensor(weights, dtype=dtype, device=device)
