"""Predictions per second, from texts to probabilities: ours and others', in alternation.

    python -m venv /tmp/predict-env
    /tmp/predict-env/bin/pip install torch transformers onnx onnxruntime openvino
    python benchmarks/prediction.py --peers /tmp/predict-env/bin/python --models /tmp/models

Contenders are transformers' `Trainer.predict` and `pipeline` with their defaults, ONNX Runtime and
OpenVINO (rows sorted by length, 32 at a time), each in a process of its own, and they hold the same
fine-tuned model. Answers that differ from those of float32 are counted. Runs that `--models` lacks
are trained first. `--ablate` measures ours without each of its parts instead.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from glue_quality import GLUE, model_folder, rows
from machine import facts

import tunesmith as ts

HERE = Path(__file__).parent
OURS = ("tunesmith-bf16", "tunesmith-fp32")
PEERS = ("trainer", "pipeline", "onnxruntime", "onnxruntime-int8", "openvino", "openvino-bf16")
_SLOW = ("trainer", "pipeline")
"""They compute all batches alike: a few warm them up."""
PARTS = ("layers", "packing", "last_layer", "copies", "process", "streams")
WORK: dict[str, tuple[str, int, int]] = {
    "MRPC, one text": ("mrpc", 1, 40),
    "MRPC, 8 texts": ("mrpc", 8, 20),
    "MRPC, 1,000 texts": ("mrpc", 1000, 1),
    "MRPC, test": ("mrpc", 1725, 1),
    "SST-2, validation and 20,000 rows": ("sst2", 20_872, 1),
}
"""Set, texts per call, calls."""


def texts_of(glue: Path, name: str) -> list[Any]:
    if name == "mrpc":
        return [[row["sentence1"], row["sentence2"]] for row in rows(glue / name, "test")]
    both = rows(glue / name, "validation") + rows(glue / name, "train")[:20_000]
    return [row["sentence"] for row in both]


def model_of(folder: Path, glue: Path, name: str) -> Path:
    """A model trained on a set: three epochs of MRPC, 1,000 steps of 32 rows of SST-2."""
    if not (folder / name / "model").is_dir():
        steps = {"train.epochs": 1, "train.batch_size": 32, "train.max_steps": 1000}
        settings = {
            "model": model_folder(),
            "data.labels": GLUE[name]["labels"],
            "data.allow_leak": True,
            "train.select_by": None,
            **(steps if name == "sst2" else {}),
        }
        splits = {split: rows(glue / name, split) for split in ("train", "validation")}
        ts.train(splits, out=folder / name, settings=settings)
    return folder / name / "model"


class Contender:
    """A process that predicts on demand."""

    def __init__(self, name: str, python: str, model: Path, work: Path) -> None:
        self.name = name
        self._out = work / f"{name}.npy"
        script = str(HERE / "prediction_contenders.py")
        self._process = subprocess.Popen(
            [python, script, name, str(model), str(work)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.versions: dict[str, str] = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended")
        return json.loads(line)

    def seconds(self, texts: Path, calls: Sequence[tuple[int, int]]) -> float:
        """Predict texts, some places at a time."""
        assert self._process.stdin is not None
        order = {"texts": str(texts), "calls": calls, "out": str(self._out)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    @property
    def probabilities(self) -> Any:
        """Of the last texts, shape (n, classes)."""
        return np.load(self._out)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def measure(
    names: Sequence[str], python: str, model: Path, texts: list[Any], work: str, turns: int
) -> dict[str, Any]:
    """Return seconds and answers of each contender, taking turns."""
    _set, size, count = WORK[work]
    calls = [(i * size, (i + 1) * size) for i in range(count)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "texts.json"
        path.write_text(json.dumps(texts[: size * count + 64]))
        contenders = []
        for name in names:
            own = sys.executable if name.startswith("tunesmith") else python
            contenders.append(Contender(name, own, model, folder))
        for each in contenders:
            each.seconds(path, [(0, 64)])
            if each.name not in _SLOW:
                each.seconds(path, calls)
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for _turn in range(turns):
            for each in contenders:
                seconds[each.name].append(each.seconds(path, calls))
                print(work, each.name, round(seconds[each.name][-1], 3), flush=True)
        answers = {each.name: each.probabilities for each in contenders}
        for each in contenders:
            each.close()
        versions = {k: v for each in contenders for k, v in each.versions.items()}
    return {
        "texts": size,
        "calls": count,
        "turns": turns,
        "versions": versions,
        "contenders": {
            name: _summary(name, seconds, answers, size * count, count) for name in names
        },
    }


def _summary(name: str, seconds: Any, answers: Any, total: int, calls: int) -> dict[str, Any]:
    """Of one contender; ratios are those of neighboring turns, as speed."""
    own = seconds[name]
    result: dict[str, Any] = {
        "seconds": [round(s, 4) for s in own],
        "rows_per_second": round(total / statistics.median(own), 1),
        "milliseconds_per_call": round(1000 * statistics.median(own) / calls, 2),
    }
    exact = answers.get("trainer", answers.get(OURS[1]))
    if exact is not None:
        result["answers_that_differ"] = int((answers[name].argmax(1) != exact.argmax(1)).sum())
        result["largest_difference"] = round(float(np.abs(answers[name] - exact).max()), 5)
    for other in ("trainer", "openvino-bf16", "tunesmith-bf16"):
        if other in seconds and other != name:
            ratios = [a / b for a, b in zip(seconds[other], own, strict=True)]
            result[f"ratio_to_{other}"] = round(statistics.median(ratios), 3)
            result[f"range_to_{other}"] = [round(min(ratios), 3), round(max(ratios), 3)]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--peers", default=sys.executable, help="Python of the peers")
    parser.add_argument("--models", type=Path, required=True, help="runs, trained where missing")
    parser.add_argument("--work", nargs="+", default=list(WORK), choices=WORK)
    parser.add_argument("--contenders", nargs="+", default=[*OURS, *PEERS])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--ablate", action="store_true")
    arguments = parser.parse_args()
    name = "prediction_ablation.json" if arguments.ablate else "prediction.json"
    target = HERE / "results" / name
    results = json.loads(target.read_text()) if target.is_file() else {}
    if arguments.ablate:
        arguments.contenders = [OURS[0], *(f"{OURS[0]}-{part}" for part in PARTS)]
    for work in arguments.work:
        name = WORK[work][0]
        model = model_of(arguments.models, arguments.glue, name)
        texts = texts_of(arguments.glue, name)
        result = measure(arguments.contenders, arguments.peers, model, texts, work, arguments.turns)
        results[work] = {**result, "machine": facts()}
        target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
