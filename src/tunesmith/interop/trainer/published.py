"""The model of a Trainer as files: its folder, its weights back, its card, the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file, save_model
from transformers.modelcard import TrainingSummary

from tunesmith.errors import IntegrityError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.storage import hub
from tunesmith.storage.atomic import write_file
from tunesmith.training import checkpoint

__all__ = ["load_weights", "prepare_repository", "upload", "write", "write_card"]


def write(folder: Path, model: Any, processing_class: Any, args: Any, weights: Any = None) -> None:
    """A plain model folder, of adapters alone if there are some, with the arguments as JSON.

    Args:
        folder: where to.
        model: of transformers, with adapters of peft, or any of torch.
        processing_class: the tokenizer or processor; None for none.
        args: of the Trainer, their tokens masked.
        weights: what to save instead of the model's own state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder, **({} if weights is None else {"state_dict": weights}))
    elif weights is None:
        save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
    else:
        save_file(dict(weights), folder / "model.safetensors", metadata={"format": "pt"})
    if hasattr(processing_class, "save_pretrained"):
        processing_class.save_pretrained(folder)
    write_file(folder / "training_args.json", args.to_json_string() + "\n")


def load_weights(folder: Path, model: Any) -> None:
    """Put the weights of a folder back into a model, or into its adapters, in place.

    Raises:
        IntegrityError: a weight is missing, left over or of another shape (C109).
    """
    if hasattr(model, "peft_config"):
        for name in model.peft_config:
            _load_adapter(folder if name == "default" else folder / name, model, name)
    else:
        checkpoint.load_weights(folder, model)


def _load_adapter(folder: Path, model: Any, name: str) -> None:
    from peft import set_peft_model_state_dict

    try:
        result: Any = set_peft_model_state_dict(
            model, load_file(folder / "adapter_model.safetensors"), adapter_name=name
        )
    except (OSError, RuntimeError, KeyError, SafetensorError) as error:
        raise IntegrityError(_other_adapter(folder, str(error).splitlines()[0])) from error
    if result.unexpected_keys:
        raise IntegrityError(_other_adapter(folder, ", ".join(result.unexpected_keys[:3])))


def _other_adapter(folder: Path, words: str) -> Problem:
    return Problem(
        "C109",
        _("the tensors are not those of this adapter: {names}").format(names=words),
        Place(str(folder)),
        fix=_("Make the model with the adapter_config.json of this folder."),
    )


def write_card(trainer: Any, facts: Mapping[str, Any]) -> None:
    """The card that transformers makes of a Trainer."""
    summary = TrainingSummary.from_trainer(trainer, **facts)
    write_file(Path(trainer.args.output_dir) / "README.md", summary.to_model_card())


def prepare_repository(args: Any, *, token: str | None = None, private: bool | None = None) -> str:
    """Make the repository that the arguments name, unless it is there; returns its full name."""
    name = args.hub_model_id or Path(args.output_dir).absolute().name
    if name.endswith("/"):  # an organization alone, as older arguments have it
        name += Path(args.output_dir).absolute().name
    return hub.make_repository(
        name,
        token=token or args.hub_token,
        private=args.hub_private_repo if private is None else private,
    )


def upload(args: Any, message: str, *, token: str | None, revision: str | None) -> str:
    """Upload the output folder without checkpoints; returns the address of the commit."""
    return hub.upload(
        Path(args.output_dir),
        prepare_repository(args),
        token=token or args.hub_token,
        revision=revision or args.hub_revision,
        message=message,
        without=("checkpoint-*", ".*", "_*", "runs/*"),
    )
