"""Names that a Trainer of transformers 4 had, and what is not offered here, with the way out."""

from __future__ import annotations

from typing import Any, NoReturn

from tunesmith.errors import ArgumentError, Place
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.text import nearest

__all__ = ["NOT_OFFERED", "MissingNameError", "OlderNames"]

NOT_OFFERED = {
    "hyperparameter_search": N_(
        "Make one Trainer for each set of arguments, or use transformers' Trainer for the search."
    ),
}
"""Public methods of transformers' Trainer that are refused, and what to do instead."""

_GONE = {
    "prediction_loop": "evaluation_loop",
    "use_cuda_amp": "args.bf16",
    "use_cpu_amp": "args.bf16",
    "use_apex": "args.bf16",
    "do_grad_scaling": "args.bf16",
    "scaler": "accelerator",
    "amp_dtype": "args.mixed_precision",
    "sharded_ddp": "accelerator",
    "fsdp": "accelerator",
    "place_model": "place_model_on_device",
    "hub_token": "args.hub_token",
    "global_step": "state.global_step",
    "epoch": "state.epoch",
    "is_world_master": "is_world_process_zero",
    "is_local_master": "is_local_process_zero",
}
"""Attributes of transformers 3 and 4 that are gone from 5, and where to find the same now."""


class MissingNameError(ArgumentError, AttributeError):
    """A name that a Trainer does not have: an AttributeError too, so that `hasattr` works."""


class OlderNames:
    """What scripts written for transformers 4 still ask a Trainer for."""

    processing_class: Any
    accelerator: Any

    @property
    def tokenizer(self) -> Any:
        """The processing class, under its older name."""
        return self.processing_class

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        self.processing_class = tokenizer

    def _nested_gather(self, tensors: Any, name: str | None = None) -> Any:
        """Tensors of all processes, as evaluation loops of transformers 4 gather them."""
        return None if tensors is None else self.accelerator.gather(tensors)

    def _pad_across_processes(self, tensor: Any, pad_index: int = -100) -> Any:
        """Tensors as wide as the widest of all processes."""
        return self.accelerator.pad_across_processes(tensor, dim=1, pad_index=pad_index)

    def hyperparameter_search(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered.

        Raises:
            ArgumentError: always (R197).
        """
        name = "hyperparameter_search"
        message = _("{name} is not offered here").format(name=name)
        raise ArgumentError.of("R197", message, Place("Trainer"), fix=_(NOT_OFFERED[name]))

    def __getattr__(self, name: str) -> Any:
        """Say where a name of older versions is now, or which known name is near."""
        place = Place(type(self).__name__)
        message = _('there is no attribute "{name}"').format(name=name)
        if name in _GONE:
            words = _("It is gone from transformers; see {name}.").format(name=_GONE[name])
            raise MissingNameError.of("R196", message, place, fix=words)
        close = () if name.startswith("_") else nearest(name, dir(type(self)))
        fix = _('did you mean "{name}"?').format(name=close[0]) if close else None
        raise MissingNameError.of("R196", message, place, fix=fix)
