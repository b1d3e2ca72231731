"""The configuration of a model: an architecture that transformers knows, and its dropout rates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunesmith.errors import ModelError, Place, Problem, nearest
from tunesmith.language import gettext as _
from tunesmith.model.files import ModelFiles

__all__ = ["make_config", "overridden_dropout", "stand_in_padding"]

_DROPOUT = re.compile(r"drop_?out|_pdrop$|layer_?drop")
_UNSAFE_KEYS = ("auto_map", "trust_remote_code", "custom_generate", "quantization_config")


def make_config(files: ModelFiles, dropout: float | None, settings: Mapping[str, object]) -> Any:
    """A model's configuration as transformers' class.

    Args:
        files: from `locate`.
        dropout: overrides every dropout rate.
        settings: further values, such as `num_labels`.

    Raises:
        ModelError: the architecture is unknown (M102) or wants code of its own (M105).
    """
    from transformers import CONFIG_MAPPING

    raw = files.config()
    kind = raw.pop("model_type")
    if kind not in CONFIG_MAPPING:
        if "auto_map" in raw:
            raise ModelError(
                Problem(
                    "M105",
                    _("it wants to run code of its own (auto_map in config.json)"),
                    Place(files.name),
                    fix=_("Remote code is never run. Choose a model of a known architecture."),
                )
            )
        close = nearest(str(kind), CONFIG_MAPPING)
        raise ModelError(
            Problem(
                "M102",
                _('the architecture "{kind}" is not known to transformers').format(kind=kind),
                Place(files.name),
                fix=_('did you mean "{name}"?').format(name=close[0]) if close else None,
            )
        )
    clean = {
        key: value
        for key, value in raw.items()
        if key not in _UNSAFE_KEYS and not (key.startswith("_") and key != "_name_or_path")
    }
    if dropout is not None:
        clean |= overridden_dropout({**clean, "model_type": kind}, dropout)
    clean |= settings
    config = CONFIG_MAPPING[kind].from_dict(clean)
    if config.pad_token_id is None:  # decoders have none, and their heads look for it
        config.pad_token_id = config.eos_token_id
    return config


def stand_in_padding(config: Mapping[str, Any]) -> int | None:
    """The token that stands in for padding where a configuration, or its class, names none."""
    if isinstance(config.get("pad_token_id"), int):
        return None
    from transformers import CONFIG_MAPPING

    known = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
    return known.eos_token_id if known.pad_token_id is None else None


def overridden_dropout(config: Mapping[str, Any], rate: float) -> dict[str, float]:
    """Every dropout rate of a configuration, also those it leaves to its class, set to one rate."""
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
