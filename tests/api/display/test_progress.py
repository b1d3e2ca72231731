from __future__ import annotations

import os
import select
import time
from pathlib import Path

from tests.capabilities import needs
from tests.cli.conftest import Command, tunesmith
from tests.runs.children import fork_context
from tunesmith.api.display.progress import run_summary
from tunesmith.runs.folder import RunFolder

__all__ = ["tunesmith"]  # the fixture, for this file


def test_a_summary_of_what_is_not_there(tmp_path: Path) -> None:
    result = run_summary(RunFolder(tmp_path))
    assert result["steps"] is None
    assert result["best"] == {"step": None, "scores": {}}


def train_on(terminal: str, words: list[str]) -> None:
    """In a child: train with this terminal as standard error."""
    os.dup2(os.open(terminal, os.O_RDWR | os.O_NOCTTY), 2)
    os.environ |= {"TERM": "xterm", "COLUMNS": "160"}
    for name in ("CI", "NO_COLOR"):
        os.environ.pop(name, None)
    from tunesmith.cli import main

    os._exit(main(words))


@needs("terminal")
def test_on_a_terminal_there_is_a_bar(tmp_path: Path, tickets: Path, tiny_bert: Path) -> None:
    """A pseudo-terminal: rate, time left, loss and last score on one line that is redrawn."""
    import pty

    leader, follower = pty.openpty()
    words = [
        "train", str(tickets), "--model", str(tiny_bert), "--out", str(tmp_path / "r"),
        "--set", "train.epochs=20", "--set", "train.evaluate_every=20 steps",
    ]  # fmt: skip
    child = fork_context().Process(target=train_on, args=(os.ttyname(follower), words))
    child.start()
    seen = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([leader], [], [], 0.2)[0]:
            seen += os.read(leader, 65536)
        elif child.exitcode is not None:
            break
    child.join(60)
    assert child.exitcode == 0
    os.close(follower)
    os.close(leader)
    text = seen.decode()
    assert "━" in text
    assert "/140" in text
    assert "s/it" in text
    assert "loss " in text
    assert "0:0" in text
    assert "accuracy" in text


def test_only_the_first_process_speaks(
    tunesmith: Command,
    monkeypatch,
    tmp_path: Path,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setenv("RANK", "1")
    said = tunesmith("train", "no.csv", "--json")
    assert (said.code, said.out, said.err) == (3, "", "")


def test_one_epoch_and_several(tunesmith: Command, tickets: Path, tiny_bert: Path) -> None:
    words = ("train", tickets, "--model", tiny_bert, "--no-preflight")
    said = tunesmith(*words, "--max-steps", "7", "--out", "one").err
    assert "7 steps, 1 epoch of 54 rows, batch size 8\n" in said
    said = tunesmith(*words, "--epochs", "0.5", "--out", "half").err
    assert "4 steps, 0.57 epochs of 54 rows, batch size 8\n" in said
