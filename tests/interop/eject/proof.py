"""The proof: scripts without us give the losses and the scores of the exact engine."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interop.eject.conftest import Train, working_in
from tunesmith.interop.eject.write import eject

RunScript = Callable[[Path], dict[str, Any]]
RUFF = Path(sysconfig.get_path("scripts")) / "ruff"
CORRELATIONS = {"pearson", "spearman"}
"""Of answers that hardly differ, as of a model that has learned nothing, these are rounding alone;
`test_scoring` compares them on the same numbers."""
OTHER_LIBRARIES = ("ignore::UserWarning", "ignore::FutureWarning")
OTHERWISE: dict[str, object] = {
    "train.micro_batch_size": 4,
    "train.early_stopping": "1 evaluations",
    "train.evaluate_every": "0.35 epochs",
    "train.weight_decay": 0.1,
    "train.warmup": "20%",
    "train.schedule": "polynomial",
    "train.max_grad_norm": 0.1,
    "train.freeze": ["embeddings", "*.attention.self.query.*"],
    "train.dropout": 0.2,
    "train.select_by": "loss",
    "data.test": "20%",
}


def assert_same_numbers(names: dict[str, Any], losses: list[float], scores: Any) -> None:
    np.testing.assert_allclose(names["losses"], losses, rtol=1e-6)
    theirs = {name.removeprefix("validation_"): value for name, value in names["scores"].items()}
    for name in scores.keys() - CORRELATIONS:
        value = scores[name]
        assert theirs[name] == pytest.approx(value, rel=1e-5), name


def assert_clean(path: Path) -> None:
    for words in (["format", "--diff", "--line-length", "100"], ["check"]):
        done = subprocess.run(
            [RUFF, words[0], "--isolated", *words[1:], path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def check_kind(kind: str, style: str, train: Train, desk: Path, run_script: RunScript) -> None:
    """With the model's own dropout."""
    trained = train(kind)
    path = desk / f"{kind}_{style}.py"
    with working_in(desk):
        eject(trained.folder, path.relative_to(desk), style=style)
    assert "tunesmith" not in path.read_text().lower()
    assert_clean(path)
    assert_same_numbers(run_script(path), trained.losses, trained.run.scores)


def check_settings(style: str, train: Train, desk: Path, run_script: RunScript) -> None:
    """Every setting has its plain equal."""
    trained = train("single", **OTHERWISE)
    path = desk / f"otherwise_{style}.py"
    with working_in(desk):
        done = eject(trained.folder, path.relative_to(desk), style=style, strict=True)
    assert not done.left_out
    assert_clean(path)
    names = run_script(path)
    assert_same_numbers(names, trained.losses, trained.run.scores)
    test = {name.removeprefix("test_"): value for name, value in names["test_scores"].items()}
    assert test["loss"] == pytest.approx(trained.run.test_scores["loss"], rel=1e-5)
