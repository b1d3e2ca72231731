from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from tunesmith.errors import IntegrityError
from tunesmith.interop.trainer.rng import (
    random_state,
    read_random_state,
    set_random_state,
    undisturbed_chance,
    write_random_states,
)

Drawn = tuple[float, float, float, float]


def draw() -> Drawn:
    return (
        random.gauss(0, 1),
        float(np.random.normal()),
        float(torch.rand(())),
        random.random(),
    )


def test_random_numbers_go_on_from_a_file(tmp_path: Path) -> None:
    """Also from between the two halves of a pair of normal numbers, and each process's own."""
    draw()
    states = [random_state()]
    first = draw()
    states.append(random_state())
    second = draw()
    write_random_states(tmp_path, states)
    for rank, expected in enumerate((first, second)):
        found = read_random_state(tmp_path, rank)
        assert found is not None
        set_random_state(found)
        assert draw() == expected
    assert read_random_state(tmp_path, 2) is None
    assert read_random_state(tmp_path / "none", 0) is None


def test_what_is_drawn_inside_changes_nothing() -> None:
    torch.manual_seed(5)
    before = random_state()
    expected = draw()
    set_random_state(before)
    with pytest.raises(KeyError), undisturbed_chance():
        torch.manual_seed(9)
        draw()
        raise KeyError
    assert torch.initial_seed() == 5 and draw() == expected


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "random.safetensors").write_bytes(b"no tensors")
    with pytest.raises(IntegrityError, match=r"M130"):
        read_random_state(tmp_path, 0)
