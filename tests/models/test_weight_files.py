from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tunesmith.models.untrusted import UnreadableFile
from tunesmith.models.weight_files import StoredTensor, read_headers, read_tensors

TYPES = (
    torch.bool, torch.uint8, torch.int8, torch.float8_e4m3fn, torch.float8_e5m2, torch.int16,
    torch.uint16, torch.float16, torch.bfloat16, torch.int32, torch.uint32, torch.float32,
    torch.int64, torch.uint64, torch.float64, torch.complex64,
)  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights") / "x.safetensors"


def raw(header: object, numbers: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def test_every_type_and_shape_is_read_as_the_library_reads_it(path: Path) -> None:
    noise = torch.randint(0, 256, (96,), dtype=torch.uint8)
    tensors = {
        f"{kind} {shape}": noise[: size * torch.empty((), dtype=kind).element_size()]
        .clone()
        .view(kind)
        .reshape(shape)
        for kind in TYPES[1:]
        for shape, size in (((), 1), ((3,), 3), ((2, 3), 6), ((0, 4), 0))
    }
    tensors["truth"] = noise > 100
    save_file(tensors, path, metadata={"format": "pt"})
    stored = read_headers([path])
    ours, theirs = read_tensors(stored), load_file(path)
    assert ours.keys() == theirs.keys() == tensors.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert ours[name].shape == tensor.shape == stored[name].shape
        assert stored[name].num_elements == tensor.numel()
        mine, same = (t.reshape(-1).view(torch.uint8) for t in (ours[name], tensor))
        assert torch.equal(mine, same)


def test_tensors_have_memory_of_their_own(path: Path) -> None:
    save_file({"a": torch.ones(1000)}, path)
    (tensor,) = read_tensors(read_headers([path])).values()
    path.write_bytes(b"")
    assert tensor.sum() == 1000


def test_shards(path: Path) -> None:
    other = path.with_name("y.safetensors")
    save_file({"a": torch.zeros(2)}, path)
    save_file({"b": torch.ones(3)}, other)
    tensors = read_tensors(read_headers([path, other]))
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "a": [0, 0],
        "b": [1, 1, 1],
    }
    save_file({"b": torch.ones(3), "a": torch.ones(3)}, other)
    with pytest.raises(UnreadableFile, match=r"^y.safetensors: another file also has a$"):
        read_headers([path, other])
    with pytest.raises(UnreadableFile, match=r"^z.safetensors is missing$"):
        read_headers([path, path.with_name("z.safetensors")])


FINE: dict[str, Any] = {
    "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    "b": {"dtype": "I8", "shape": [1, 2], "data_offsets": [8, 10]},
}


def changed(name: str, field: str, value: object) -> dict[str, Any]:
    return {**FINE, name: {**FINE[name], field: value}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a safetensors file"),
        (b"1234567", "not a safetensors file"),
        ((1).to_bytes(8, "little") + b"{}", "not a safetensors file"),
        (raw(b"{}")[:-1], "not a safetensors file"),
        ((1 << 62).to_bytes(8, "little") + b"{}", "not a safetensors file"),
        (raw(b"{]"), "not JSON"),
        (raw(b"\xff\xff"), "not JSON"),
        (raw(b"[" * 100_000), "not JSON"),
        (raw([1]), "not a JSON object"),
        (raw(b'{"a": 1, "a": 2}'), "a duplicate name"),
        (raw({"a": 1}), "a wrong entry for a"),
        (raw({"a": {}}), "a wrong entry for a"),
        (raw(changed("a", "dtype", 5), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "dtype", "F4"), bytes(10)), "a has the type F4"),
        (raw(changed("a", "shape", [3]), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "shape", [-2]), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "shape", [2.0]), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "shape", [True, 2]), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "shape", [1] * 8 + [2]), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "shape", [1 << 48, 0]), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "shape", None), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "data_offsets", [0, 8, 8]), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "data_offsets", [8, 0]), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "data_offsets", "x"), bytes(10)), "a wrong entry for a"),
        (raw(changed("a", "data_offsets", [1, 9]), bytes(10)), "overlap, or leave gaps"),
        (raw(changed("b", "data_offsets", [7, 9]), bytes(10)), "overlap, or leave gaps"),
        (raw(changed("b", "data_offsets", [9, 11]), bytes(11)), "overlap, or leave gaps"),
        (raw(FINE, bytes(9)), r"\d+ bytes where its header says \d+"),
        (raw(FINE, bytes(11)), r"\d+ bytes where its header says \d+"),
    ],
)
def test_damaged_headers(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(raw({**FINE, "__metadata__": {"x": "y"}}, bytes(10)))
    begin = path.stat().st_size - 10
    assert read_headers([path]) == {
        "a": StoredTensor(path, "F32", (2,), begin, 8),
        "b": StoredTensor(path, "I8", (1, 2), begin + 8, 2),
    }
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=f"^x.safetensors: .*{reason}"):
        read_headers([path])


def test_a_header_beyond_bounds_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.write((25_000_001).to_bytes(8, "little"))
        file.truncate(8 + 25_000_001)  # sparse
    with pytest.raises(UnreadableFile, match="not a safetensors file"):
        read_headers([path])
    path.write_bytes(b"")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere_is_seen_or_harmless(path: Path, data: st.DataObject) -> None:
    """A flipped bit or a cut either changes numbers alone, or is refused."""
    whole = raw(FINE, bytes(range(10)))
    if data.draw(st.booleans()):
        content = bytearray(whole)
        content[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        content = bytearray(whole[: data.draw(st.integers(0, len(whole) - 1))])
    path.write_bytes(content)
    try:
        stored = read_headers([path])
    except UnreadableFile:
        return
    tensors = read_tensors(stored)
    assert len(content) == len(whole)
    assert sum(tensor.nbytes for tensor in tensors.values()) == 10


def test_a_file_that_is_cut_while_it_is_read(path: Path) -> None:
    save_file({"a": torch.zeros(100)}, path)
    stored = read_headers([path])
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(UnreadableFile, match=r"^x.safetensors was cut while it was read$"):
        read_tensors(stored)
    path.unlink()
    with pytest.raises(UnreadableFile, match="No such file"):
        read_tensors(stored)
