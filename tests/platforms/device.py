"""A device that is not the CPU and has no double precision, as GPUs of Apple; computed on the CPU.

torch sees a device of its own type: tensors move to it and back, and what mixes it with tensors of
the host, or makes a float64 on it, is an error. It is made of torch's slot for foreign backends
(`PrivateUse1`, from Python) and a class of tensors that hold theirs on the CPU. One per process,
for good: only in a child.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

__all__ = ["NAME", "make_device"]

NAME = "single"
"""Its type: it computes in single precision."""

_REFUSED = "Cannot convert a tensor to float64 dtype as this device doesn't support float64"
_libraries: list[torch.library.Library] = []


class OnDevice(torch.Tensor):
    """A tensor of the device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> OnDevice:
        if inner.dtype in (torch.float64, torch.complex128):
            raise TypeError(_REFUSED)
        made: OnDevice = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=f"{NAME}:0"
        )
        made.inner = inner
        return made

    def untyped_storage(self) -> torch.UntypedStorage:
        """That of the held tensor, which libraries compare to find tensors that share memory."""
        return self.inner.untyped_storage()

    def data_ptr(self) -> int:
        """Of the same."""
        return self.inner.data_ptr()

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, _types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        keywords = dict(keywords or {})
        moves = function.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_)
        target = keywords.get("device")
        leaves = tree_flatten((arguments, keywords))[0]
        tensors = [value for value in leaves if isinstance(value, torch.Tensor)]
        strangers = [t for t in tensors if not isinstance(t, OnDevice) and t.dim() > 0]
        if strangers and not moves and function.overloadpacket not in _TAKES_INDICES:
            raise RuntimeError(f"{function}: tensors of the host and of {NAME}:0")
        wrappers = {id(t.inner): t for t in tensors if isinstance(t, OnDevice)}
        if target is not None:
            keywords["device"] = torch.device("cpu")
        result = function(*tree_map(_inner, arguments), **tree_map(_inner, keywords))
        if moves and not isinstance(arguments[0], OnDevice):
            return arguments[0]  # copied to the host
        if target is not None and torch.device(target).type == "cpu":
            return result
        return tree_map(lambda value: _wrapped(value, wrappers), result)


_TAKES_INDICES = (torch.ops.aten.index, torch.ops.aten.index_put_, torch.ops.aten.index_put)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, OnDevice) else value


def _wrapped(value: Any, wrappers: dict[int, OnDevice]) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    known = wrappers.get(id(value))
    return OnDevice(value) if known is None else known


def make_device() -> torch.device:
    """Register the device in this process."""
    module = types.ModuleType(f"torch.{NAME}")
    vars(module).update(
        is_available=lambda: True, is_initialized=lambda: True, _is_in_bad_fork=lambda: False,
        device_count=lambda: 1, current_device=lambda: 0, set_device=lambda _device: None,
        synchronize=lambda _device=None: None, manual_seed=lambda _seed: None,
        manual_seed_all=lambda _seed: None,
        get_rng_state=lambda _device=None: torch.get_rng_state(),
        set_rng_state=lambda state, _device=None: torch.set_rng_state(state),
        get_amp_supported_dtype=lambda: [torch.bfloat16], empty_cache=lambda: None,
    )  # fmt: skip
    # moved in place, weights that are tied stay tied
    torch.__future__.set_swap_module_params_on_conversion(True)
    _setup_privateuseone_for_python_backend(NAME, backend_module=module)
    library = torch.library.Library("aten", "IMPL")
    for name, operation in _factories():
        library.impl(name, _on_device(operation), "PrivateUse1")
    library.impl("_copy_from", _copy_from, "PrivateUse1")  # torch.tensor calls it by itself
    _libraries.append(library)
    return torch.device(NAME, 0)


def _on_device(operation: Any) -> Any:
    def make(*arguments: Any, **keywords: Any) -> OnDevice:
        keywords = {**keywords, "device": torch.device("cpu"), "pin_memory": None}
        return OnDevice(operation(*arguments, **keywords))

    return make


def _copy_from(source: torch.Tensor, target: torch.Tensor, _non_blocking: bool = False) -> Any:
    _inner(target).copy_(_inner(source))
    return target


def _factories() -> Iterator[tuple[str, Any]]:
    """Operations that make a tensor on a device from none."""
    left_out = ("sparse", "quantized", "cudnn", "mkldnn", "nested", "token", "from_file")
    for full in torch._C._dispatch_get_all_op_names():
        name, _dot, overload = full.removeprefix("aten::").partition(".")
        if not full.startswith("aten::") or any(part in full for part in left_out):
            continue
        operation = getattr(getattr(torch.ops.aten, name), overload or "default", None)
        if operation is None:
            continue
        schema = operation._schema
        names = {argument.name for argument in schema.arguments}
        takes_tensors = any("Tensor" in str(argument.type) for argument in schema.arguments)
        if {"device", "pin_memory"} <= names and not takes_tensors and len(schema.returns) == 1:
            yield full.removeprefix("aten::"), operation
