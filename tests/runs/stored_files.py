"""The files of a finished run as they are written, made without training. Not a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TASK: dict[str, Any] = {
    "task": "text-classification",
    "roles": {"text": "body", "text_pair": None, "label": "queue"},
    "labels": ["order", "repair"],
    "positive_label": None,
    "class_names": None,
}
VERSIONS = {"python": "3.11.7", "tunesmith": "0.1.0", "torch": "2.13.0"}
PLAN: dict[str, Any] = {
    "model": {"name": "bert", "revision": None},
    "data": {"train": {"source": "tickets.csv", "rows": 54, "examples": 54, "tokens": 504}},
    "task": TASK,
    "max_length": 64,
    "plan": {
        "num_examples": 54, "batch_size": 8, "micro_batch_size": 8, "num_processes": 1,
        "steps_per_epoch": 7, "total_steps": 7, "warmup_steps": 0, "evaluation_interval": 7,
        "learning_rate": 5e-5, "schedule": "linear", "seed": 42,
    },
    "engine": {"name": "fast"},
    "fingerprint": {
        "data": {"train": "94c6671f"},
        "tokenizer": "f560c2e91963973d",
        "model": {"name": "bert"},
        "versions": VERSIONS,
        "machine": {"device": "cpu", "precision": "fp32", "processes": 1},
    },
}  # fmt: skip
FACTS: dict[str, Any] = {
    "format": 1,
    "task": TASK,
    "max_length": 64,
    "metrics": ["f1"],
    "scores": {"validation": {"f1": 0.5, "loss": None}},
    "intervals": {"validation": {"f1": [0.25, 0.75]}},
    "baselines": {"validation": {"constant": {"f1": 0.0}}},
    "verdicts": {"validation": {"code": "M135", "rows": 6}},
    "words_counted_in": [54, 54],
    "steps": 7,
    "best_step": 7,
    "reason": "all steps done",
    "best": "f1",
    "train_seconds": 0.191,
    "samples_per_second": 282.5,
    "base_model": {"name": "bert", "revision": None},
    "data": {"train": "94c6671f"},
    "precision": "fp32",
    "versions": VERSIONS,
    "calibration": {
        "kind": "classes", "temperature": 1.5, "goal": None, "rule": None, "thresholds": None,
    },
}  # fmt: skip


def write_finished(folder: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write plan.json and tunesmith.json; returns what they hold. `changes` go into the latter."""
    facts = {**FACTS, **changes}
    (folder / "model").mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(PLAN))
    (folder / "model" / "tunesmith.json").write_text(json.dumps(facts))
    return PLAN, facts


def fields_of(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all values inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    paths: list[tuple[str | int, ...]] = []
    for key, part in inner:
        paths.append((*path, key))
        if isinstance(part, dict | list):
            paths += fields_of(part, (*path, key))
    return paths


def changed(value: Any, path: tuple[str | int, ...], to: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], to)
    return copy
