"""The model of a Trainer for others: its folder, its card, the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_model
from transformers.modelcard import TrainingSummary

from tunesmith import hub
from tunesmith.commit import write_file

__all__ = ["prepare_repository", "upload", "write", "write_card"]


def write(folder: Path, model: Any, processing_class: Any, args: Any) -> None:
    """A plain model folder; the arguments lie beside it as JSON, tokens masked."""
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder)
    else:
        save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
    if processing_class is not None:
        processing_class.save_pretrained(folder)
    write_file(folder / "training_args.json", args.to_json_string() + "\n")


def write_card(trainer: Any, facts: Mapping[str, Any]) -> None:
    """The card that transformers makes of a Trainer."""
    summary = TrainingSummary.from_trainer(trainer, **facts)
    write_file(Path(trainer.args.output_dir) / "README.md", summary.to_model_card())


def prepare_repository(args: Any) -> str:
    """Make the repository that the arguments name, unless it is there; returns its full name."""
    name = args.hub_model_id or Path(args.output_dir).absolute().name
    if name.endswith("/"):  # an organisation alone, as older arguments have it
        name += Path(args.output_dir).absolute().name
    return hub.make_repository(name, token=args.hub_token, private=args.hub_private_repo)


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
