from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys, threading
import tunesmith.many.warm as warm
from tunesmith.jobs.stop_signals import SIGNALS
missing = [name for name in warm._USED_BY_EVERY_JOB if name not in sys.modules]
assert missing in ([], ["numba"]), missing
assert threading.active_count() == 1
assert "tunesmith.training.fast.kernels.adamw" not in sys.modules, "compiled loops are loaded"
assert set(SIGNALS) <= signal.pthread_sigmask(signal.SIG_BLOCK, [])
assert not {"_TUNESMITH_MANY", "PYTORCH_NVML_BASED_CUDA_CHECK"} & set(os.environ)
import torch
assert not torch.cuda.is_initialized()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="where processes are forked")
def test_what_is_shared_is_loaded_and_nothing_is_begun(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "_TUNESMITH_MANY": f"{folder}{os.pathsep}{tmp_path / 'none'}"},
        check=True,
    )
    assert not folder.exists(), "it clears away what is left of a killed command"
