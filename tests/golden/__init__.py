"""Golden runs: six small runs of the exact engine, and the numbers that they gave.

`runs.json` holds every loss, gradient norm, learning rate, and score, and a hash of the final
weights, together with what decides their last bits (`environment`). `tests/test_golden.py` runs
all of it again and compares.

`python -m tests.golden` records them again. That is right only

* where a change of numbers is intended and explained in docs/decisions, or
* where the comparison to the bit has passed at the same commit with the recorded environment, and
  only the environment is to change, such as after an update of torch.

An unexplained difference is a fault of the change, not of the recording.

The runs go through the public interface only (`ts.train`, recipe keys, `events.jsonl`, the model
folder), so that they outlast any change of what lies behind it. They have processes of their own:
no setting that another test or the fast engine made for its process reaches them.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import WORDS, make_tiny_bert
from tests.runs.children import ended, in_child, start_pair

__all__ = ["RECORDED", "Golden", "environment", "record", "unequal_bits", "unequal_losses"]

RECORDED = Path(__file__).with_name("runs.json")

Row = dict[str, object]
Scores = dict[str, str | None]


class Run(NamedTuple):
    """What is trained.

    Attributes:
        rows: the data.
        settings: recipe keys in addition to those that all runs have.
    """

    rows: Sequence[Row]
    settings: Mapping[str, object]


@dataclass(frozen=True)
class Golden:
    """The numbers of a run; floats in hexadecimal, to the bit.

    Attributes:
        losses: of each optimizer step.
        grad_norms: of each step, before clipping.
        learning_rates: of each step.
        evaluations: scores on validation, in the order of the evaluations.
        scores: of the finished model on validation.
        test_scores: the same on the test rows, if there are some.
        weights: SHA-256 of the names and bytes of the final weights, sorted by name.
    """

    losses: list[str]
    grad_norms: list[str]
    learning_rates: list[str]
    evaluations: list[Scores] = field(default_factory=list)
    scores: Scores = field(default_factory=dict)
    test_scores: Scores = field(default_factory=dict)
    weights: str = ""


def _text(i: int, ending: Sequence[str] = (), stride: int = 3) -> str:
    """A text of at least five words for each number, with an ending."""
    words = (WORDS[(7 * i + j * (stride + i % 5)) % len(WORDS)] for j in range(4 + i % 9))
    return " ".join([*words, str(i), *ending])


_CLASSES = ("printer", "soup", "table")
_TAGS = ("late", "cold", "bad")


def _tags(i: int) -> list[str]:
    return [tag for k, tag in enumerate(_TAGS) if i % (k + 2) == 0]


# one text in seven says nothing of its label
_CLASSIFIED: list[Row] = [
    {"text": _text(i, _CLASSES[i % 3 : i % 3 + bool(i % 7)] * 3), "label": _CLASSES[i % 3]}
    for i in range(60)
]
_PAIRS: list[Row] = [
    {"first": _text(i), "second": _text(i, stride=3 + i % 2), "label": ("same", "other")[i % 2]}
    for i in range(48)
]
_TAGGED: list[Row] = [{"text": _text(i, _tags(i) * 2), "tags": _tags(i)} for i in range(48)]
_SCORED: list[Row] = [{"text": _text(i, ["good"] * (i % 5)), "score": i % 5 / 2} for i in range(48)]
_PLAIN: list[Row] = [{"text": _text(i)} for i in range(48)]

_ALL: dict[str, object] = {
    "train.engine": "exact",
    "train.device": "cpu",
    "train.precision": "fp32",
    "train.max_steps": 8,
    "train.batch_size": 8,
    "train.learning_rate": 5e-3,
    "train.warmup": "3 steps",
    "train.evaluate_every": "4 steps",
    "train.log_every": 1,
    "data.validation": "25%",
}

ALONE: dict[str, Run] = {
    "text-classification": Run(
        _CLASSIFIED,
        {
            "task": "text-classification",
            "train.micro_batch_size": 3,  # of 8 rows: 3, 3, and 2
            "train.schedule": "cosine",
            "train.weight_decay": 0.01,
            "data.test": "10%",
        },
    ),
    "pair of texts": Run(
        _PAIRS,
        {
            "task": "text-classification",
            "data.text": "first",
            "data.text_pair": "second",
            "train.max_length": 24,
        },
    ),
    "multi-label-classification": Run(
        _TAGGED, {"task": "multi-label-classification", "data.label": "tags"}
    ),
    "text-regression": Run(
        _SCORED,
        {
            "task": "text-regression",
            "data.label": "score",
            "train.schedule": "constant",
            "train.max_grad_norm": 0.5,
        },
    ),
    "masked-lm": Run(_PLAIN, {"task": "masked-lm", "train.micro_batch_size": 4}),
}
"""The runs in one process, with the dropout of the model, 0.1."""

PAIR: dict[str, Run] = {
    "two processes": Run(_CLASSIFIED, {"task": "text-classification", "train.micro_batch_size": 2})
}
"""The run in two processes (gloo): each adds up the gradients of two micro-batches."""


def environment() -> dict[str, str]:
    """What decides the last bits of the runs, apart from the code: libraries and processor."""
    import torch

    libraries = ("torch", "transformers", "tokenizers", "numpy", "scikit-learn")
    return {
        **{name: version(name) for name in libraries},
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": _processor(),
        "threads": "1",
        "dropout": _dropout_mask(),
    }


def _processor() -> str:
    """The model of the processor; names of virtual machines alone are shared by generations."""
    facts: dict[str, str] = {}
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8").splitlines():
            key, _colon, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    numbers = "-".join(facts.get(key, "?") for key in ("cpu family", "model", "stepping"))
    return f"{facts.get('model name', platform.processor() or platform.machine())} ({numbers})"


def _dropout_mask() -> str:
    """A hash of what dropout draws: another generator gives other losses, not just other bits."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(7)
        mask = torch.nn.functional.dropout(torch.ones(1000), 0.5) > 0
    return hashlib.sha256(bytes(mask.tolist())).hexdigest()[:16]


