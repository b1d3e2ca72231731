from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.training.fast import openmp


@pytest.mark.parametrize(("paths", "expected"), [
    ({"/v/torch/lib/libgomp.so.1", "/v/sk.libs/libgomp-a1.so.1.0.0"}, "/v/torch/lib/libgomp.so.1"),
    ({"/v/torch.libs/libgomp-b2.so.1", "/usr/lib/libgomp.so.1"}, "/v/torch.libs/libgomp-b2.so.1"),
    ({"/v/sk.libs/libgomp-a1.so.1.0.0", "/usr/lib/libgomp.so.1"}, "/usr/lib/libgomp.so.1"),
    ({"/v/sk.libs/libgomp-a1.so.1.0.0", "/usr/lib/libc.so.6"}, "/v/sk.libs/libgomp-a1.so.1.0.0"),
    ({"/conda/lib/libiomp5.so", "/usr/lib/libgomp.so.1"}, None),
    ({"/conda/lib/libomp.so"}, None),
    (set(), None),
])  # fmt: skip
def test_the_library_that_torch_uses(paths: set[str], expected: str | None) -> None:
    assert openmp._chosen(paths) == expected


def test_that_there_is_none_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(openmp, "_libraries", [])
    assert openmp.libgomp(tmp_path / "missing") is None
    here = openmp.libgomp()
    assert openmp.libgomp(tmp_path / "missing") is here
