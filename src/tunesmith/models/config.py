"""The configuration of a model: a known architecture, checked values, dropout rates."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from tunesmith.errors import ModelError, Place, Problem
from tunesmith.i18n import gettext as _
from tunesmith.models.files import ModelFiles
from tunesmith.models.untrusted import first_line
from tunesmith.storage.library_logging import quiet_transformers
from tunesmith.text import did_you_mean

__all__ = ["default_padding", "impossible_config", "make_config", "overridden_dropout"]

_DROPOUT = re.compile(r"drop_?out|_pdrop$|layer_?drop")
_REFUSED = re.compile(
    r".*_implementation(_internal)?|quantization_config|compression_config|auto_map|"
    r"trust_remote_code|custom_.*|fusion_config|kernel_config|use_.*kernels|distributed_config|"
    r"tp_plan|tp_size|device_map|init_device|transformers_weights|per_layer_config|gguf_file|"
    r"adapter_kwargs|peft_config"
)
"""Fields that select code, kernels, devices or further files, in any class."""

_LEFT_OUT = {
    "dtype", "torch_dtype",  # weights are loaded as float32
    "return_dict", "use_return_dict", "output_hidden_states", "output_attentions", "torchscript",
    "chunk_size_feed_forward",  # fails for lengths that it does not divide
    "problem_type", "num_labels",  # set by the task
    "name_or_path", "transformers_version",
}  # fmt: skip
_REPEATED = re.compile(r"layer|block|head|expert|group|stage|depth|repeat")
_MOST_REPEATED = 100_000
_MOST = 2**31 - 1
_MOST_LABELS = 1_000_000


def make_config(files: ModelFiles, dropout: float | None, settings: Mapping[str, object]) -> Any:
    """Return a model's configuration as an instance of transformers' class.

    Only fields that the class declares, or that the source of its architecture names, are used,
    and none that select code, kernels, devices or further files.

    Args:
        files: from `locate`.
        dropout: overrides every dropout rate.
        settings: further values, such as `num_labels`.

    Raises:
        ModelError: the architecture is unknown or a value is impossible (M102), it requires remote
            code (M105), or config.json cannot be read (M109).
    """
    from transformers import CONFIG_MAPPING

    raw = files.config()
    kind = raw.pop("model_type")
    if kind not in CONFIG_MAPPING:
        raise ModelError(_unknown_architecture(files, kind, wants_code="auto_map" in raw))
    try:
        clean = _known_fields(raw, CONFIG_MAPPING[kind])
        if dropout is not None:
            clean |= overridden_dropout({**clean, "model_type": kind}, dropout)
        with quiet_transformers():
            config = CONFIG_MAPPING[kind].from_dict({**clean, **settings})
        _settle_padding(config)
    except Exception as error:  # of any type: classes check some values, and fail on others
        raise ModelError(impossible_config(files, error)) from error
    return config


def impossible_config(files: ModelFiles, error: BaseException) -> Problem:
    """Return the problem of a configuration from which no model can be built."""
    return Problem(
        "M102",
        _("config.json describes no model that can be built: {reason}").format(
            reason=first_line(error)
        ),
        Place(str(files.folder / "config.json")),
        fix=_("Fetch the model again, or choose another one."),
    )


def _unknown_architecture(files: ModelFiles, kind: str, *, wants_code: bool) -> Problem:
    if wants_code:
        return Problem(
            "M105",
            _("it requires remote code (auto_map in config.json)"),
            Place(files.name),
            fix=_("Remote code is never run. Choose a model of a known architecture."),
        )
    from transformers import CONFIG_MAPPING

    return Problem(
        "M102",
        _('the architecture "{kind}" is not known to transformers').format(kind=kind[:100]),
        Place(files.name),
        fix=did_you_mean(
            kind[:100],
            CONFIG_MAPPING,
            otherwise=_("Update transformers, or choose another model."),
        ),
    )


def _known_fields(raw: Mapping[str, Any], config_class: Any) -> dict[str, Any]:
    """Return the fields that an architecture uses; raise ValueError for absurd values."""
    declared = {field.name for field in fields(config_class)} | set(config_class.attribute_map)
    clean: dict[str, Any] = {}
    for name, value in raw.items():
        if name in _LEFT_OUT or _REFUSED.fullmatch(name):
            continue
        if name not in declared and (name.startswith("_") or not _is_named(name, config_class)):
            continue
        inner = config_class.sub_configs.get(name)
        if inner is not None and isinstance(value, dict):
            clean[name] = _known_fields(value, inner) if _has_fields(inner) else {}
        else:
            _refuse_absurd(name, value)
            clean[name] = value
    names = clean.get("id2label")
    if names is None and isinstance(count := raw.get("num_labels"), int):
        if not 0 < count <= _MOST_LABELS:
            raise ValueError(f"num_labels: {count}")
        clean["num_labels"] = count
    return clean


def _has_fields(config_class: Any) -> bool:
    return hasattr(config_class, "__dataclass_fields__")


def _is_named(name: str, config_class: Any) -> bool:
    """Return whether the source of an architecture names an undeclared field."""
    source = getattr(sys.modules.get(config_class.__module__), "__file__", None)
    return source is not None and name in _words_of(Path(source).parent)


@cache
def _words_of(folder: Path) -> frozenset[str]:
    sources = [*folder.glob("configuration_*.py"), *folder.glob("modeling_*.py")]
    texts = [source.read_text(encoding="utf-8") for source in sources]
    return frozenset(word for text in texts for word in re.findall(r"[A-Za-z_]\w+", text))


def _refuse_absurd(name: str, value: object) -> None:
    """Refuse numbers with which a class or a model would loop almost forever."""
    if isinstance(value, int):
        most = _MOST_REPEATED if _REPEATED.search(name) else _MOST
        if not -_MOST <= value <= most:
            raise ValueError(f"{name}: {value:.3g}")
    elif isinstance(value, list | dict) and len(value) > _MOST_LABELS:
        raise ValueError(f"{name}: {len(value)} values")


def _settle_padding(config: Any) -> None:
    """Set the padding token of decoders, which have none but need one, to the end of text."""
    padding = getattr(config, "pad_token_id", None)
    if padding is None or padding < 0:  # -1 used to mean none
        padding = _end_of_text(config)
    size = getattr(config, "vocab_size", None)
    if size is not None and padding is not None and padding >= size:
        raise ValueError(f"pad_token_id: {padding}, vocab_size: {size}")
    config.pad_token_id = padding


def _end_of_text(config: Any) -> int | None:
    end = getattr(config, "eos_token_id", None)
    if isinstance(end, list):
        end = end[0] if end else None
    return end if isinstance(end, int) else None


def default_padding(config: Mapping[str, Any]) -> int | None:
    """Return the token used for padding where neither a configuration nor its class names one."""
    if isinstance(config.get("pad_token_id"), int):
        return None
    from transformers import CONFIG_MAPPING

    config_class = CONFIG_MAPPING[config["model_type"]]
    known = config_class.from_dict(_known_fields(config, config_class))
    return _end_of_text(known) if known.pad_token_id is None else None


def overridden_dropout(config: Mapping[str, Any], rate: float) -> dict[str, float]:
    """Return all dropout rates of a configuration, defaults included, set to one rate."""
    from transformers import CONFIG_MAPPING

    defaults = CONFIG_MAPPING[config["model_type"]]().to_dict()
    names = {
        key
        for values in (config, defaults)
        for key, value in values.items()
        if _DROPOUT.search(key) and _is_rate(value)
    }
    if "classifier_dropout" in defaults:
        names.add("classifier_dropout")
    return dict.fromkeys(sorted(names), rate)


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
