from __future__ import annotations

import torch

from tunesmith.tasks.outputs import Outputs


def test_values_of_a_batch_and_of_one_example() -> None:
    logits, words = torch.arange(6.0).view(3, 2), torch.arange(4.0)
    outputs = Outputs(None, {"logits": logits}, {"words": (torch.tensor([0, 2, 0, 2]), words)})
    assert {name: values.tolist() for name, values in outputs.tensors().items()} == {
        "logits": logits.tolist(),
        "words": words.tolist(),
    }
    assert outputs.tensors(2)["logits"].tolist() == [4.0, 5.0]
    assert outputs.tensors(2)["words"].tolist() == [1.0, 3.0]
    assert outputs.tensors(1)["words"].tolist() == []
