from __future__ import annotations

import errno
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from tunesmith.data.batches import Batch
from tunesmith.errors import Place
from tunesmith.training.memory import (
    OneRowTooLarge,
    installed_bytes,
    is_out_of_memory,
    memory_problem,
    peak_bytes,
    release_memory,
)

CPU = torch.device("cpu")


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_real_lack_of_memory_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 46, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        torch.OutOfMemoryError(),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("Invalid buffer size: 25.34 GiB"),  # of MPS, for one tensor
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("unable to mmap 4096 bytes from file <x>: Cannot allocate memory (12)"),
        RuntimeError("std::bad_alloc"),
        ImportError("x.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        SafetensorError("Error while deserializing: I/O error: words (os error 12)"),
        caused_by(OSError("cannot be loaded"), MemoryError()),
    ],
)
def test_what_allocators_say_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not match"), ValueError("out of memory"), OSError("disk"),
        ImportError("no module named x"),
        OSError(errno.EIO, "out of memory"), SafetensorError("header too large"),
        caused_by(RuntimeError("outer"), ValueError("out of memory")),
    ],
)  # fmt: skip
def test_other_errors_are_others(error: Exception) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    ("error", "says"),
    [(RuntimeError("first line\nsecond"), "first line"), (MemoryError(), "MemoryError")],
)
def test_what_is_reported_of_it(error: Exception, says: str) -> None:
    problem = memory_problem(error)
    assert problem.code == "M111"
    assert problem.message == f"out of memory: {says}"
    assert "micro_batch_size" in (problem.fix or "")


def test_the_peak_rises_with_what_is_held() -> None:
    before, everything = peak_bytes(CPU), installed_bytes(CPU)
    assert before is not None and everything is not None
    held = torch.ones(60 << 20, dtype=torch.uint8)
    after = peak_bytes(CPU)
    assert after is not None
    assert 0 < before <= after <= everything
    assert after >= held.numel()
    release_memory(CPU)


def test_a_row_too_large_names_its_place() -> None:
    error = OneRowTooLarge(3, 500).at(Place("tickets.csv", line=5))
    assert error.exit_code == 4
    assert str(error).startswith("error M111 tickets.csv:5: out of memory with a single row of 500")
    assert error.example == 3


def test_a_row_of_several_sequences_says_so() -> None:
    inputs = {"input_ids": torch.ones(3, 4)}
    batch = Batch(inputs, None, 0, 12, np.array([5]), owner=torch.zeros(3, dtype=torch.int64))
    error = OneRowTooLarge.of_batch(batch).at(Place("long.csv", line=7))
    assert "long.csv:7" in str(error) and "12 tokens in 3 sequences" in str(error)
    assert "options.max_windows" in str(error) and error.example == 5
    assert "sequences" not in str(OneRowTooLarge.of_batch(replace(batch, owner=None)))
