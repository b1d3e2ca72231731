from __future__ import annotations

import pytest
import torch

from tunesmith.training.fast.kernels.dropout import PIECE, drop, takes
from tunesmith.training.fast.kernels.parallel import Dropout


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_part_is_dropped_and_the_rest_lifted(kind: torch.dtype, rate: float) -> None:
    torch.manual_seed(0)
    dropout = Dropout.draw(rate)
    values = (torch.rand(3 * PIECE + 5, 16) + 0.5).to(kind)
    result = drop(values, dropout)
    is_left = result != 0
    assert torch.equal(result[is_left], (values.float() * dropout.lift).to(kind)[is_left])
    assert float((~is_left).float().mean()) == pytest.approx(rate, abs=0.01)
    assert torch.equal(drop(values, dropout), result), "drawn again"
    assert not torch.equal(drop(values, Dropout.draw(rate)), result)


def test_other_tensors_are_refused() -> None:
    assert takes(torch.ones(4, 8))
    assert not takes(torch.ones(3, 5))
    assert not takes(torch.ones(16, 32).t())
    assert not takes(torch.ones(16, dtype=torch.float64))
