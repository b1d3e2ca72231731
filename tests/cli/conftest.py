"""Run commands in this process: arguments in, exit code and both streams out."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tunesmith.cli import main


@dataclass(frozen=True)
class Output:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def table(self) -> list[str]:
        """The lines of stdout without the verdicts above tables."""
        return [line for line in self.out.splitlines() if not line.startswith("→")]


Command = Callable[..., Output]


@pytest.fixture
def tunesmith(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, stdin: str | bytes = "") -> Output:
        piped = stdin.encode() if isinstance(stdin, str) else stdin
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped), encoding="utf-8"))
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        output = capsys.readouterr()
        assert "Traceback" not in output.err or "--debug" in arguments
        return Output(code, output.out, output.err)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """A finished run."""
    import csv

    from tests.conftest import ticket_rows
    from tunesmith.api.train import train

    folder = tmp_path_factory.mktemp("trained")
    with (folder / "tickets.csv").open("w", newline="") as file:
        csv.writer(file).writerows(ticket_rows(60))
    run = train(
        str(folder / "tickets.csv"),
        out=folder / "runs" / "tickets",
        model=str(tiny_bert),
        settings={"train.epochs": 1},
    )
    return run.folder
