"""Every peer on the same rows: time to a trained model, and its scores on the test rows.

    python benchmarks/peers.py --environments DIR --install
    python benchmarks/peers.py --environments DIR --work mrpc --peers trainer tunesmith --seed 42

Each peer has a virtual environment in DIR and a script in `benchmarks/peer_scripts/`, which gets
the files of rows and prints its answers; all are scored here. Every finished run is added to the
result file, so peers can take turns: call this once for each turn, with another seed. pip must find
a CPU build of torch; an environment that would bring CUDA libraries is not made.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from glue_quality import GLUE, model_folder, rows
from machine import facts

from tunesmith.metrics.bootstrap import (
    DRAWS,
    Units,
    interval_of_draws,
    scores_of_draws,
    values_of_draws,
)
from tunesmith.metrics.intervals import paired_fraction_interval
from tunesmith.metrics.scores import Metric

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "peers.json"
TORCH = "torch==2.13.0"
COMMAND = "python benchmarks/peers.py --environments DIR"
"""Where the environments are says nothing."""


@dataclass(frozen=True)
class Peer:
    """A line of the table.

    Attributes:
        title: in the table.
        script: in `peer_scripts`.
        environment: the folder of its environment; empty for the one that runs this.
        packages: what pip installs.
        constrained: whether the project's versions suit it; otherwise only torch is fixed.
    """

    title: str
    script: str
    environment: str = ""
    packages: tuple[str, ...] = ()
    constrained: bool = True


_TRAINER = ("trainer", ("transformers[torch]", "datasets"))
_SENTENCES = ("sentences", ("sentence-transformers[train]", "setfit"))
PEERS = {
    "trainer": Peer("Trainer", "run_trainer.py", *_TRAINER),
    "trainer-tuned": Peer("Trainer, bf16, group_by_length", "run_trainer_tuned.py", *_TRAINER),
    "cross-encoder": Peer("CrossEncoder", "run_cross_encoder.py", *_SENTENCES),
    "setfit": Peer("SetFit", "run_setfit.py", *_SENTENCES),
    "autogluon": Peer(
        "AutoGluon", "run_autogluon.py", "autogluon", ("autogluon.multimodal",), constrained=False
    ),
    "spacy": Peer("spaCy", "run_spacy.py", "spacy", ("spacy-transformers",), constrained=False),
    "ludwig": Peer("Ludwig", "run_ludwig.py", "ludwig", ("ludwig",), constrained=False),
    "linear": Peer("TF-IDF + LogisticRegression", "run_linear.py", "linear", ("scikit-learn",)),
    "tunesmith": Peer("tunesmith", "run_tunesmith.py"),
    "tunesmith-bf16": Peer("tunesmith, bf16", "run_tunesmith_bf16.py"),
    "tunesmith-exact": Peer("tunesmith, exact", "run_tunesmith_exact.py"),
}

WORK: dict[str, dict[str, Any]] = {
    "mrpc": {"title": "MRPC", "columns": ["sentence1", "sentence2"], "train": 1024},
    "sst2": {"title": "SST-2", "columns": ["sentence"], "train": 1280},
}
"""Columns of the texts, and how many of the first training rows are used."""

VALIDATION = 400
"""Rows for peers that choose among their weights; of SST-2, the training rows after those used."""

SETTINGS = {"epochs": 3, "batch_size": 32, "learning_rate": 1e-4, "max_length": 128}
OFFLINE = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}


def splits(glue: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of each split; SST-2 has no labels of its test rows, so its validation is tested."""
    folder, count = glue / name, WORK[name]["train"]
    every = rows(folder, "train")
    if name == "sst2":
        rest, tested = every[count:], rows(folder, "validation")
    else:
        rest, tested = rows(folder, "validation"), rows(folder, "test")
    return {"train": every[:count], "validation": rest[:VALIDATION], "test": tested}


