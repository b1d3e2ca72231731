"""transformers' Trainer with checkpoints, model folders and uploads of ours, none a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from accelerate.utils import gather_object
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file, save_model
from transformers.modelcard import TrainingSummary

from tunesmith.errors import IntegrityError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.interop.trainer import checkpoint_state, checkpoints
from tunesmith.interop.trainer.runner import Runner
from tunesmith.interop.trainer.steps import TrainerSession
from tunesmith.interop.trainer.support import notice
from tunesmith.storage import hub
from tunesmith.storage.atomic import write_file
from tunesmith.training import checkpoint
from tunesmith.training.optimizer import read_state
from tunesmith.training.progress import Progress

__all__ = [
    "SavingTrainer",
    "load_weights",
    "prepare_repository",
    "upload",
    "write_card",
    "write_folder",
]


class SavingTrainer(transformers.Trainer):  # type: ignore[misc]
    """Whatever transformers' Trainer writes or reads, in safetensors and JSON.

    Attributes:
        runner: the model on its device.
    """

    runner: Runner
    _session: TrainerSession | None
    """The training by our loop that is going on; None while none is or another loop trains."""

    _random_states: list[dict[str, Any]]

    # of transformers, which names no types
    control: Any
    callback_handler: Any
    optimizer: Any
    lr_scheduler: Any
    model_wrapped: Any
    _created_lr_scheduler: bool

    def _save_checkpoint(self, model: Any, trial: Any, metrics: Any = None) -> None:
        """A checkpoint of ours, whichever loop trains."""
        if self._session is None:
            self.store_flos()
            self._random_states = gather_object([checkpoint_state.random_state()])
        with self.runner.plain_model():
            checkpoints.save(self, Path(self._get_output_dir(trial)), self._write_checkpoint)

    def _write_checkpoint(self, folder: Path) -> None:
        self.save_model(str(folder), _internal_call=True)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        session = self._session
        if session is None:
            tensors = read_state(self.model, self.optimizer)
            done, facts = Progress(step=self.state.global_step), {}
        else:
            tensors = session.engine.state()
            done, facts = session.progress, dict(session.facts())
        checkpoint_state.write_saved(
            Path(output_dir), tensors,
            optimizer=self.optimizer, scheduler=self.lr_scheduler, progress=done, facts=facts,
        )  # fmt: skip

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            saved = checkpoint_state.read_saved(Path(checkpoint))
            checkpoint_state.lead_on(
                saved, self.lr_scheduler
            )  # first, since it may move learning rates
            checkpoint_state.restore_optimizer(saved, self.model, self.optimizer)

    def _save_rng_state(self, output_dir: str) -> None:
        if self._session is None:  # steps of ours draw from the plan
            checkpoint_state.write_random_states(Path(output_dir), self._random_states)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            rank = self.accelerator.process_index
            state = checkpoint_state.read_random_state(Path(checkpoint), rank)
            if state is None:
                notice(_("the checkpoint holds no random numbers of this process"))
            else:
                checkpoint_state.set_random_state(state)

    def _save_scaler(self, output_dir: str) -> None:
        """Losses are never scaled: fp16 is computed in another precision."""

    def _load_scaler(self, checkpoint: str | None) -> None:
        """As above."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        checkpoints.verify(folder)
        load_weights(folder, self.model if model is None else model)

    def _load_best_model(self) -> None:
        load_weights(Path(self.state.best_model_checkpoint), self.model)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the model and its tokenizer as `from_pretrained` reads them.

        Args:
            output_dir: where to; `args.output_dir` if not given.
            _internal_call: True not to upload it, whatever `args.push_to_hub` says.
        """
        with self.runner.plain_model():
            super().save_model(output_dir, _internal_call)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The model folder, by the first process; nothing in it is a pickle."""
        if self.is_world_process_zero():
            spoken = self.processing_class or getattr(self.data_collator, "tokenizer", None)
            folder = Path(output_dir or self.args.output_dir)
            write_folder(folder, self.model, spoken, self.args, weights=state_dict)

    # the Hub

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Make the repository that the arguments name, unless it is there."""
        if self.is_world_process_zero():
            self.hub_model_id = prepare_repository(self.args, token=token, private=private)

    def create_model_card(self, *args: Any, **metadata: Any) -> None:
        """Write a card with the figures of this training next to the model.

        Args:
            args: as transformers' Trainer takes them.
            metadata: likewise: language, license, tags, dataset, …
        """
        if self.is_world_process_zero():
            names = ("language", "license", "tags", "model_name", "finetuned_from")
            write_card(self, dict(zip(names, args, strict=False)) | metadata)

    def push_to_hub(
        self,
        commit_message: str = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        **card: Any,
    ) -> str:
        """Upload the model with its card, without checkpoints; returns its address.

        Args:
            commit_message: of the commit.
            blocking: whether to wait for it; it is always waited for.
            token: of the Hub; else `args.hub_token` or that of the machine.
            revision: a branch; else `args.hub_revision`.
            card: as `create_model_card` takes it.

        Raises:
            ResourceError: the Hub cannot be reached (M104) or does not let us in (M106).
        """
        if not blocking:
            notice("push_to_hub: " + _("blocking=False has no effect: the upload is waited for"))
        self.save_model(_internal_call=True)
        self.create_model_card(**card)
        if not self.is_world_process_zero():
            return ""
        return upload(self.args, commit_message, token=token, revision=revision)


def write_folder(
    folder: Path, model: Any, processing_class: Any, args: Any, weights: Any = None
) -> None:
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
