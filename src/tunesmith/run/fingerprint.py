"""Fingerprints: what a run's numbers depend on besides its recipe, and what of it changed."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from tunesmith.errors import IntegrityError, Place, Problem, Severity
from tunesmith.language import gettext as _
from tunesmith.language import mark

__all__ = ["compare", "hash_of", "machine_facts", "versions"]

_NUMBERS = (mark("data"), mark("tokenizer"), mark("model"))
_LIBRARIES = ("tunesmith", "torch", "transformers", "tokenizers", "accelerate", "datasets", "numpy")


def hash_of(value: object) -> str:
    """A short hash of plain values, the same on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that compute."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def machine_facts(
    *, device: str, processes: int, precision: str, engine: str, micro_batch_size: int
) -> dict[str, Any]:
    """What makes two machines compute the same bits, or not."""
    import torch

    facts: dict[str, Any] = {
        "device": device,
        "processes": processes,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "precision": precision,
        "engine": engine,
        "micro_batch_size": micro_batch_size,
        "platform": sys.platform,
    }
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name()
        facts["cuda"] = torch.version.cuda
    return facts


def compare(before: Mapping[str, Any], now: Mapping[str, Any], run: str) -> list[Problem]:
    """What differs from when the run began: warnings, each a reason not to expect the same bits.

    Raises:
        IntegrityError: the data, the tokenizer or the base model changed (C104).
    """
    changed = [key for key in _NUMBERS if before.get(key) != now.get(key)]
    if changed:
        raise IntegrityError(
            [
                Problem(
                    "C104",
                    _("the {what} changed since the run began").format(what=_(key)),
                    Place(run),
                    fix=_("Start another run with --out, or begin anew with --restart."),
                )
                for key in changed
            ]
        )
    return [
        Problem(
            "C103",
            _("resuming, not bit-exact: {what} {before} → {now}").format(
                what=key, before=before_value, now=now_value
            ),
            Place(run),
            severity=Severity.WARNING,
        )
        for part in ("machine", "versions")
        for key, before_value in before.get(part, {}).items()
        if (now_value := now.get(part, {}).get(key)) != before_value
    ]
