"""One short text through a model that was just loaded, so that what cannot work fails at once."""

from __future__ import annotations

from typing import Any

from tunesmith.errors import ModelError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.models.guard import coded

__all__ = ["try_model"]

_TEXT = "a"


def try_model(name: str, model: Any, tokenizer: Any) -> None:
    """Compute the answer for one short text; model, random numbers and gradients stay as they are.

    Values of config.json that only matter in a forward pass, tokens without an embedding, and
    weights that are no numbers would otherwise end a run or a prediction somewhere inside.

    Args:
        name: the model's.
        model: on the CPU.
        tokenizer: its tokenizer.

    Raises:
        ModelError: the tokenizer knows more tokens than the model (M147), the model fails (M125),
            or its answer is not a finite number (M126).
    """
    import torch

    size = model.get_input_embeddings().num_embeddings
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= size:
        raise ModelError(
            Problem(
                "M147",
                _("its tokenizer has tokens up to number {highest}, its weights {size}").format(
                    highest=highest, size=size
                ),
                Place(name),
                fix=_(
                    "Fetch tokenizer and model again; tokens that were added need "
                    "model.resize_token_embeddings(len(tokenizer)) before the model is saved."
                ),
            )
        )
    was_training = model.training
    with (
        coded(lambda reason: _fails(name, reason)),
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
    ):
        inputs = tokenizer(_TEXT, return_tensors="pt")
        answer = model.eval()(**inputs).logits
        is_finite = bool(torch.isfinite(answer).all())
    model.train(was_training)
    if not is_finite:
        raise ModelError(
            Problem(
                "M126",
                _("its answers are not numbers: NaN or infinity"),
                Place(name),
                fix=_("Its weights or its config.json are damaged: fetch the model again."),
            )
        )


def _fails(name: str, reason: str) -> Problem:
    return Problem(
        "M125",
        _("it fails at its first text: {reason}").format(reason=reason),
        Place(name),
        fix=_("Its config.json, weights and tokenizer do not belong together: fetch them again."),
    )