def write_task(folder: Path, data: dict[str, list[dict[str, Any]]], name: str, seed: int) -> Path:
    """The files that a peer reads; rows to predict have no labels."""
    columns = WORK[name]["columns"]
    task: dict[str, Any] = {
        **SETTINGS,
        "columns": columns,
        "label": "label",
        "labels": GLUE[name]["labels"],
        "model": model_folder(),
        "seed": seed,
    }
    for split, chosen in data.items():
        names = [*columns, *(["label"] if split != "test" else [])]
        path = folder / f"{split}.jsonl"
        path.write_text(
            "".join(json.dumps({key: row[key] for key in names}) + "\n" for row in chosen),
            encoding="utf-8",
        )
        task[split] = str(path)
    path = folder / "task.json"
    path.write_text(json.dumps(task, indent=1), encoding="utf-8")
    return path


def python_of(peer: Peer, environments: Path | None) -> Path:
    if not peer.environment:
        return Path(sys.executable)
    if environments is None:
        raise SystemExit("--environments is needed")
    return environments.absolute() / peer.environment / "bin" / "python"


def install(peer: Peer, environments: Path) -> str | None:
    """Make the environment of a peer. Returns why that failed."""
    python = python_of(peer, environments)
    if not peer.environment or (python.parent.parent / "installed").is_file():
        return None
    subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    limits = python.parent.parent / "constraints.txt"
    limits.write_text(
        (HERE.parent / "constraints.txt").read_text() if peer.constrained else TORCH + "\n"
    )
    pip = [python, "-m", "pip", "install", "--quiet", "-c", limits, *peer.packages]
    planned = subprocess.run(
        [*pip, "--dry-run", "--report", "-"], capture_output=True, text=True, check=False
    )
    if planned.returncode:
        return last_lines(planned.stderr)
    names = [one["metadata"]["name"].lower() for one in json.loads(planned.stdout)["install"]]
    if libraries := [name for name in names if name.startswith("nvidia-") and "-ml-" not in name]:
        return f"would install {', '.join(libraries)}"
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        return last_lines(done.stderr)
    (python.parent.parent / "installed").touch()
    return None


def last_lines(text: str) -> str:
    """The end of an error, without what names the machine."""
    names = [
        line
        for line in text.strip().splitlines()
        if not line.startswith("WARNING") and "%|" not in line
    ]
    return " ".join(" ".join(names[-3:]).replace(str(Path.home()), "~").split())[-400:]


def run(
    peer: Peer, task: Path, environments: Path | None, limit: float, log: Path | None = None
) -> dict[str, Any]:
    """What the script of a peer printed, with the seconds from its start; or its problem."""
    command = [python_of(peer, environments), HERE / "peer_scripts" / peer.script, task]
    started = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
                cwd=scratch,
                env={**os.environ, **OFFLINE},
            )
        except subprocess.TimeoutExpired as stopped:
            if log is not None:
                log.write_bytes((stopped.stderr or b"") + (stopped.stdout or b""))
            return {"problem": f"stopped after {limit:.0f} s"}
    if log is not None:
        log.write_text(done.stderr + done.stdout, encoding="utf-8")
    if done.returncode:
        return {"problem": last_lines(done.stderr)}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    result["seconds"] = round(result.pop("trained_at") - started, 2)
    return result


def accuracy(predicted: np.ndarray, truth: np.ndarray, _positive: int) -> float:
    return float((predicted == truth).mean())


def f1(predicted: np.ndarray, truth: np.ndarray, positive: int) -> float:
    both = int(((predicted == positive) & (truth == positive)).sum())
    claimed = int((predicted == positive).sum()) + int((truth == positive).sum())
    return 2 * both / claimed if claimed else 0.0


METRICS = [
    Metric("accuracy", ("classes",), accuracy, by_example=True),
    Metric("f1", ("classes",), f1, by_example=True),
]


def score(predictions: Sequence[int], truth: Sequence[int]) -> dict[str, list[float]]:
    """Value, and both ends of the bootstrapped 95 % interval, of each score."""
    predicted = np.array(predictions, dtype=np.int64)
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} answers to {len(truth)} rows")
    units = Units.of(np.array(truth, dtype=np.int64), predicted)
    points, drawn = values_of_draws(units, scores_of_draws(METRICS, 1), seed=0, draws=DRAWS)
    results = {}
    for name, value in points.items():
        interval = interval_of_draws(value, drawn[name], len(truth))
        ends = [interval.low, interval.high] if interval else [value, value]
        results[name] = [round(one, 4) for one in (value, *ends)]
    return results


