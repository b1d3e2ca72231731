"""What a checkpoint holds in addition to the model: optimizer, schedule, progress, random numbers.

Our loop draws everything from its plan. Transformers' own loop draws from the process, and resumes
exactly only if that state is saved, too. Tensors are safetensors, everything else is JSON.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from tunesmith.i18n import gettext as _
from tunesmith.interop.trainer.checkpoints import UnusableError, unusable
from tunesmith.training.optimizer import write_state
from tunesmith.training.progress import Progress

__all__ = [
    "Saved",
    "lead_on",
    "random_state",
    "read_random_state",
    "read_saved",
    "restore_optimizer",
    "restore_tensors",
    "set_random_state",
    "undisturbed_chance",
    "write_random_states",
    "write_saved",
]

_OPTIMIZER, _STATE = "optimizer.safetensors", "state.json"


@dataclass(frozen=True, slots=True)
class Saved:
    """The optimizer and progress of a checkpoint.

    Attributes:
        folder: the checkpoint.
        tensors: of the optimizer, by names such as "encoder.weight.exp_avg".
        progress: steps done.
        facts: what our loop noted; empty after transformers' own.
        groups: the options of each group of the optimizer.
        scheduler: its state, if that can be JSON; None else.
        scheduler_steps: how many steps it made.
    """

    folder: Path
    tensors: Mapping[str, torch.Tensor]
    progress: Progress
    facts: Mapping[str, Any]
    groups: Sequence[Mapping[str, Any]]
    scheduler: Mapping[str, Any] | None
    scheduler_steps: int


def write_saved(
    folder: Path,
    tensors: Mapping[str, torch.Tensor],
    *,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    progress: Progress,
    facts: Mapping[str, Any],
) -> None:
    """Put optimizer, schedule and progress into a folder that is about to be committed."""
    save_file(dict(tensors), folder / _OPTIMIZER)
    state = {
        "progress": asdict(progress),
        "facts": dict(facts),
        "groups": [
            {name: value for name, value in group.items() if name != "params" and _is_json(value)}
            for group in optimizer.param_groups
        ],
        "scheduler": _json_state(scheduler),
        "scheduler_steps": int(getattr(scheduler, "last_epoch", progress.step)),
    }
    text = json.dumps(state, indent=1) + "\n"
    (folder / _STATE).write_text(text, encoding="utf-8", newline="\n")


def read_saved(folder: Path) -> Saved:
    """Read what `write_saved` wrote, of a folder that is whole.

    Raises:
        UnusableError: it was written by something else (M130).
    """
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        return Saved(
            folder,
            load_file(folder / _OPTIMIZER),
            Progress(**state["progress"]),
            dict(state["facts"]),
            [dict(group) for group in state["groups"]],
            None if state["scheduler"] is None else dict(state["scheduler"]),
            int(state["scheduler_steps"]),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise unusable(folder, str(error) or type(error).__name__) from error


def restore_tensors(saved: Saved, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put the tensors of an optimizer back; learning rates and other options stay those of now.

    Raises:
        UnusableError: they are those of another one (M130).
    """
    if unknown := write_state(model, optimizer, saved.tensors):
        raise _mismatch(saved, ", ".join(sorted(set(unknown))[:3]))


def restore_optimizer(
    saved: Saved, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put an optimizer back as it was, the options of its groups included.

    Raises:
        UnusableError: its tensors or groups are those of another one (M130).
    """
    restore_tensors(saved, model, optimizer)
    if len(saved.groups) != len(optimizer.param_groups):
        raise _mismatch(saved, f"{len(saved.groups)} != {len(optimizer.param_groups)}")
    for group, options in zip(optimizer.param_groups, saved.groups, strict=True):
        for name, value in options.items():
            group[name] = tuple(value) if isinstance(group.get(name), tuple) else value


def _mismatch(saved: Saved, names: str) -> UnusableError:
    words = _("its optimizer does not match: {names}").format(names=names)
    return unusable(saved.folder, words)


def lead_on(saved: Saved, scheduler: Any) -> None:
    """Put a scheduler back as it was; one without a state in JSON makes its steps again."""
    if saved.scheduler is not None:
        scheduler.load_state_dict(dict(saved.scheduler))
        return
    for _step in range(saved.scheduler_steps):
        scheduler.step()


def _json_state(scheduler: Any) -> Any:
    state = scheduler.state_dict() if hasattr(scheduler, "state_dict") else None
    return state if _is_json(state) else None


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


_RANDOM = "random.safetensors"


@contextmanager
def undisturbed_chance() -> Iterator[None]:
    """Let whatever is drawn or seeded inside change nothing for the process afterwards."""
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)


def random_state() -> dict[str, Any]:
    """The random numbers of this process: of Python, numpy, and torch on each device."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    tensors = {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
    }
    if torch.cuda.is_available():
        tensors |= {f"cuda.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    if torch.backends.mps.is_available():
        tensors["mps"] = torch.mps.get_rng_state()
    return {
        "tensors": tensors,
        "python": random.getstate(),
        "numpy": [str(kind), int(position), int(has_gauss), float(gauss)],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Let random numbers go on from where `random_state` was called."""
    tensors = state["tensors"]
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, position, has_gauss, cached = state["numpy"]
    np.random.set_state(
        (kind, tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, cached)
    )
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available():
        devices = [tensors[name] for name in sorted(tensors) if name.startswith("cuda.")]
        torch.cuda.set_rng_state_all(devices[: torch.cuda.device_count()])
    if torch.backends.mps.is_available() and "mps" in tensors:
        torch.mps.set_rng_state(tensors["mps"])


def write_random_states(folder: Path, states: Sequence[Mapping[str, Any]]) -> None:
    """Those of all processes in one file."""
    tensors = {
        f"{rank}.{name}": tensor
        for rank, state in enumerate(states)
        for name, tensor in state["tensors"].items()
    }
    rest = [{name: state[name] for name in ("python", "numpy")} for state in states]
    save_file(tensors, folder / _RANDOM, metadata={"rest": json.dumps(rest)})


def read_random_state(folder: Path, rank: int) -> dict[str, Any] | None:
    """That of one process; None if the checkpoint holds none for it."""
    if not (folder / _RANDOM).is_file():
        return None
    try:
        with safe_open(folder / _RANDOM, framework="pt") as file:
            rest = json.loads(file.metadata()["rest"])
            if rank >= len(rest):
                return None
            prefix = f"{rank}."
            tensors = {
                name.removeprefix(prefix): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 - no mapping
                if name.startswith(prefix)
            }
        return {"tensors": tensors, **rest[rank]}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise unusable(folder, str(error)) from error
