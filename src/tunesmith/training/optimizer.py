"""The optimizer: AdamW, with biases and norms spared from weight decay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.recipe import TrainSettings

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["adamw", "decays", "make_optimizer", "parameter_groups", "read_state", "write_state"]

_SPARED = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: to matrices, not to biases and norms, as in transformers."""
    return parameter.ndim >= 2 and not _SPARED.search(name.lower())


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW as a recipe has it."""
    return adamw(model, settings)


def adamw(model: nn.Module, values: Any) -> torch.optim.Optimizer:
    """AdamW over the parameters that train, in two groups.

    Loshchilov and Hutter, "Decoupled weight decay regularization" (arXiv 1711.05101). The learning
    rate is written into the groups before every step; no scheduler holds state.

    Args:
        model: frozen weights marked.
        values: whatever has `learning_rate`, `weight_decay`, `adam_beta1`, `adam_beta2` and
            `adam_epsilon`: a recipe's settings, or the arguments of a Trainer.
    """
    import torch

    return torch.optim.AdamW(
        parameter_groups(model, values.weight_decay),
        lr=values.learning_rate,
        betas=(values.adam_beta1, values.adam_beta2),
        eps=values.adam_epsilon,
        fused=True,
    )


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters that train, in a group that decays and one that does not."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in trained if decays(name, p)], "weight_decay": weight_decay},
        {"params": [p for name, p in trained if not decays(name, p)], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def read_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's tensors under flat names: "encoder.weight.exp_avg"."""
    import torch

    return {
        f"{name}.{part}": torch.as_tensor(value).contiguous()
        for name, parameter in model.named_parameters()
        for part, value in optimizer.state.get(parameter, {}).items()
    }


def write_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> list[str]:
    """Let tensors of `read_state` be the state, to the bit; returns names of other weights.

    What the optimizer held before is forgotten; no tensors at all make it as new.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    unknown = []
    state: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        name, _dot, part = key.rpartition(".")
        if name not in named or (tensor.dim() > 0 and tensor.shape != named[name].shape):
            unknown.append(name)
            continue
        # copied into memory of torch's own, aligned as the first run had it
        state.setdefault(name, {})[part] = tensor.to(named[name].device, copy=True)
    optimizer.state.clear()
    for name, parts in state.items():
        optimizer.state[named[name]] = parts
    return unknown
