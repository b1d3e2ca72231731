"""What the scripts of this folder share: the task, the clock, and the line that they print.

A script runs alone, in an environment that holds nothing of tunesmith but this file:

    python run_trainer.py task.json

`benchmarks/peers.py --only-tasks FOLDER` writes tasks: JSON with the files of rows, the pretrained
folder and the settings that all peers share. Rows to predict have no labels.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from typing import Any

SEPARATOR = " [SEP] "
"""Between the texts of a pair, for peers that take single texts."""


@dataclass(frozen=True)
class Task:
    """What a peer is to do.

    Attributes:
        train: the file of training rows, JSON lines.
        validation: of rows for peers that want to choose among their weights.
        test: of rows to predict.
        columns: of the texts, one or two.
        label: the column of the class.
        labels: the classes, the positive one last.
        model: the pretrained folder.
        epochs: passes over the training rows.
        batch_size: rows per optimizer step.
        learning_rate: of peers that train all weights on the classes.
        max_length: the most tokens of a row.
        seed: of everything.
    """

    train: str
    validation: str
    test: str
    columns: list[str]
    label: str
    labels: list[str]
    model: str
    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int
    seed: int

    @classmethod
    def read(cls, path: Path) -> Task:
        """From the file of a task."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def rows(self, split: str) -> list[dict[str, Any]]:
        """All columns."""
        lines = Path(getattr(self, split)).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def texts(self, split: str) -> list[list[str]]:
        """One list for each column."""
        rows = self.rows(split)
        return [[row[column] for row in rows] for column in self.columns]

    def joined(self, split: str) -> list[str]:
        """One text for each row."""
        return [SEPARATOR.join(parts) for parts in zip(*self.texts(split), strict=True)]

    def classes(self, split: str) -> list[int]:
        """The index of each row's class."""
        return [self.labels.index(row[self.label]) for row in self.rows(split)]

    def steps(self) -> int:
        """Optimizer steps of all epochs."""
        return self.epochs * -(-len(self.rows("train")) // self.batch_size)


class Clock:
    """Times the training call; `done` is when a model could answer."""

    def __init__(self) -> None:
        self.training = 0.0
        self.trained_at = 0.0
        self.peak_mb = 0.0

    def __enter__(self) -> Clock:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *problem: object) -> None:
        self.training = time.perf_counter() - self._started
        self.trained_at = time.time()
        self.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def line(clock: Clock, predictions: Sequence[int], packages: Sequence[str], note: str = "") -> str:
    """The result as one line of JSON."""
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return json.dumps(
        {
            "trained_at": clock.trained_at,
            "seconds_training": round(clock.training, 2),
            "peak_mb": round(clock.peak_mb),
            "largest_helper_mb": round(helpers),
            "predictions": [int(one) for one in predictions],
            "versions": {package: version(package) for package in packages},
            "note": note,
        }
    )


def run(peer: Callable[[Task, Clock], str]) -> None:
    """Read the task that the command line names, and print the result last."""
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: python {sys.argv[0]} task.json")
    result = peer(Task.read(Path(sys.argv[1])), Clock())
    print(result, flush=True)


def declare_image_operators() -> None:
    """Let torchvision be imported where its wheel was built for another torch than is installed.

    Wheels on PyPI are built with CUDA. Without it torchvision cannot load its operators, and fails
    at the two that it describes without asking whether they are there. Texts need none of them.
    """
    import torch

    for name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )


def leave_out_audio() -> None:
    """Let a package be imported that imports torchaudio, which was built for another torch, too."""
    module = types.ModuleType("torchaudio")
    module.__spec__ = ModuleSpec("torchaudio", None)
    module.__dict__["__version__"] = version("torchaudio")
    sys.modules["torchaudio"] = module
