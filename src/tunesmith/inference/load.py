"""Loading a finished model again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tunesmith.data.columns import Roles
from tunesmith.errors import ModelError, Place, RecipeError
from tunesmith.i18n import gettext as _
from tunesmith.inference.model import Model
from tunesmith.models import load_tokenizer, locate, longest_input, try_model
from tunesmith.runs.model_folder import read_facts
from tunesmith.tasks import Task, task_from_config, task_from_json
from tunesmith.text import did_you_mean, quoted

__all__ = ["load"]

_PARTS = ("layers", "packing", "last_layer", "copies", "process", "streams", "waiting")
"""What can be left out of fast prediction, by name."""


def load(
    name: str | Path,
    *,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    roles: Roles | None = None,
    disable: Sequence[str] = (),
) -> Model:
    """Load a finished model: a run folder, a model folder, or a Hub name.

    Args:
        name: where it is.
        revision: of a Hub model.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "fp32", "bf16", or "auto": as its scores were computed; of a model from
            elsewhere bf16 where it is computed natively.
        roles: which column is what, in place of those it was trained with.
        disable: parts of fast prediction to leave out: "layers", "packing", "last_layer", "copies",
            "process", "streams" or "waiting".

    Raises:
        ModelError: it is no model, or has no trained head for a task (M114).
        RecipeError: there is no such device, precision or part (R104).
        IntegrityError: a file of the folder is not as it was written (C118).
    """
    _check_known("device", device, ("auto", "cpu", "cuda", "mps"))
    _check_known("precision", precision, ("auto", "fp32", "bf16"))
    for part in disable:
        _check_known("disable", part, _PARTS)
    files = locate(str(name), revision=revision)
    files.fingerprint()  # damaged weights would answer, and wrongly
    facts = read_facts(files.folder)
    tokenizer = load_tokenizer(files)
    if facts is not None:
        task: Task | None = task_from_json(facts["task"])
        max_length = min(facts["max_length"], longest_input(files, tokenizer))
    else:
        config = {**files.config(), **files.library_settings()}
        task = task_from_config(config, roles or Roles("text", None, "label"))
        limit = longest_input(files, tokenizer)
        max_length = min(limit, task.default_length or limit) if task else limit
    if task is None:
        raise ModelError.of(
            "M114",
            _("it has no trained head for a task; `tunesmith train` gives it one"),
            Place(str(name)),
            fix=_("Train it on labeled rows first: tunesmith train DATA --model {name}").format(
                name=name
            ),
        )
    if roles is not None:
        task = replace(task, roles=roles)  # type: ignore[type-var]
    task = task.with_tokenizer(tokenizer)
    loaded = task.build(files, seed=0, dropout=None)
    if loaded.new_weights:
        raise ModelError.of(
            "M114",
            _("weights of its head are missing: {names}").format(
                names=", ".join(loaded.new_weights[:3])
            ),
            Place(str(name)),
            fix=_("Fetch the model again, or choose another one."),
        )
    try_model(files.name, loaded.model, tokenizer)
    return Model(
        str(name), loaded.model, tokenizer, task, max_length, facts or {}, device, precision,
        frozenset(disable),
    )  # fmt: skip


def _check_known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RecipeError.of(
            "R104",
            _("{name} cannot be {value}: {reason}").format(
                name=name,
                value=quoted([value]),
                reason=_("choose from {choices}").format(choices=", ".join(known)),
            ),
            fix=did_you_mean(value, known, otherwise=_("Use one of these.")),
        )
