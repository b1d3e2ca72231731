"""`TrainingArguments` that also knows the names it had before.

The class is transformers' own with its fields, defaults and checks; only names that it has lost are
turned into those it has now, a line for each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import transformers

from tunesmith.errors import ArgumentError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.interop.trainer.support import notice, refusal
from tunesmith.recipe.renamed import RENAMED
from tunesmith.text import did_you_mean

__all__ = ["REMOVED", "Removed", "Seq2SeqTrainingArguments", "TrainingArguments"]


@dataclass(frozen=True, slots=True)
class Removed:
    """An argument that transformers no longer has.

    Attributes:
        default: its old default; None also counts as that.
        turned: its value in today's arguments; none if it is left out.
        why: why it is left out, or what to use if it is refused, marked for translation.
        refused: whether a value requests something that is not supported.
    """

    default: object = None
    turned: Callable[[Any], Mapping[str, object]] | None = None
    why: str = ""
    refused: Callable[[Any], bool] = lambda _value: False


def _same(name: str, default: object = None) -> Removed:
    """The value under the name that the table of renamed arguments gives."""
    became = RENAMED[name].became
    return Removed(default, lambda value: {became: value})


def _left_out(default: object, why: str, refused: object = ()) -> Removed:
    return Removed(default, None, why, lambda value: value == refused)


def _tensorboard(folder: str) -> Mapping[str, object]:
    """TensorBoard reads its folder from a variable now; one that is set already stays."""
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder))
    return {}


_AUTOMATIC = N_("it is automatic now")
_GONE = N_("it no longer has any effect")
_AMP = N_("mixed precision is torch's own; use bf16=True")
_SHARDED = N_("training is shared among processes as a whole; use transformers' Trainer")

REMOVED: Mapping[str, Removed] = {
    "evaluation_strategy": _same("evaluation_strategy", "no"),
    "warmup_ratio": _same("warmup_ratio", 0.0),
    "no_cuda": _same("no_cuda", False),
    "per_gpu_train_batch_size": _same("per_gpu_train_batch_size"),
    "per_gpu_eval_batch_size": _same("per_gpu_eval_batch_size"),
    "include_tokens_per_second": _same("include_tokens_per_second", False),
    "push_to_hub_token": _same("push_to_hub_token"),
    "torchdynamo": _same("torchdynamo"),
    "group_by_length": Removed(False, lambda _on: {"train_sampling_strategy": "group_by_length"}),
    "adafactor": Removed(False, lambda _on: {"optim": "adafactor"}),
    "include_inputs_for_metrics": Removed(False, lambda _on: {"include_for_metrics": ["inputs"]}),
    "push_to_hub_model_id": Removed(None, lambda name: {"hub_model_id": name}),
    "push_to_hub_organization": Removed(None, lambda name: {"hub_model_id": f"{name}/"}),
    "fsdp_min_num_params": Removed(0, lambda n: {"fsdp_config": {"min_num_params": n}}),
    "fsdp_transformer_layer_cls_to_wrap": Removed(
        None, lambda name: {"fsdp_config": {"transformer_layer_cls_to_wrap": name}}
    ),
    "tpu_metrics_debug": Removed(False, lambda _on: {"debug": "tpu_metrics_debug"}),
    "logging_dir": Removed(None, _tensorboard),
    "evaluate_during_training": Removed(False, lambda _on: {"eval_strategy": "steps"}),
    "xpu_backend": Removed(None, lambda name: {"ddp_backend": name}),
    "overwrite_output_dir": _left_out(False, N_("checkpoints of the same step are replaced")),
    "use_mps_device": _left_out(False, _AUTOMATIC),
    "use_ipex": _left_out(False, _AUTOMATIC),
    "save_safetensors": _left_out(True, N_("weights are always safetensors"), False),
    "half_precision_backend": _left_out("auto", _AMP, "apex"),
    "fp16_backend": _left_out("auto", _AMP, "apex"),
    "fp16_opt_level": _left_out("O1", _AMP),
    "jit_mode_eval": _left_out(False, N_("it changes speed alone")),
    "tpu_num_cores": _left_out(None, N_("set the variable TPU_NUM_CORES")),
    "ray_scope": _left_out("last", N_("set the variable RAY_SCOPE")),
    "past_index": Removed(-1, None, N_("no model keeps a past between batches"),
                          lambda value: value >= 0),
    "mp_parameters": _left_out("", _GONE),
    "use_legacy_prediction_loop": _left_out(False, _GONE),
    "_n_gpu": _left_out(-1, _GONE),
    "dispatch_batches": _left_out(None, _GONE),
    "split_batches": _left_out(False, N_("batch sizes are those of one process"), True),
    "sharded_ddp": Removed("", None, _SHARDED, bool),
}  # fmt: skip
"""What 4.x had and 5 has not."""


class TrainingArguments(transformers.TrainingArguments):  # type: ignore[misc]
    """The arguments of a `Trainer`, under their names of today or of transformers 4.

    Everything else is transformers' own class: fields, defaults, derived values, `to_dict()`.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        """Turn old names into new ones and hand them on.

        Raises:
            ArgumentError: an argument that never was (R130), that is set twice (R132), or asks for
                something not supported (R131).
            ValueError: transformers' own checks of the values.
        """
        now = {field.name for field in fields(type(self)) if field.init}
        old = {name: named.pop(name) for name in list(named) if name in REMOVED}
        if unknown := [name for name in named if name not in now]:
            raise ArgumentError([_unknown(name, {*now, *REMOVED}) for name in unknown])
        taken = _turn(old)
        if twice := sorted(taken.keys() & named.keys()):
            raise ArgumentError([_twice(name) for name in twice])
        super().__init__(*args, **named, **taken)


class Seq2SeqTrainingArguments(TrainingArguments, transformers.Seq2SeqTrainingArguments):  # type: ignore[misc]
    """The arguments of a `Seq2SeqTrainer`: those of a `Trainer`, and how texts are generated."""


def _turn(old: Mapping[str, Any]) -> dict[str, Any]:
    """Translate old arguments to today's; log a line for each that has an effect."""
    taken: dict[str, Any] = {}
    problems = []
    for name, value in old.items():
        removed = REMOVED[name]
        if value is None or value == removed.default:
            continue
        if removed.refused(value):
            problems.append(refusal(f"{name}={value!r}", removed.why))
        elif removed.turned is None:
            words = _("{name} is gone from transformers and left out: {why}")
            notice("TrainingArguments: " + words.format(name=name, why=_(removed.why)))
        else:
            turned = removed.turned(value)
            text = ", ".join(f"{key}={_shown(key, item)}" for key, item in turned.items())
            notice(
                "TrainingArguments: "
                + _("{name} is gone from transformers and taken as {now}").format(
                    name=name, now=text or "TENSORBOARD_LOGGING_DIR"
                )
            )
            taken = _joined(taken, turned)
    if problems:
        raise ArgumentError(problems)
    return taken


def _joined(taken: Mapping[str, Any], turned: Mapping[str, Any]) -> dict[str, Any]:
    """Two old arguments may be parts of one: an organization and a name, keys of a mapping."""
    joined = dict(taken)
    for key, value in turned.items():
        before = joined.get(key)
        if isinstance(before, dict):
            joined[key] = {**before, **value}
        elif key == "hub_model_id" and before is not None:
            joined[key] = before + value if before.endswith("/") else value + before
        else:
            joined[key] = value
    return joined


def _shown(key: str, value: object) -> str:
    return "…" if "token" in key and isinstance(value, str) else repr(value)


def _unknown(name: str, known: set[str]) -> Problem:
    return Problem(
        "R130",
        _('there is no argument "{name}"').format(name=name),
        Place("TrainingArguments"),
        fix=did_you_mean(name, known),
    )


def _twice(name: str) -> Problem:
    return Problem(
        "R132",
        _("{name} is set twice, by its name of today and by an old one").format(name=name),
        Place("TrainingArguments"),
        fix=_("Keep the name of today."),
    )
