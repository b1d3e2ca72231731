"""The random numbers of a process: kept while something else draws, and in checkpoints.

Our loop draws everything from its plan. Transformers' own loop draws from the process, and goes on
exactly only if that state is saved, too. Safetensors and JSON, no pickle.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tunesmith.interop.trainer.checkpoints import unusable

__all__ = [
    "random_state",
    "read_random_state",
    "set_random_state",
    "undisturbed_chance",
    "write_random_states",
]

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
