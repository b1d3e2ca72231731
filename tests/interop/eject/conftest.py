"""Small runs of the exact engine, one for each kind of task, and scripts run in this process."""

from __future__ import annotations

import gc
import os
import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_tiny_bert, ticket_rows
from tests.tasks.question_answering.asked import asked_rows
from tunesmith.api.runs import Run
from tunesmith.api.train import start
from tunesmith.runs.folder import RunFolder
from tunesmith.training.events import StepDone

TEXTS = [row[1] for row in ticket_rows(40)[1:]]
PAIR = {"data.text": "first", "data.text_pair": "second"}
ALWAYS = {"options.always_mask": ["printer"], "options.whole_word_mask": True}
KINDS: Mapping[str, tuple[list[dict[str, object]], dict[str, object]]] = {
    "single": ([{"body": t, "queue": "ab"[i % 2]} for i, t in enumerate(TEXTS)], {}),
    "pair": (
        [{"first": t, "second": TEXTS[i // 2], "same": i % 3} for i, t in enumerate(TEXTS)],
        {**PAIR, "data.label": "same", "task": "text-classification"},
    ),
    "sets": (
        [{"text": t, "tags": ["a", "b"][: i % 3]} for i, t in enumerate(TEXTS)],
        {"data.label": "tags"},
    ),
    "numbers": (
        [{"text": t, "stars": i % 2 * 4 + 0.5} for i, t in enumerate(TEXTS)],
        {"task": "text-regression", "data.label": "stars", "train.learning_rate": 0.02},
    ),
    "windows": (
        [
            {"a": " ".join(TEXTS[i : i + 1 + i % 5]), "b": t, "label": ["up", "down"][i % 2 :]}
            for i, t in enumerate(TEXTS)
        ],
        {
            "data.text": "a",
            "data.text_pair": "b",
            "data.label": "label",
            "train.max_length": 20,
            "options.long": "windows",
            "options.max_windows": 4,
        },
    ),
    "choices": (
        [
            {
                "sent1": t,
                "sent2": "it",
                **{f"ending{j}": f"{TEXTS[i - j]} {j}" for j in range(3)},
                "label": i % 3,
            }
            for i, t in enumerate(TEXTS)
        ],
        {},
    ),
    "entities": (
        [
            {
                "text": t,
                "spans": [
                    {
                        "start": m.start(),
                        "end": m.end(),
                        "label": "LONG" if len(m[0]) > 7 else "WORD",
                    }
                    for m in re.finditer(r"\w{6,}", t)
                ],
            }
            for t in TEXTS
        ],
        {"train.max_length": 12, "metrics": ["f1", "f1_strict", "f1_macro", "accuracy"]},
    ),
    "tags": (
        [
            {
                "tokens": t.split(),
                "tags": [
                    ("B-LONG" if len(w) > 7 else "B-WORD") if len(w) > 5 else "O" for w in t.split()
                ],
            }
            for t in TEXTS
        ],
        {"options.pieces": "first", "metrics": ["f1", "precision", "recall", "accuracy"]},
    ),
    "rankings": (
        [
            {"query": TEXTS[i - i % 4], "passage": t, "relevance": (i * 7) % 4}
            for i, t in enumerate(TEXTS)
        ],
        {
            "options.relevant_from": 2,
            "metrics": ["ndcg_at_10", "mrr_at_10", "map", "recall_at_10", "accuracy"],
        },
    ),
    "questions": (
        asked_rows(30),
        {"train.max_length": 32, "options.stride": 6, "options.n_best": 5},
    ),
    "words": ([{"text": t} for t in TEXTS], {"task": "masked-lm"}),
    "word pairs": (
        [{"first": t, "second": TEXTS[i // 2]} for i, t in enumerate(TEXTS)],
        {**PAIR, "task": "masked-lm", **ALWAYS},
    ),
}


@dataclass(frozen=True)
class Trained:
    """A finished run and the loss of each of its steps."""

    run: Run
    losses: list[float]

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.run.folder)


Train = Callable[..., Trained]


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def small_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("small") / "bert", layers=1)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs are trained and scripts are written; paths of data are relative to it."""
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="session")
def train(desk: Path, small_bert: Path) -> Train:
    """Train on one of `KINDS` by the exact engine, each kind and settings once."""
    import json

    done: dict[str, Trained] = {}

    def once(kind: str, **settings: object) -> Trained:
        key = repr((kind, sorted(settings.items())))
        if key in done:
            return done[key]
        rows, own = KINDS[kind]
        settings_of_run: dict[str, object] = {
            "model": str(small_bert), "data.validation": "30%", "train.engine": "exact",
            "train.epochs": 1, "train.evaluate_every": "2 steps", "train.log_every": 1,
            "train.learning_rate": 0.003, "train.device": "cpu", **own, **settings,
        }  # fmt: skip
        with working_in(desk):
            file = Path(f"{kind}.jsonl")
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
            events = start(str(file), out=f"runs/{kind}-{len(done)}", settings=settings_of_run)
            losses = []
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    folder = (desk / end.value.folder).resolve()
                    done[key] = Trained(Run(folder), losses)
                    return done[key]
                if isinstance(event, StepDone):
                    losses.append(event.loss)

    return once


@pytest.fixture
def run_script(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], dict[str, Any]]:
    """Run a script as if alone in its process; returns its names."""
    import datasets
    from accelerate.state import AcceleratorState, GradientState

    monkeypatch.setattr(
        gc, "collect", lambda *_generation: 0
    )  # Trainer asks for it, and it is slow
    datasets.disable_progress_bars()

    def run(path: Path) -> dict[str, Any]:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        with working_in(desk):
            return runpy.run_path(str(path))

    return run
