"""The start of a session: model and engine are built, and a run continues where it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from tunesmith.data.batches import Examples
from tunesmith.errors import (
    IntegrityError,
    ModelError,
    Place,
    Problem,
    ResourceError,
    Severity,
)
from tunesmith.i18n import gettext as _
from tunesmith.jobs.restarts import refuse_futile_restart
from tunesmith.models import freeze, try_model
from tunesmith.runs.agreement import agree_on_checkpoint, fetch_from_main
from tunesmith.runs.custom_metrics import ComputeMetrics
from tunesmith.runs.fingerprint import (
    differences,
    machine_facts,
    refuse_changes,
    refuse_foreign,
)
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.make_engine import make_engine
from tunesmith.runs.micro_batches import keep_micro_batches
from tunesmith.runs.plan_file import has_begun, read_plan, remembered_warnings, write_plan
from tunesmith.runs.prepare import PreparedRun
from tunesmith.runs.session import Session
from tunesmith.runs.signals import StopRequest
from tunesmith.runs.start import write_inputs
from tunesmith.storage import atomic
from tunesmith.training import checkpoint
from tunesmith.training.fast.kernels import compile_seconds
from tunesmith.training.progress import Progress

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = [
    "check_saved",
    "checkpoint_bytes",
    "discard_damaged_best",
    "open_session",
    "refuse_small_disk",
    "write_recipe_and_plan",
]


def open_session(
    job: PreparedRun,
    run: RunFolder,
    accelerator: Accelerator,
    *,
    precision: str,
    stop: StopRequest,
    compute_metrics: ComputeMetrics | None = None,
) -> Session:
    """Build the model, choose the engine, and continue from the newest whole checkpoint.

    Args:
        job: what is trained.
        run: its folder; nothing is written yet.
        accelerator: device and processes.
        precision: "fp32" or "bf16".
        stop: whether a stop was requested.
        compute_metrics: custom metrics; None for none.

    Raises:
        ModelError: the model cannot be trained.
        IntegrityError: the run began with other data, model or tokenizer (C104), or a checkpoint is
            of another run (C109).
        ResourceError: disk (C107) or memory (M111) does not suffice.
    """
    begun = accelerator.is_main_process and has_begun(run)  # no other process reads its folder
    stored_plan, damage = read_plan(run) if begun else ({}, None)
    fingerprint = {**job.fingerprint, "machine": _machine(job, accelerator, precision)}
    data_warnings = _unique([*remembered_warnings(stored_plan), *job.warnings])
    logged = set(run.warnings()) if begun else set()
    warnings = [p for p in data_warnings if f"{p.code} {p.message}" not in logged]
    if damage is not None:
        warnings.append(_damaged_plan(run, damage))
    if stored_plan:
        refuse_changes(stored_plan["fingerprint"], fingerprint, str(run.path))

    network, new_weights = _build_model(job, accelerator, warnings)
    selection = make_engine(
        network, job, accelerator,
        precision=precision,
        note=lambda text: warnings.append(Problem("M122", text, severity=Severity.NOTE)),
    )  # fmt: skip
    if (seconds := compile_seconds()) is not None:
        text = _("compiled the loops of the fast engine in {seconds:.0f} s; later runs load them")
        message = text.format(seconds=seconds)
        warnings.append(Problem("M157", message, severity=Severity.NOTE))
    if text := selection.on_gpu():
        warnings.append(_on_gpu(text, selection.could_enable))
    session = Session(
        job, run, accelerator, stop, precision,
        network=network,
        new_weights=new_weights,
        engine=selection.engine,
        engine_facts=selection.as_json(),
        is_padded=selection.is_padded,
        fingerprint=fingerprint,
        data_warnings=data_warnings,
        warnings=warnings,
        compute_metrics=compute_metrics,
        has_begun=begun,
        stored_plan=stored_plan,
    )  # fmt: skip
    if accelerator.is_main_process:
        with session.engine.plain_model():  # as it is saved
            refuse_small_disk(run, network, job.recipe.train.keep_checkpoints)
    keep_micro_batches(session, _resume(session))
    return session


def _on_gpu(text: str, could_enable: Sequence[str]) -> Problem:
    fix = _(
        "To try them: `--set train.enable=[{parts}]`; `tunesmith bench --ablate` measures each."
    )
    return Problem(
        "M156",
        text,
        fix=fix.format(parts=",".join(could_enable)) if could_enable else None,
        severity=Severity.NOTE,
    )


def _machine(job: PreparedRun, accelerator: Accelerator, precision: str) -> Mapping[str, Any]:
    return machine_facts(
        device=str(accelerator.device),
        processes=accelerator.num_processes,
        precision=precision,
        engine=job.recipe.train.engine,
        micro_batch_size=job.plan.micro_batch_size,
    )


def _build_model(
    job: PreparedRun, accelerator: Accelerator, warnings: list[Problem]
) -> tuple[Any, tuple[str, ...]]:
    """Return the model with its head on its device, and its new weights.

    Raises:
        ModelError: it has no padding token (M146), or does not run.
    """
    settings = job.recipe.train
    loaded = job.task.build(
        job.files,
        seed=settings.seed,
        dropout=settings.dropout,
        allow_missing=settings.allow_missing,
    )
    warnings += loaded.warnings
    network: Any = loaded.model
    padding = getattr(network.config, "pad_token_id", None)
    if padding is None and job.tokenizer.pad_token_id is None:
        raise ModelError(_no_padding_token(job.files.name))
    try_model(job.files.name, network, job.tokenizer)
    freeze(network, settings.freeze)
    if settings.gradient_checkpointing:
        # newer versions of transformers name it so
        name = "activation_checkpointing_enable"
        enable = getattr(network, name, None) or network.gradient_checkpointing_enable
        enable({"use_reentrant": False})  # the reentrant one fails with frozen embeddings
    network.to(accelerator.device)
    return network, tuple(loaded.new_weights)


def _resume(session: Session) -> checkpoint.Checkpoint | None:
    """Continue from the newest whole checkpoint of process 0, if there is one; returns it."""
    run, accelerator = session.run, session.accelerator

    def newest() -> checkpoint.Checkpoint | None:
        whole, damaged = checkpoint.latest(run.checkpoints)
        session.warnings += damaged
        if whole is not None:
            _refuse_foreign(session, whole)
            discard_damaged_best(session, whole.progress)
        return whole

    agreed = agree_on_checkpoint(run.checkpoints, "resume", newest)
    if agreed is not None:
        saved, manifest = agreed
        checkpoint.restore(
            saved, session.engine, fetch_from_main(saved.folder, manifest, accelerator)
        )
        session.progress, session.checkpoint_facts = saved.progress, saved.facts
        session.resumed_from = saved.folder.name
    if accelerator.is_main_process:
        refuse_futile_restart(session.resumed_from)
    # a whole model folder ends a run, so that one which is there now is damaged
    if os.path.lexists(run.model) and accelerator.is_main_process:
        moved = atomic.set_aside(run.model)
        session.warnings.append(
            Problem(
                "C101",
                _("damaged model folder set aside; it is written again"),
                Place(str(run.model)),
                evidence=(_("kept as {name}").format(name=moved.name),),
                fix=_("Nothing has to be done: the newest whole checkpoint is used."),
                severity=Severity.WARNING,
            )
        )
    return agreed[0] if agreed is not None else None


def _refuse_foreign(session: Session, saved: checkpoint.Checkpoint) -> None:
    """Refuse a checkpoint of another run, or one of this run before something changed.

    Raises:
        IntegrityError: data, model or tokenizer changed (C104); another run saved it (C109).
    """
    theirs, ours = saved.fingerprint, session.fingerprint
    if not session.stored_plan and theirs and "recipe" not in differences(theirs, ours):
        refuse_changes(theirs, ours, str(session.run.path))
    refuse_foreign(saved.folder, theirs, ours)


def discard_damaged_best(session: Session, progress: Progress) -> None:
    """Let later evaluations choose the best model again if its checkpoint is damaged."""
    best = progress.best_step
    if best in (0, progress.step):
        return
    folder = session.run.checkpoints / f"step-{best:08d}"
    if damage := _damage_of(folder):
        progress.best_step, progress.best_value = 0, None
        session.warnings.append(
            Problem(
                "C101",
                _("the best checkpoint is damaged: {damage}").format(damage=damage),
                Place(str(folder)),
                fix=_("A later one is chosen; the result may differ."),
                severity=Severity.WARNING,
            )
        )
    else:
        check_saved(session, folder)


def check_saved(session: Session, folder: Path) -> None:
    """Check that a checkpoint is whole and one of this run.

    Raises:
        IntegrityError: it is damaged (C102), or another run saved it (C109).
    """
    if damage := _damage_of(folder):
        raise IntegrityError.of(
            "C102",
            _("the best checkpoint is damaged: {damage}").format(damage=damage),
            Place(str(folder)),
            fix=_("Run again: training goes back to a checkpoint that is whole."),
        )
    refuse_foreign(folder, checkpoint.read(folder).fingerprint, session.fingerprint)


def _damage_of(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint; None if it is whole and of its step."""
    if damage := atomic.damage(folder):
        return damage
    try:
        checkpoint.read(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return str(error)
    return None


def write_recipe_and_plan(session: Session) -> None:
    """Write recipe and plan, once everything is tried and just before the first step.

    What an earlier command left that made no step is replaced; of a run that has begun only a
    damaged plan is written again.

    Raises:
        ResourceError: the disk is full or cannot be written (C107).
    """
    job, run = session.job, session.run
    if not session.accelerator.is_main_process or session.stored_plan:
        return
    if not session.has_begun:
        for leftover in (run.log, run.plan, run.rejected):
            atomic.remove(leftover)
        write_inputs(run, job.recipe, job.layers, job.rejected)
    elif os.path.lexists(run.plan):
        atomic.set_aside(run.plan)
    write_plan(run, _plan_facts(session), session.data_warnings)


def _plan_facts(session: Session) -> dict[str, Any]:
    job = session.job
    return {
        "model": {"name": job.files.name, "revision": job.files.revision},
        "data": {
            name: {
                "source": split.source.name,
                "revision": getattr(split.source, "revision", None),
                "rows": split.num_rows,
                "examples": len(job.examples[name]),
                "tokens": _tokens(job.examples[name]),
                "prepared": job.examples[name].prepared.key,
            }
            for name, split in job.splits.items()
        },
        "task": job.task.as_json(),
        "max_length": job.max_length,
        "plan": job.plan.as_json(),
        "engine": session.engine_facts,
        "fingerprint": session.fingerprint,
    }


def _tokens(examples: Examples) -> int:
    """Tokens of all examples; of those that are streamed an estimate from the sample."""
    lengths = examples.lengths
    return int(lengths.sum() * len(examples) / max(1, len(lengths)))


def refuse_small_disk(run: RunFolder, network: nn.Module, keep_checkpoints: int) -> None:
    """Refuse to train where checkpoints and model will not fit.

    A checkpoint holds the weights and, in float32, both moments of those that train. At most
    `keep_checkpoints`, the best one and one being written are there at a time, then the model.

    Args:
        run: whose folder; what it holds already needs no more room.
        network: as it is saved.
        keep_checkpoints: how many of the newest are kept.

    Raises:
        ResourceError: too little space is free (C107).
    """
    weights, whole = _sizes(network)
    missing = max(0, keep_checkpoints + 2 - len(checkpoint.saved_steps(run.checkpoints)))
    needed = int(1.1 * (whole * missing + weights))
    free = shutil.disk_usage(run.path).free
    if free < needed:
        raise ResourceError.of(
            "C107",
            _("{needed:.1f} GB are needed for checkpoints and model, {free:.1f} are free").format(
                needed=needed / 1e9, free=free / 1e9
            ),
            Place(str(run.path)),
            fix=_("Make room, name another disk with --out, or lower train.keep_checkpoints."),
        )


def checkpoint_bytes(session: Session) -> int:
    """Return about how large a checkpoint of the run is."""
    with session.engine.plain_model():
        return _sizes(session.network)[1]


def _sizes(network: nn.Module) -> tuple[int, int]:
    """Return the bytes of the weights, and of a checkpoint, which has both moments, too."""
    parameters = list(network.parameters())
    weights = sum(p.numel() * p.element_size() for p in parameters)
    trained = sum(p.numel() * 4 for p in parameters if p.requires_grad)
    return weights, weights + 2 * trained


def _unique(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems without repetitions."""
    return list({(problem.code, problem.message): problem for problem in problems}.values())


def _damaged_plan(run: RunFolder, damage: str) -> Problem:
    return Problem(
        "C115",
        _("the plan of the run is damaged: {damage}").format(damage=damage),
        Place(str(run.plan)),
        fix=_("It is written again. What the run was trained on is known from its checkpoints."),
        severity=Severity.WARNING,
    )


def _no_padding_token(model: str) -> Problem:
    return Problem(
        "M146",
        _("neither tokenizer nor config.json names a padding token: rows cannot share a batch"),
        Place(model),
        fix=_(
            "Write pad_token into its tokenizer_config.json and pad_token_id into its config.json; "
            "any token that texts do not hold will do."
        ),
    )