def difference(
    first: Sequence[int], second: Sequence[int], truth: Sequence[int]
) -> tuple[float, float, float]:
    """How much more often the second is right than the first, with its 95 % interval."""
    right = [np.array(answers) == np.array(truth) for answers in (first, second)]
    fixed, broken = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    interval = paired_fraction_interval(fixed, broken, len(truth))
    return (fixed - broken) / len(truth), interval.low, interval.high


def summary(runs: Sequence[dict[str, Any]]) -> list[str]:
    """The cells of a peer: seconds of all, seconds of training, MB, accuracy, F1."""
    cells = []
    for key, digits in (("seconds", 1), ("seconds_training", 1), ("peak_mb", 0)):
        values = sorted(run[key] for run in runs)
        text = f"{statistics.median(values):.{digits}f}"
        if digits and len(values) > 1:
            text += f" ({values[0]:.{digits}f} - {values[-1]:.{digits}f})"
        cells.append(text)
    first = runs[0]
    scores = [first["scores"][name] for name in ("accuracy", "f1")]
    return cells + ["{:.3f} ({:.3f} - {:.3f})".format(*score) for score in scores]


def table(result: dict[str, Any], name: str) -> list[str]:
    """The lines of the table in the docs, without its head."""
    lines = []
    for key, peer in PEERS.items():
        runs = result[name]["peers"].get(key, {}).get("runs", [])
        if runs:
            lines.append("| " + " | ".join([peer.title, *summary(runs), str(len(runs))]) + " |")
    return lines


def add(result: dict[str, Any], name: str, key: str, outcome: dict[str, Any], seed: int) -> None:
    """One run into the results."""
    of_peer = result[name]["peers"].setdefault(key, {})
    if "problem" in outcome:
        of_peer["problem"] = outcome["problem"]
        return
    of_peer["versions"] = outcome.pop("versions")
    of_peer["note"] = outcome.pop("note")
    of_peer.setdefault("runs", []).append({"seed": seed, **outcome})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glue", type=Path, default=Path("../shared/glue"))
    parser.add_argument("--environments", type=Path, help="where the peers' environments are")
    parser.add_argument("--install", action="store_true", help="make them")
    parser.add_argument("--only-tasks", type=Path, help="write what the scripts read, run nothing")
    parser.add_argument("--work", nargs="+", default=list(WORK), choices=WORK)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--limit", type=float, default=3600, help="seconds for each run")
    parser.add_argument("--log", type=Path, help="where the output of the last peer is saved")
    parser.add_argument("--table", action="store_true", help="print the tables, run nothing")
    options = parser.parse_args()
    result: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    if options.table:
        for name in options.work:
            print(WORK[name]["title"], *table(result, name), sep="\n")
        return
    if options.install:
        for key in options.peers:
            problem = install(PEERS[key], options.environments)
            print(key, problem or "is installed", flush=True)
            result.setdefault("not_installed", {}).pop(key, None)
            if problem:
                result["not_installed"][key] = problem
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        return
    for name in options.work:
        data = splits(options.glue, name)
        sizes = {split: len(chosen) for split, chosen in data.items()}
        result.setdefault(name, {"peers": {}}).update(rows=sizes, settings=SETTINGS)
        truth = [GLUE[name]["labels"].index(row["label"]) for row in data["test"]]
        with tempfile.TemporaryDirectory() as folder:
            place = Path(options.only_tasks or folder) / name
            place.mkdir(parents=True, exist_ok=True)
            task = write_task(place.absolute(), data, name, options.seed)
            for key in options.peers if not options.only_tasks else ():
                outcome = run(PEERS[key], task, options.environments, options.limit, options.log)
                if "problem" not in outcome:
                    outcome["scores"] = score(outcome["predictions"], truth)
                    outcome["predictions"] = "".join(map(str, outcome["predictions"]))
                add(result, name, key, outcome, options.seed)
                command = f"{COMMAND} --work {name} --peers {key} --seed {options.seed}"
                result["machine"] = {**facts(), "command": command}
                RESULTS.write_text(json.dumps(result, indent=1) + "\n")
                shown = {k: v for k, v in outcome.items() if k != "predictions"}
                print(name, key, options.seed, shown, flush=True)


if __name__ == "__main__":
    main()
