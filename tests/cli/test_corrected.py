from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.cli.conftest import Command
from tunesmith.cli.corrected import with_corrected_command
from tunesmith.errors import Problem


@click.command("read")
@click.option("--encoding")
@click.option("--delimiter")
@click.argument("what")
def read(**_given: object) -> None: ...


GROUP = click.Group("group", commands=[read])
ENCODING = Problem("D101", "not UTF-8", fix="Use it.", flags=("--encoding", "cp1252"))
DELIMITER = Problem("D112", "one column", flags=("--delimiter", ";"))


def corrected(
    problems: list[Problem], line: str, command: click.Command | None = read
) -> list[str]:
    told = with_corrected_command(problems, line.split(), command)
    assert [(p.code, p.message) for p in told] == [(p.code, p.message) for p in problems]
    return [str(problem.fix) for problem in told]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("read a.csv", "tunesmith read a.csv --encoding cp1252"),
        ("read --encoding utf-8 a.csv", "tunesmith read a.csv --encoding cp1252"),
        ("read --encoding=utf-8 a.csv", "tunesmith read a.csv --encoding cp1252"),
        ("read -- a.csv", "tunesmith read --encoding cp1252 -- a.csv"),
        ("read it's.csv", "tunesmith read 'it'\"'\"'s.csv' --encoding cp1252"),
    ],
)
def test_the_command_with_the_option_that_fixes_it(line: str, command: str) -> None:
    assert corrected([ENCODING], line) == [f"Use it.\n{command}"]


def test_one_command_for_all_problems() -> None:
    other = Problem("D999", "no flag", fix="Think.")
    assert corrected([ENCODING, DELIMITER, ENCODING, other], "read a b.csv") == [
        "Use it.",
        "None",
        "Use it.\ntunesmith read a b.csv --encoding cp1252 --delimiter ';'",
        "Think.",
    ]
    assert corrected([DELIMITER], "read a.csv") == ["tunesmith read a.csv --delimiter ';'"]


def test_commands_that_have_no_such_option_are_left_alone() -> None:
    assert corrected([ENCODING], "group read a.csv", GROUP)[0].endswith("--encoding cp1252")
    assert corrected([ENCODING], "group", GROUP) == ["Use it."]
    assert corrected([ENCODING], "read a.csv", None) == ["Use it."]
    assert corrected([ENCODING], "other a", click.Command("other")) == ["Use it."]
    assert corrected([], "read a.csv") == []


def test_the_command_that_is_told_works(tunesmith: Command, tmp_path: Path) -> None:
    lines = "".join(f"Schöne Grüße Nummer {i};{'ja' if i % 2 else 'nein'}\r\n" for i in range(40))
    (tmp_path / "export.csv").write_bytes(("Text;Klasse\r\n" + lines).encode("cp1252"))
    arguments = ["check", "export.csv", "--model", "embedded:mini"]
    said = tunesmith(*arguments)
    assert said.code == 3
    command = "tunesmith check export.csv --model embedded:mini --encoding cp1252"
    assert command in [line.strip() for line in said.out.splitlines()]
    assert tunesmith(*command.split()[1:]).code == 0
    assert tunesmith(*arguments, "--encoding", "auto").code == 0
    said = tunesmith("init", "export.csv")
    assert "tunesmith init export.csv --encoding cp1252" in said.err
