"""Damaged run folders: every file, every kind of damage, every command that reads it.

The promises: a coded error or the right result, never "a bug in tunesmith"; a damaged run hides no
other from `runs list`; where training goes on after damage, the weights come out equal to the bit.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults import Case
from tests.faults.runs import (
    TRAIN,
    Harm,
    call,
    copy_of_finished,
    copy_of_stopped,
    weights_of,
)
from tests.runs.stored_files import changed, fields_of

__all__ = ["cases"]


def _removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(1, max(2, len(content)))])


def _zeroed(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def _flipped(path: Path, draw: random.Random, bits: int) -> None:
    content = bytearray(path.read_bytes())
    for _bit in range(bits):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def _written(path: Path, text: str) -> None:
    path.write_text(text)


def _folder(path: Path) -> None:
    _removed(path)
    path.mkdir()


def _dangling(path: Path) -> None:
    _removed(path)
    path.symlink_to("nowhere")


def _pipe(path: Path) -> None:
    _removed(path)
    os.mkfifo(path)


def _harms(draw: random.Random) -> dict[str, Harm]:
    return {
        "removed": _removed,
        "empty": _empty,
        "cut": partial(_cut, draw=draw),
        "zeroed": _zeroed,
        "one bit": partial(_flipped, draw=draw, bits=1),
        "thirty bits": partial(_flipped, draw=draw, bits=30),
        "a number": partial(_written, text="5\n"),
        "a folder": _folder,
        "a dangling link": _dangling,
        "a pipe": _pipe,
    }


FILES = (
    "recipe.yaml", "plan.json", "events.jsonl", "report.html", "model/MANIFEST.json",
    "model/tunesmith.json", "model/config.json", "model/model.safetensors", "model/README.md",
    "model/tokenizer.json", "model/tokenizer_config.json", "predictions/validation.parquet",
)  # fmt: skip
LIGHT = (("runs", "show", "it"), ("runs", "explain", "it"), ("report", "it"))
HEAVY = (
    ("runs", "compare", "it", "whole"),
    ("errors", "it", "--split", "validation"),
    ("calibrate", "it"),
    ("predict", "runs/it", "the printer is broken"),
    ("eval", "runs/it", "tickets.csv", "--text", "body", "--label", "queue"),
    ("eject", "it", "-o", "plain.py"),
    TRAIN,
)
"""Which each reads the files in its own way; every case calls two of them."""

FOLDERS = ("model", "predictions", "checkpoints")
CHECKPOINT = ("state.json", "MANIFEST.json", "model.safetensors", "optimizer.safetensors")


def _read_by_all(folder: Path, *, name: str, harm: Harm, heavy: tuple[int, ...]) -> str:
    """Harm a file of a finished run; call every light command, and some others."""
    run = copy_of_finished(folder)
    weights = weights_of(run)
    harm(run / name)
    seen = []
    listed = call("runs", "list")
    assert listed.code == 0
    assert any(line.startswith("whole ") and "finished" in line for line in listed.text.split("\n"))
    for command in (*LIGHT, *(HEAVY[i] for i in heavy)):
        said = call(*command)
        assert said.code in (0, 2, 3, 4, 6), (command, said)
        seen.append(f"{command[0]} {command[1][:4]} {said.code} {said.first_code()}")
        if command is TRAIN and said.code == 0:
            assert weights_of(run) == weights, "other weights"
    return "; ".join(seen)


def _resumed(folder: Path, *, names: tuple[str, ...], harm: Harm) -> str:
    """Harm files of a stopped run, and train on."""
    run = copy_of_stopped(folder)
    expected = weights_of(run.parent / "whole")
    for name in names:
        for path in sorted(run.glob(name))[-1:]:
            harm(path)
    said = call(*TRAIN)
    assert said.code in (0, 2, 4, 6), said
    if said.code == 0:
        assert weights_of(run) == expected, "other weights"
        again = call("runs", "show", "it")
        assert again.code == 0 and "finished" in again.text
    return f"{said.code} {said.first_code()}"


OTHER_VALUES: tuple[Any, ...] = (None, -1, 0.5, 10**400, "x", [], {}, True, [[]])
TYPED = ("plan.json", "model/tunesmith.json", "events.jsonl")


def _typed(folder: Path, *, name: str, key: str, seed: int) -> str:
    """Swap the type of each value under a key of a JSON file, several times over."""
    run = copy_of_finished(folder)
    path, draw = run / name, random.Random(seed)
    whole = path.read_text()
    codes = []
    if name.endswith("jsonl"):
        lines = whole.splitlines()
        chosen = next(i for i, line in enumerate(lines) if json.loads(line)["event"] == key)
        value = json.loads(lines[chosen])
        places = fields_of(value)
    else:
        value = json.loads(whole)
        places = [place for place in fields_of(value) if place[0] == key]
    for place in draw.sample(places, min(4, len(places))):
        other = changed(value, place, draw.choice(OTHER_VALUES))
        if name.endswith("jsonl"):
            path.write_text("\n".join([*lines[:chosen], json.dumps(other), *lines[chosen + 1 :]]))
        else:
            path.write_text(json.dumps(other, indent=1))
        for command in (("runs", "list"), *LIGHT):
            said = call(*command)
            assert said.code in (0, 2, 4, 6), (command, place, said)
            codes.append(said.first_code())
    return " ".join(dict.fromkeys(codes))


_EVENT_KINDS = ("step", "evaluated", "saved", "finished")
_KEYS = {
    "plan.json": ("model", "data", "task", "max_length", "plan", "engine", "fingerprint"),
    "model/tunesmith.json": (
        "task", "max_length", "metrics", "scores", "intervals", "baselines", "verdicts", "steps",
        "best_step", "reason", "best", "train_seconds", "samples_per_second", "base_model",
        "versions", "words_counted_in",
    ),
    "events.jsonl": _EVENT_KINDS,
}  # fmt: skip


def _million(folder: Path) -> str:
    """A log of many lines is read within bounds, and `runs list` reads its end alone."""
    import resource

    run = copy_of_finished(folder)
    line = json.loads((run / "events.jsonl").read_text().splitlines()[0])
    with (run / "events.jsonl").open("w") as file:
        for number in range(1, 200_001):
            file.write(json.dumps({**line, "step": number}) + "\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for command in (("runs", "list"), *LIGHT):
        assert call(*command).code == 0
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 200, f"{grown:.0f} MB"
    assert (run / "report.html").stat().st_size < 2_000_000
    return f"{grown:.0f} MB more"


def cases() -> Iterator[Case]:
    """Files by kinds of damage, checkpoints by the same, fields by other types."""
    draw, number = random.Random(20_261_130), 0
    for name in FILES:
        for word, harm in _harms(draw).items():
            heavy = (number % len(HEAVY), (number * 3 + 2) % len(HEAVY))
            number += 1
            yield Case(
                f"{name}: {word}",
                partial(_read_by_all, name=name, harm=harm, heavy=heavy),
                is_quick=(name, word) in QUICK,
            )
    for name in FOLDERS:
        for word, harm in (("removed", _removed), ("a file", _as_file), ("a link", _dangling)):
            yield Case(
                f"{name}/: {word}", partial(_read_by_all, name=name, harm=harm, heavy=(3, 6))
            )
    for name in CHECKPOINT:
        for word, harm in _harms(draw).items():
            yield Case(
                f"newest checkpoint, {name}: {word}",
                partial(_resumed, names=(f"checkpoints/step-*/{name}",), harm=harm),
            )
    for name in ("plan.json", "events.jsonl", "recipe.yaml"):
        for word, harm in _harms(draw).items():
            yield Case(f"stopped, {name}: {word}", partial(_resumed, names=(name,), harm=harm))
    both = ("plan.json", "checkpoints/step-*/state.json")
    for word, harm in _harms(draw).items():
        yield Case(f"stopped, plan and state: {word}", partial(_resumed, names=both, harm=harm))
    for name in TYPED:
        for i, key in enumerate(_KEYS[name]):
            yield Case(
                f"{name}: other types under {key}", partial(_typed, name=name, key=key, seed=i)
            )
    yield Case("events.jsonl: 200,000 lines", _million)


def _as_file(path: Path) -> None:
    _removed(path)
    path.write_text("5")


QUICK = {("plan.json", "cut"), ("events.jsonl", "a number"), ("model/tunesmith.json", "one bit")}
