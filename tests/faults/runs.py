"""A finished run, trained once per process and copied for each case; commands called in process."""

from __future__ import annotations

import atexit
import contextlib
import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from tests.conftest import make_tiny_bert, ticket_rows

__all__ = ["TRAIN", "Said", "call", "copy_of_finished", "copy_of_stopped", "home_of", "weights_of"]

TRAIN = (
    "train", "tickets.csv", "--model", "bert", "--epochs", "1", "--out", "runs/it",
    "--set", "train.save_every=3 steps", "--set", "train.log_every=1", "-q",
)  # fmt: skip


def home_of(kind: str, rows: Iterable[Sequence[object]]) -> Path:
    """Make the folder of the inputs of a kind, `bert` and `tickets.csv`; removed at exit."""
    home = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
    atexit.register(partial(_remove, home, os.getpid()))
    make_tiny_bert(home / "bert", layers=1)
    with (home / "tickets.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return home


def _remove(home: Path, owner: int) -> None:
    if os.getpid() == owner:  # children that end in peace leave it alone
        shutil.rmtree(home, ignore_errors=True)


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    text: str

    def first_code(self) -> str:
        """The code of its first problem, "ok" if there is none."""
        for line in self.text.splitlines():
            words = line.split()
            if words and words[0] in ("error", "warning", "note"):
                return words[1].rstrip(":")
        return "ok"


def call(*arguments: str) -> Said:
    """Call the command line in this process; a bug of ours or a traceback breaks the promise."""
    from tunesmith.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
    said = Said(code, out.getvalue())
    assert code != 70 and "M000" not in said.text, f"{' '.join(arguments)}: {said.text}"
    assert "Traceback" not in said.text, said.text
    return said


@cache
def _home() -> Path:
    """A folder with data, model and a finished run; it goes with the process."""
    holder = tempfile.TemporaryDirectory(prefix="fault-home-")
    home = Path(holder.name)
    _kept.append(holder)
    with (home / "tickets.csv").open("w", newline="") as file:
        csv.writer(file).writerows(ticket_rows(60))
    make_tiny_bert(home / "bert", layers=1)
    before = Path.cwd()
    os.chdir(home)
    try:
        said = call(*TRAIN)
        assert said.code == 0, said.text
        shutil.copytree("runs/it", "runs/whole")
    finally:
        os.chdir(before)
    return home


_kept: list[tempfile.TemporaryDirectory[str]] = []


def copy_of_finished(folder: Path) -> Path:
    """A finished run `runs/it` next to `runs/whole` in an empty folder; returns the run."""
    for path in _home().iterdir():
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copy2(path, folder / path.name)
    return folder / "runs" / "it"


def copy_of_stopped(folder: Path) -> Path:
    """The same, stopped after its last step: without model, predictions and report."""
    run = copy_of_finished(folder)
    shutil.rmtree(run / "model")
    shutil.rmtree(run / "predictions")
    (run / "report.html").unlink()
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    rest = [line for line in lines if '"event": "finished"' not in line]
    (run / "events.jsonl").write_text("".join(rest))
    return run


def weights_of(run: Path) -> bytes:
    """The weights of its model."""
    return (run / "model" / "model.safetensors").read_bytes()


Harm = Callable[[Path], object]
