"""What a Trainer refuses: an error rather than half of what is requested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from tunesmith.errors import ArgumentError, ModelError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.text import did_you_mean
from tunesmith.training.fast.gpu_parts import UNMEASURED

__all__ = [
    "ContradictionError",
    "HeadlessError",
    "MissingMetricError",
    "enabled_parts",
    "refuse_contradictions",
    "refuse_headless",
    "without_data",
    "without_metric",
]

_PLACE = Place("Trainer")


class ContradictionError(ArgumentError, RuntimeError):
    """Arguments that exclude or need each other: a RuntimeError too, as in transformers."""


class HeadlessError(ModelError, ValueError):
    """A model without a head: a ValueError too."""


class MissingMetricError(ArgumentError, KeyError):
    """A score that was not computed: a KeyError too."""


def enabled_parts(names: Iterable[str]) -> frozenset[str]:
    """The parts of the fast engine that a script enables.

    Raises:
        ArgumentError: there is no such part (R131).
    """
    parts = frozenset((names,) if isinstance(names, str) else names)
    for name in sorted(parts.difference(UNMEASURED)):
        raise ArgumentError.of(
            "R131",
            _('there is no part "{name}" to enable').format(name=name),
            _PLACE,
            fix=did_you_mean(
                name, UNMEASURED, otherwise=_("Parts: {names}.").format(names=", ".join(UNMEASURED))
            ),
        )
    return parts


def refuse_contradictions(args: Any, made_with: Mapping[str, Any]) -> None:
    """Arguments that exclude or need each other.

    Args:
        args: of the Trainer.
        made_with: the arguments of the Trainer itself, by name.

    Raises:
        ContradictionError: all that is wrong (R135).
    """
    problems = [
        Problem("R135", words, _PLACE, fix=_("Pass one of the two."))
        for words in (
            _one_of(made_with, "model", "model_init", needed=True),
            _one_of(made_with, "processing_class", "tokenizer"),
            _one_of(made_with, "optimizer", "optimizer_cls_and_kwargs"),
            _one_of(made_with, "optimizer", "model_init"),
        )
        if words
    ]
    if made_with["lr_scheduler"] is not None and made_with["optimizer"] is None:
        problems.append(
            _lacking(_("a scheduler needs the optimizer that it belongs to"), "optimizer")
        )
    if args.eval_strategy != "no" and made_with["eval_dataset"] is None:
        message = _("eval_strategy={value} needs an eval_dataset")
        message = message.format(value=args.eval_strategy.value)
        problems.append(_lacking(message, "eval_dataset"))
    data = made_with["train_dataset"]
    if data is not None and not hasattr(data, "__len__") and args.max_steps <= 0:
        problems.append(_lacking(_("a stream of rows needs max_steps"), "max_steps"))
    if args.save_strategy == "best" and args.metric_for_best_model is None:
        message = _("save_strategy=best needs metric_for_best_model")
        problems.append(_lacking(message, "metric_for_best_model"))
    if problems:
        raise ContradictionError(problems)


def _lacking(message: str, name: str) -> Problem:
    return Problem("R135", message, _PLACE, fix=_("Pass {name}.").format(name=name))


def _one_of(made_with: Mapping[str, Any], one: str, other: str, *, needed: bool = False) -> str:
    both = made_with[one] is not None and made_with[other] is not None
    neither = made_with[one] is None and made_with[other] is None
    if both:
        return _("{one} and {other} exclude each other").format(one=one, other=other)
    if neither and needed:
        return _("one of {one} and {other} is needed").format(one=one, other=other)
    return ""


def refuse_headless(model: Any) -> None:
    """A model that gives hidden states has no loss.

    Raises:
        HeadlessError: it has no head (M131).
    """
    bodies = {
        name
        for names in MODEL_MAPPING_NAMES.values()
        for name in ((names,) if isinstance(names, str) else names)
    }
    if type(model).__name__ in bodies:
        raise HeadlessError.of(
            "M131",
            _("{name} has no head: it gives hidden states and no loss").format(
                name=type(model).__name__
            ),
            _PLACE,
            fix=_("Load it with AutoModelForSequenceClassification or another AutoModelFor…"),
        )


def without_data(name: str) -> ArgumentError:
    """That the data set for training, evaluation or test is missing (R135)."""
    known = {"train": "train_dataset", "evaluation": "eval_dataset", "test": "test_dataset"}
    return ArgumentError(_lacking(_("there is no {name}").format(name=known[name]), known[name]))


def without_metric(name: str, metrics: Mapping[str, Any]) -> MissingMetricError:
    """That the score that chooses the best model was not computed (R136)."""
    return MissingMetricError.of(
        "R136",
        _("metric_for_best_model is {name}, and evaluation gave {found}").format(
            name=name, found=", ".join(metrics)
        ),
        _PLACE,
        fix=_("Name one of these, or let compute_metrics return it."),
    )
