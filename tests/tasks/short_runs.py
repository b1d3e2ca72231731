"""A run of a few steps of the exact engine on rows of a task, which its tests look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from tests.runs.children import in_child
from tests.tasks import toys
from tunesmith.api.runs import Run
from tunesmith.api.train import start
from tunesmith.runs.folder import RunFolder
from tunesmith.runs.predictions import Record, read_predictions

PLAIN = {"train.dropout": 0.0}
"""Dropout of the fast engine and of each process is drawn otherwise."""


@dataclass(frozen=True)
class ShortRun:
    """A folder with rows and a small model in `bert`, and the run on them."""

    folder: Path
    data_name: ClassVar[str]
    columns: ClassVar[Sequence[str]]
    """Those that the file of predictions keeps."""
    more: ClassVar[Mapping[str, object]]
    """Settings of the task, in addition to `SETTINGS`."""

    SETTINGS: ClassVar[Mapping[str, object]] = {
        "data.validation": "30%", "train.max_steps": 6, "train.save_every": "2 steps",
        "train.evaluate_every": "3 steps", "train.batch_size": 6, "train.learning_rate": 3e-3,
        "train.log_every": 1, "train.device": "cpu", "train.engine": "exact",
    }  # fmt: skip

    @property
    def data(self) -> Path:
        return self.folder / self.data_name

    @property
    def run(self) -> Run:
        return Run(self.folder / "run")

    def settings(self, **more: object) -> dict[str, object]:
        return {**self.SETTINGS, **self.more, **more}

    def arguments(self, out: Path, **more: object) -> tuple[Path, Path, Path, dict[str, object]]:
        return out, self.data, self.folder / "bert", self.settings(**more)

    def train(self, out: Path, **more: object) -> Run:
        out, data, model, settings = self.arguments(out, **more)
        for _event in start(str(data), out=out, settings={"model": str(model), **settings}):
            pass
        return Run(out)

    @cached_property
    def records(self) -> list[Record]:
        """The predictions for the validation rows."""
        return read_predictions(RunFolder(self.run.folder), "validation", self.columns)


def resumes_bit_for_bit(trained: ShortRun, out: Path) -> bool:
    """Whether a run that is killed and started again ends in the model of the whole one."""
    arguments = trained.arguments(out)
    assert in_child(toys.train_and_die_at, 60, *arguments) == -9
    assert list((out / "checkpoints").iterdir()) and not (out / "model").exists()
    assert in_child(toys.train, *arguments) == 0
    ends_as, should = losses(out)[-2:], losses(trained.run.folder)[-2:]
    assert ends_as == should, f"the last losses are {ends_as}, not {should}"
    ends = [folder / "model" / "model.safetensors" for folder in (out, trained.run.folder)]
    return ends[0].read_bytes() == ends[1].read_bytes()


def losses(run: Path) -> list[float]:
    """The loss of each step, from the log of a run."""
    lines = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    return [event["loss"] for event in lines if event["event"] == "step"]
