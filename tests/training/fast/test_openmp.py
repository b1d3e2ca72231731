from __future__ import annotations

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
