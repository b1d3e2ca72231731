"""Weights from safetensors files: nothing else is ever opened as weights.

A file is the length of its header (8 bytes, little-endian), the header (JSON: for each tensor its
type, shape and offsets), and the numbers. The header is checked before anything is allocated:
https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.i18n import gettext as _
from tunesmith.models.untrusted import UnreadableFile, open_regular

if TYPE_CHECKING:
    import torch

__all__ = ["FLOATS", "StoredTensor", "read_headers", "read_tensors"]

FLOATS = ("F64", "F32", "F16", "BF16")
"""Types of weights; others belong to quantized models."""

_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2,
    "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
_TORCH = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "I16": "int16", "U16": "uint16", "F16": "float16",
    "BF16": "bfloat16", "I32": "int32", "U32": "uint32", "F32": "float32", "I64": "int64",
    "U64": "uint64", "F64": "float64", "C64": "complex64",
}  # fmt: skip
_MAX_HEADER_BYTES = 25_000_000
_MAX_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """The position of a tensor in a file.

    Attributes:
        path: of its file.
        dtype: as safetensors writes it, such as "F32".
        shape: of the tensor.
        start: offset of its numbers in the file, in bytes.
        size: of its numbers, in bytes.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int

    @property
    def num_elements(self) -> int:
        """Return its number of elements."""
        return math.prod(self.shape)


def read_headers(paths: Sequence[Path]) -> dict[str, StoredTensor]:
    """Return the tensors in some files by name, in the order of the files.

    Raises:
        UnreadableFile: one is missing, is not whole, or is not safetensors; the reason names it.
    """
    stored: dict[str, StoredTensor] = {}
    for path in paths:
        try:
            with open_regular(path) as file:
                tensors = _read_header(file, path)
        except FileNotFoundError:
            raise UnreadableFile(_("{file} is missing").format(file=path.name)) from None
        except UnreadableFile as error:
            raise UnreadableFile(f"{path.name}: {error}") from error
        if twice := stored.keys() & tensors.keys():
            raise UnreadableFile(
                _("{file}: another file also has {name}").format(file=path.name, name=min(twice))
            )
        stored |= tensors
    return stored


def read_tensors(stored: Mapping[str, StoredTensor]) -> dict[str, torch.Tensor]:
    """Read tensors into CPU memory.

    Raises:
        UnreadableFile: a file was truncated since its header was read, or cannot be read.
    """
    import torch

    tensors = {}
    files: dict[Path, BufferedReader] = {}
    try:
        for name, tensor in stored.items():
            if tensor.path not in files:
                files[tensor.path] = open_regular(tensor.path)
            numbers = torch.empty(tensor.size, dtype=torch.uint8)
            file = files[tensor.path]
            file.seek(tensor.start)
            if tensor.size and file.readinto(numbers.numpy()) != tensor.size:  # type: ignore[arg-type]
                raise UnreadableFile(
                    _("{file} was cut while it was read").format(file=tensor.path.name)
                )
            kind = getattr(torch, _TORCH[tensor.dtype])
            tensors[name] = numbers.view(kind).reshape(tensor.shape)
    except OSError as error:
        raise UnreadableFile(str(error)) from error
    finally:
        for file in files.values():
            file.close()
    return tensors


def _read_header(file: BufferedReader, path: Path) -> dict[str, StoredTensor]:
    file_size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if file_size < 8 or not 2 <= length <= file_size - 8 or length > _MAX_HEADER_BYTES:
        raise UnreadableFile(_("it is not a safetensors file, or not all of it"))
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_unique_names)
    except UnreadableFile:
        raise
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(_("its header is not JSON: {reason}").format(reason=error)) from error
    if not isinstance(header, dict):
        raise UnreadableFile(_("its header is not a JSON object"))
    header.pop("__metadata__", None)
    begin = 8 + length
    tensors = {name: _stored(path, name, facts, begin) for name, facts in header.items()}
    _check_layout(tensors, begin, file_size)
    return tensors


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise UnreadableFile(_("its header has a duplicate name"))
    return names


def _stored(path: Path, name: str, facts: object, begin: int) -> StoredTensor:
    """Check one entry of the header."""
    wrong = UnreadableFile(_("its header has a wrong entry for {name}").format(name=name))
    if not isinstance(facts, dict) or not isinstance(dtype := facts.get("dtype"), str):
        raise wrong
    if dtype not in _BYTES:
        raise UnreadableFile(
            _("{name} has the type {dtype}, which is not supported").format(name=name, dtype=dtype)
        )
    shape, offsets = _sizes(facts.get("shape")), _sizes(facts.get("data_offsets"))
    if shape is None or len(shape) > _MAX_DIMENSIONS or offsets is None or len(offsets) != 2:
        raise wrong
    size = math.prod(shape) * _BYTES[dtype]
    if offsets[1] - offsets[0] != size:
        raise wrong
    return StoredTensor(path, dtype, shape, begin + offsets[0], size)


def _sizes(value: object) -> tuple[int, ...] | None:
    """Return sizes from JSON, None for anything else."""
    if isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in value):
        return tuple(value)
    return None


def _check_layout(tensors: Mapping[str, StoredTensor], begin: int, file_size: int) -> None:
    """Check that the tensors fill the file without overlap or gap."""
    at = begin
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.start, tensor.size)):
        if tensor.start != at:
            raise UnreadableFile(_("its tensors overlap, or leave gaps"))
        at += tensor.size
    if at != file_size:
        raise UnreadableFile(
            _("it has {size} bytes where its header says {expected}").format(
                size=file_size, expected=at
            )
        )
