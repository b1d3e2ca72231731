"""The command line called in this process: arguments in, exit code and both streams out."""

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
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def table(self) -> list[str]:
        """The lines of the output without what stands above a table as its verdict."""
        return [line for line in self.out.splitlines() if not line.startswith("→")]


Command = Callable[..., Said]


@pytest.fixture
def tunesmith(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, stdin: str | bytes = "") -> Said:
        piped = stdin.encode() if isinstance(stdin, str) else stdin
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped), encoding="utf-8"))
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        assert "Traceback" not in said.err or "--debug" in arguments
        return Said(code, said.out, said.err)

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
