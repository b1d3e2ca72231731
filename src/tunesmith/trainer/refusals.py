"""What a Trainer refuses, in words: rather an error than half of what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import transformers
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from tunesmith.errors import ModelError, Place, Problem, RecipeError
from tunesmith.language import gettext as _

__all__ = [
    "refuse_contradictions",
    "refuse_epoch_stop",
    "refuse_headless",
    "refuse_overrides",
    "without_data",
    "without_metric",
]

_PLACE = Place("Trainer")
_SHOWN = {"get_train_dataloader", "get_eval_dataloader", "get_test_dataloader"}
"""Methods of ours that nothing but a person calls: batches are looked at there, not made."""


def refuse_overrides(given: type, ours: type) -> None:
    """A method that transformers' Trainer would call and this one does not must not be overridden.

    Raises:
        RecipeError: the class overrides some (R137).
    """
    own = given.__mro__[: given.__mro__.index(ours)]
    theirs = {name for name in vars(transformers.Trainer) if not name.startswith("__")}
    called = vars(ours).keys() - _SHOWN
    lost = sorted({name for cls in own for name in vars(cls)} & theirs - called)
    if lost:
        raise RecipeError(
            Problem(
                "R137",
                _("{name} overrides what is not called here: {methods}").format(
                    name=given.__name__, methods=", ".join(lost)
                ),
                _PLACE,
                fix=_(
                    "compute_loss, create_optimizer, evaluate, log, predict and save_model may be "
                    "overridden; for others use transformers' Trainer."
                ),
            )
        )


def refuse_contradictions(args: Any, given: Mapping[str, Any]) -> None:
    """Arguments that exclude or need each other.

    Args:
        args: of the Trainer.
        given: what the Trainer was made with, by name.

    Raises:
        RecipeError: all that is wrong (R135).
    """
    problems = [
        Problem("R135", words, _PLACE)
        for words in (
            _one_of(given, "model", "model_init", needed=True),
            _one_of(given, "processing_class", "tokenizer"),
            _one_of(given, "optimizer", "optimizer_cls_and_kwargs"),
            _one_of(given, "optimizer", "model_init"),
        )
        if words
    ]
    if given["lr_scheduler"] is not None and given["optimizer"] is None:
        problems.append(
            Problem("R135", _("a scheduler needs the optimizer that it belongs to"), _PLACE)
        )
    if args.eval_strategy != "no" and given["eval_dataset"] is None:
        problems.append(
            Problem(
                "R135",
                _("eval_strategy={value} needs an eval_dataset").format(
                    value=args.eval_strategy.value
                ),
                _PLACE,
            )
        )
    if args.save_strategy == "best" and args.metric_for_best_model is None:
        problems.append(
            Problem("R135", _("save_strategy=best needs metric_for_best_model"), _PLACE)
        )
    if problems:
        raise RecipeError(problems)


def _one_of(given: Mapping[str, Any], one: str, other: str, *, needed: bool = False) -> str:
    both = given[one] is not None and given[other] is not None
    neither = given[one] is None and given[other] is None
    if both:
        return _("{one} and {other} exclude each other").format(one=one, other=other)
    if neither and needed:
        return _("one of {one} and {other} is needed").format(one=one, other=other)
    return ""


def refuse_headless(model: Any) -> None:
    """A model that gives hidden states has no loss.

    Raises:
        ModelError: it has no head (M131).
    """
    bodies = {
        name
        for names in MODEL_MAPPING_NAMES.values()
        for name in ((names,) if isinstance(names, str) else names)
    }
    if type(model).__name__ in bodies:
        raise ModelError(
            Problem(
                "M131",
                _("{name} has no head: it gives hidden states and no loss").format(
                    name=type(model).__name__
                ),
                _PLACE,
                fix=_("Load it with AutoModelForSequenceClassification or another AutoModelFor…"),
            )
        )


def refuse_epoch_stop(control: Any) -> None:
    """Epochs are whole here: what follows from the step cannot leave out some.

    Raises:
        RecipeError: a callback asks to go on to the next epoch (R138).
    """
    if control.should_epoch_stop:
        raise RecipeError(
            Problem(
                "R138",
                _("a callback set should_epoch_stop; an epoch cannot be cut short"),
                _PLACE,
                fix=_("Set should_training_stop to end the training."),
            )
        )


def without_data(name: str) -> RecipeError:
    """That the data set for training, evaluation or test is missing (R135)."""
    known = {"train": "train_dataset", "evaluation": "eval_dataset", "test": "test_dataset"}
    return RecipeError(Problem("R135", _("there is no {name}").format(name=known[name]), _PLACE))


def without_metric(name: str, found: Mapping[str, Any]) -> RecipeError:
    """That the score that chooses the best model was not computed (R136)."""
    return RecipeError(
        Problem(
            "R136",
            _("metric_for_best_model is {name}, and evaluation gave {found}").format(
                name=name, found=", ".join(found)
            ),
            _PLACE,
            fix=_("Name one of these, or let compute_metrics return it."),
        )
    )