def record(folder: Path) -> dict[str, Golden]:
    """Do all runs.

    Args:
        folder: an empty one, for models and run folders.
    """
    model = folder / "tiny"
    assert in_child(_make_model, model) == 0
    pair = start_pair(_train_all, folder / "pair", model, PAIR)
    try:
        assert in_child(_train_all, folder / "alone", model, ALONE) == 0
    finally:
        assert ended(pair) == [0, 0]
    return {
        name: _numbers(folder / kind / _folder_name(name))
        for kind, runs in (("alone", ALONE), ("pair", PAIR))
        for name in runs
    }


def _make_model(folder: Path) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    make_tiny_bert(folder)


def _folder_name(name: str) -> str:
    return name.replace(" ", "-")


def _train_all(folder: Path, model: Path, runs: Mapping[str, Run]) -> None:
    """Train one after the other, in a process that did nothing before."""
    import torch

    import tunesmith as ts

    os.environ["TUNESMITH_CACHE"] = str(folder / "cache")
    torch.set_num_threads(1)
    for name, run in runs.items():
        ts.train(
            list(run.rows),
            out=folder / _folder_name(name),
            model=str(model),
            settings={**_ALL, **run.settings},
            verbose=False,
        )


def _numbers(folder: Path) -> Golden:
    """What a run folder says of its run."""
    import tunesmith as ts

    run = ts.Run(folder)
    events = run.events()
    steps = [event for event in events if event["event"] == "step"]
    return Golden(
        losses=[_hex(step["loss"]) for step in steps],
        grad_norms=[_hex(step["grad_norm"]) for step in steps],
        learning_rates=[_hex(step["learning_rate"]) for step in steps],
        evaluations=[_hexes(e["scores"]) for e in events if e["event"] == "evaluated"],
        scores=_hexes(run.scores),
        test_scores=_hexes(run.test_scores),
        weights=_hash_of_weights(run.model),
    )


def _hex(value: float) -> str:
    return float(value).hex()


def _hexes(scores: Mapping[str, float | None]) -> Scores:
    return {name: None if value is None else _hex(value) for name, value in sorted(scores.items())}


def _hash_of_weights(model: Path) -> str:
    from safetensors.numpy import load_file

    digest = hashlib.sha256()
    weights = {
        name: array
        for file in model.glob("*.safetensors")
        for name, array in load_file(file).items()
    }
    assert weights, f"{model} holds no weights"
    for name in sorted(weights):
        digest.update(f"{name} {weights[name].dtype} {weights[name].shape}".encode())
        digest.update(weights[name].tobytes())
    return digest.hexdigest()


def unequal_bits(recorded: Mapping[str, Golden], here: Mapping[str, Golden]) -> list[str]:
    """Where runs differ: a line for each kind of number of a run, with the first difference."""
    return [
        f"{name}: {kind}: {difference}"
        for name, kind, before, now in _pairs(recorded, here)
        if (difference := _first_difference(before, now))
    ]


def _pairs(
    recorded: Mapping[str, Golden], here: Mapping[str, Golden]
) -> Iterator[tuple[str, str, Any, Any]]:
    assert recorded.keys() == here.keys(), "other runs than those that were recorded"
    for name in recorded:
        before, now = asdict(recorded[name]), asdict(here[name])
        for kind in before:
            yield name, kind, before[kind], now[kind]


def _first_difference(before: Any, now: Any) -> str:
    if before == now:
        return ""
    if isinstance(before, list) and len(before) == len(now):
        at = next(i for i, (old, new) in enumerate(zip(before, now, strict=True)) if old != new)
        return f"number {at + 1} was {_shown(before[at])}, is {_shown(now[at])}"
    return f"was {_shown(before)}, is {_shown(now)}"


def _shown(value: Any) -> str:
    return f"{value} ({float.fromhex(value)})" if str(value).startswith("0x") else str(value)


def unequal_losses(
    recorded: Mapping[str, Golden], here: Mapping[str, Golden], *, tolerance: float
) -> list[str]:
    """The losses that differ by more than a relative tolerance, a line for each."""
    assert recorded.keys() == here.keys(), "other runs than those that were recorded"
    lines = []
    for name in recorded:
        losses = zip(recorded[name].losses, here[name].losses, strict=True)
        for step, (old, new) in enumerate(losses, start=1):
            before, now = float.fromhex(old), float.fromhex(new)
            if not abs(now - before) <= tolerance * abs(before):  # also where it is not a number
                lines.append(f"{name}: step {step}: the loss was {before}, is {now}")
    return lines


def write(runs: Mapping[str, Golden]) -> None:
    """Replace what is recorded."""
    written = {
        "environment": environment(),
        "runs": {name: asdict(golden) for name, golden in runs.items()},
    }
    RECORDED.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def read() -> tuple[dict[str, str], dict[str, Golden]]:
    """The environment of the recording, and the runs."""
    written = json.loads(RECORDED.read_text(encoding="utf-8"))
    return written["environment"], {
        name: Golden(**golden) for name, golden in written["runs"].items()
    }
