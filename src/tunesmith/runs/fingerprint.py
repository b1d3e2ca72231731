"""Fingerprints: what a run's numbers depend on, and what of it changed."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunesmith.errors import IntegrityError, Place, Problem, Severity
from tunesmith.i18n import gettext as _
from tunesmith.i18n import gettext_noop as N_
from tunesmith.recipe import Recipe, flatten
from tunesmith.recipe.renamed import new_name

__all__ = [
    "MAY_CHANGE",
    "changed_bits",
    "differences",
    "disagreements",
    "hash_of",
    "lasting_settings",
    "machine_facts",
    "refuse_changes",
    "refuse_foreign",
    "versions",
]

MAY_CHANGE = frozenset(
    {
        ("train", "save_every"),
        ("train", "keep_checkpoints"),
        ("train", "log_every"),
        ("train", "eval_batch_size"),
        ("data", "allow_leak"),
        ("data", "on_bad_row"),
        ("train", "micro_batch_size"),
        ("train", "preflight"),
        ("trackers",),
    }
)
"""Keys of a recipe that change nothing but what is kept and said, and how much goes through at
once, or, as of a bad row, what no step has seen yet: another value continues the same run."""

_PARTS = (N_("recipe"), N_("data"), N_("tokenizer"), N_("model"))
"""The parts that decide the numbers. Others (versions, machine) decide their last bits."""
_BITS = (N_("versions"), N_("machine"))

_LIBRARIES = ("tunesmith", "torch", "transformers", "tokenizers", "accelerate", "datasets", "numpy")


def hash_of(value: object) -> str:
    """A short hash of plain values, the same on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def lasting_settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that a run keeps from its first step to its last, by dotted key."""
    values = recipe.model_dump(mode="json")
    settings = {}
    for path in flatten(values):
        if path not in MAY_CHANGE:
            value: Any = values
            for key in path:
                value = value[key]
            settings[".".join(path)] = value
    return settings


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that compute."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def machine_facts(
    *, device: str, processes: int, precision: str, engine: str, micro_batch_size: int
) -> dict[str, Any]:
    """What makes two machines compute the same bits, or not."""
    import torch

    facts: dict[str, Any] = {
        "device": device.partition(":")[0],  # one of several processes has a GPU with a number
        "processes": processes,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "precision": precision,
        "engine": engine,
        "micro_batch_size": micro_batch_size,
        "platform": sys.platform,
    }
    if device == "cpu" and engine == "fast" and find_spec("numba") is not None:
        facts["numba"] = version("numba")
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name()
        facts["cuda"] = torch.version.cuda
    if device.startswith("mps"):  # its kernels are compiled by the system
        facts["macos"] = platform.mac_ver()[0]
    return facts


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The parts that decide the numbers and differ, each with what differs in it.

    Args:
        before: a fingerprint as it was kept; what an older version did not keep is not compared.
        now: the fingerprint of the moment.
    """
    if "recipe" in before:
        passing = {".".join(path) for path in MAY_CHANGE}
        recipe = {new_name(key): value for key, value in before["recipe"].items()}
        recipe = {key: value for key, value in recipe.items() if key not in passing}
        before = {**before, "recipe": recipe}
    changed = {}
    for part in _PARTS:
        if part in before and (lines := tuple(_lines(before[part], now.get(part), ""))):
            changed[part] = lines
    return changed


def disagreements(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """What differs between two processes of a job: `part name: ours → theirs` of each value."""
    return [
        f"{_(part)} {line}"
        for part in (*_PARTS, *_BITS)
        for line in _lines(ours.get(part), theirs.get(part), "")
    ]


def _lines(before: object, now: object, name: str) -> Iterator[str]:
    """`name: before → now` for every value that differs; of hashes the first twelve digits."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in before:
            yield from _lines(before[key], now.get(key), f"{name}.{key}" if name else str(key))
        for key in now.keys() - before.keys() if name else ():  # such as another file of a model
            yield f"{name}.{key}: - → {_shown(now[key])}"
    elif before != now:
        yield (f"{name}: " if name else "") + f"{_shown(before)} → {_shown(now)}"


def _shown(value: object) -> str:
    text = "-" if value is None else str(value)
    is_hash = len(text) >= 16 and all(digit in "0123456789abcdef" for digit in text)
    return text[:12] if is_hash else text


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], run: str) -> None:
    """Refuse to continue a run whose numbers would be those of another.

    Raises:
        IntegrityError: the recipe, the data, the tokenizer or the base model changed (C104).
    """
    if changed := differences(before, now):
        raise IntegrityError(
            [
                Problem(
                    "C104",
                    _("the {what} changed since the run began").format(what=_(part)),
                    Place(run),
                    evidence=lines[:5],
                    fix=_("Start another run with --out, or start again with --restart."),
                )
                for part, lines in changed.items()
            ]
        )


_WITH_PROCESSES = ("processes", "micro_batch_size", "threads")
"""What changes when a run is continued by another number of processes: reported as one."""


def changed_bits(before: Mapping[str, Any], now: Mapping[str, Any], run: str) -> list[Problem]:
    """What differs from when the run began: warnings, each a reason not to expect the same bits."""
    changed = {
        key: (before_value, now_value)
        for part in ("machine", "versions")
        for key, before_value in before.get(part, {}).items()
        if (now_value := now.get(part, {}).get(key)) != before_value
    }
    together = [key for key in _WITH_PROCESSES if key in changed and "processes" in changed]
    groups = [together] if together else []
    groups += [[key] for key in changed if key not in together]
    return [_not_bit_exact({key: changed[key] for key in group}, run) for group in groups]


def _not_bit_exact(changed: Mapping[str, tuple[object, object]], run: str) -> Problem:
    changes = [f"{key} {before} → {now}" for key, (before, now) in changed.items()]
    fix = _("The result differs by rounding; for the same bits, resume as the run began.")
    if "micro_batch_size" in changed:
        before, now = changed["micro_batch_size"]
        fix = _(
            "Each step has the same rows. Dropout is drawn again, for {now} rows at once; "
            "--set train.micro_batch_size={before} keeps it."
        ).format(before=before, now=now)
    elif "processes" in changed:
        fix = _(
            "Each step has the same rows and the same dropout; only sums are rounded in another "
            "order. For the same bits, resume with as many processes as the run began with."
        )
    return Problem(
        "C103",
        _("resuming, not bit-exact: {changes}").format(changes=", ".join(changes)),
        Place(run),
        fix=fix,
        severity=Severity.WARNING,
    )


def refuse_foreign(folder: Path, saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that another run wrote, whatever the shapes of its tensors.

    Args:
        folder: of the checkpoint.
        saved: the fingerprint in it.
        now: that of this run.

    Raises:
        IntegrityError: a part that decides the numbers differs, or it has no fingerprint (C109).
    """
    changed = differences(saved, now)
    if saved.keys() >= set(_PARTS) and not changed:
        return
    lines = [line for lines in changed.values() for line in lines]
    raise IntegrityError.of(
        "C109",
        _("the checkpoint belongs to another run: it differs in {parts}").format(
            parts=", ".join(_(part) for part in changed)
        )
        if changed
        else _("the checkpoint does not say which run it belongs to"),
        Place(str(folder)),
        evidence=tuple(lines[:5]),
        fix=_("Move it out of the folder; the same command continues without it."),
    )
